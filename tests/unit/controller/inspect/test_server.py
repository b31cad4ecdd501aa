from __future__ import annotations

import asyncio
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from controller.inspect.server import SERVICE, serve
from dualpath.rpc.listen import ListenError, Tls
from dualpath.rpc.server import CALLS, RpcServer
from tests.fakes.view import fabric
from tests.fakes.waiting import until_steady


async def started(listen: str, tls: Tls | None = None) -> RpcServer:
    view = fabric()
    return await serve(view, view.datapath, listen=listen, tls=tls)


async def test_the_socket_is_for_owner_and_group_and_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "run" / "inspect.sock"
    umask = os.umask(0)
    try:
        server = await started(f"unix://{path}")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
    await server.stop()
    assert not path.exists()


async def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "inspect.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    await (await started(f"unix:{path}")).stop()


async def test_a_socket_that_answers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "inspect.sock"
    server = await started(f"unix:{path}")
    with pytest.raises(ListenError, match="in use"):
        await started(f"unix:{path}")
    assert path.exists()
    await server.stop()


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "inspect.sock"
    path.write_text("precious")
    with pytest.raises(ListenError, match="not a socket"):
        await started(f"unix:{path}")
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("listen", "why"),
    [
        ("unix:inspect.sock", "absolute"),
        ("unix:/" + "x" * 120, "107 bytes"),
        ("unix:/proc/none/inspect.sock", "cannot listen"),
        ("0.0.0.0:5555", "not a loopback"),
        ("[::]:5555", "not a loopback"),
        ("192.0.2.1:5555", "not a loopback"),
        ("example.org:5555", "not an IP"),
        ("127.0.0.1", "neither"),
        (":5555", "neither"),
        ("127.0.0.1:99999", "neither"),
    ],
)
async def test_what_may_not_be_listened_on_is_refused_in_one_sentence(
    listen: str, why: str
) -> None:
    with pytest.raises(ListenError, match=why) as caught:
        await started(listen)
    assert "\n" not in str(caught.value)


async def test_a_port_in_use_is_refused() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ListenError, match="in use"):
            await started(f"127.0.0.1:{other.getsockname()[1]}")


async def test_unreadable_certificates_are_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    with pytest.raises(ListenError, match="cannot read"):
        await started("127.0.0.1:0", Tls(missing, missing, missing))


async def test_server_answers_after_somebody_opened_all_connections_it_could(
    tmp_path: Path,
) -> None:
    path = tmp_path / "inspect.sock"
    server = await started(f"unix:{path}")
    opened: list[socket.socket] = []
    try:
        for _ in range(500):
            opened.append(socket.socket(socket.AF_UNIX))
            opened[-1].setblocking(False)
            with suppress(OSError):
                opened[-1].connect(str(path))
        await until_steady(lambda: len(os.listdir("/proc/self/fd")), 0.2)
        descriptors = len(os.listdir("/proc/self/fd")) - len(opened)
        assert descriptors < 200
        for one in opened:
            one.close()
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service=SERVICE)
            answer = await stub.Check(request, timeout=5, wait_for_ready=True)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
    finally:
        await server.stop()


async def test_streams_beyond_the_limit_are_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "inspect.sock"
    server = await started(f"unix:{path}")
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(f"unix:{path}", options=options) for _ in range(6)]
    try:
        streams = [
            health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            for channel in channels
            for _ in range(60)
        ]
        results = await asyncio.gather(
            *(stream.read() for stream in streams), return_exceptions=True
        )
        refused = [r for r in results if isinstance(r, grpc.aio.AioRpcError)]
        assert {r.code() for r in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert len(results) - len(refused) == CALLS
        for stream in streams:
            stream.cancel()
        stub = health_pb2_grpc.HealthStub(channels[0])
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    finally:
        for channel in channels:
            await channel.close()
        await server.stop()


async def answers(path: Path) -> bool:
    async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        answer = await health.Check(request, timeout=5, wait_for_ready=True)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.mark.parametrize("removed", ["socket", "directory"])
async def test_a_socket_that_is_removed_is_made_again(tmp_path: Path, removed: str) -> None:
    path = tmp_path / "run" / "inspect.sock"
    server = await started(f"unix:{path}")
    try:
        for _ in range(3):
            assert not await server.renew()
            path.unlink()
            if removed == "directory":
                path.parent.rmdir()
            assert await server.renew()
            assert await answers(path)
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
            assert [file.name for file in path.parent.iterdir()] == [path.name]
    finally:
        await server.stop()
    assert not path.exists()


@pytest.mark.parametrize("obstacle", ["file", "link", "socket that answers", "other file"])
async def test_a_file_in_place_of_a_removed_socket_is_named_and_left(
    tmp_path: Path, obstacle: str
) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    elsewhere.mkdir()
    server = await started(f"unix:{run}/inspect.sock")
    (run / "inspect.sock").unlink()
    run.rmdir()
    other = socket.socket(socket.AF_UNIX)
    try:
        match obstacle:
            case "file":
                run.write_text("precious")
            case "link":
                run.symlink_to(elsewhere)
            case "socket that answers":
                run.mkdir()
                other.bind(f"{run}/inspect.sock")
                other.listen()
            case _:
                run.mkdir()
                (run / "inspect.sock").write_text("precious")
        with pytest.raises(ListenError, match=str(run)):
            await server.renew()
        assert list(elsewhere.iterdir()) == []
    finally:
        await server.stop()
        other.close()
    assert run.exists()
