from __future__ import annotations

import asyncio
import os
import socket
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from controller.metrics import http as metrics
from controller.metrics import server as source
from controller.metrics.http import MetricsError
from controller.metrics.server import serve_metrics
from dualpath.model.view import HostCount, NeighborTable, PlaneStatus, ResourceStatus, Role
from tests.fakes.view import MemoryView, fabric
from tests.fakes.waiting import until


async def scrape(view: MemoryView, request: str) -> str:
    async with await serve_metrics(view, view.datapath, "127.0.0.1:0") as server:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(request.encode())
        answer = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
    return answer


async def test_the_state_is_shown_as_metrics() -> None:
    view = fabric()
    broken = ResourceStatus("L3VNI", "red", False, "ValidationFailed")
    full = NeighborTable("ipv6", entries=900, limit=1024, refused=7)
    hosts = (HostCount(100, "ipv6", announced=8192, left_out=11808),)
    planes = (PlaneStatus("kernel", Role.ACTIVE, 9, 9), PlaneStatus("dpdk", Role.STANDBY, 9, 7))
    view.state = replace(
        view.state,
        repaired=5,
        undecoded=3,
        resources=(broken,),
        neighbors=(full,),
        hosts=hosts,
        planes=planes,
    )
    answer = await scrape(view, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition("\r\n\r\n")
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for metric in text_string_to_metric_families(body)
        for sample in metric.samples
    }
    assert head.startswith("HTTP/1.0 200")
    assert samples["dualpath_ready",] == 1
    assert samples["dualpath_datapath_role", "dpdk", "standby"] == 1
    assert samples["dualpath_datapath_missing_rows", "dpdk"] == 2
    assert samples["dualpath_repaired_rows_total",] == 5
    assert samples["dualpath_undecoded_messages_total",] == 3
    assert samples["dualpath_failed_rows", "route"] == 1
    assert samples["dualpath_unmanaged_rows", "route"] == 2
    assert samples["dualpath_unmanaged_rows", "lsp"] == 1
    assert samples["dualpath_desired_rows", "lsp"] == 0
    assert samples["dualpath_resource_ready", "L3VNI", "red"] == 0
    assert samples["dualpath_neighbor_table_rows", "ipv6"] == 900
    assert samples["dualpath_neighbor_table_max_rows", "ipv6"] == 1024
    assert samples["dualpath_neighbor_table_full_total", "ipv6"] == 7
    assert samples["dualpath_local_hosts", "100", "ipv6"] == 8192
    assert samples["dualpath_local_hosts_left_out", "100", "ipv6"] == 11808
    assert samples["dualpath_session_state", "live"] == 1
    assert samples["dualpath_port_rx_bytes_total", "eth1"] == 1000
    assert samples["dualpath_fib_max_routes", "ipv4", "red"] == 65536
    assert samples["dualpath_graph_cycles_total", "ip_input"] == 5000
    assert samples["dualpath_datapath_fact", "13", "api version"] == 1


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics"),
        ("application/openmetrics-text;version=a.b,;;=,escaping=", "application/openmetrics"),
        ("text/plain;version=0.0.4", "text/plain"),
    ],
)
async def test_a_scraper_gets_openmetrics_if_it_asks(accept: str, answered: str) -> None:
    answer = await scrape(fabric(), f"GET /metrics HTTP/1.1\r\naccept: {accept}\r\n\r\n")
    assert f"Content-Type: {answered}" in answer
    assert answer.endswith("# EOF\n") == answered.startswith("application")


async def test_a_silent_datapath_has_no_values() -> None:
    view = fabric()
    view.unavailable = "gone"
    answer = await scrape(view, "GET /metrics HTTP/1.1\r\n\r\n")
    assert "dualpath_port_rx_bytes_total{" not in answer
    assert "dualpath_ready 1.0" in answer


async def test_probes_tell_life_from_readiness() -> None:
    view = fabric()
    assert (await scrape(view, "GET /livez HTTP/1.1\r\n\r\n")).startswith("HTTP/1.0 200")
    assert (await scrape(view, "GET /readyz HTTP/1.1\r\n\r\n")).startswith("HTTP/1.0 200")
    view.state = replace(view.state, ready=False, not_ready="zebra is not connected")
    answer = await scrape(view, "GET /readyz HTTP/1.1\r\n\r\n")
    assert answer.startswith("HTTP/1.0 503")
    assert answer.endswith("\r\n\r\nzebra is not connected\n")
    assert (await scrape(view, "GET /livez HTTP/1.1\r\n\r\n")).startswith("HTTP/1.0 200")


@pytest.mark.parametrize(
    "request_", ["GET / HTTP/1.1\r\n\r\n", "POST /metrics HTTP/1.1\r\n\r\n", "\r\n\r\n"]
)
async def test_anything_else_is_not_found(request_: str) -> None:
    assert (await scrape(fabric(), request_)).startswith("HTTP/1.0 404")


async def test_a_request_without_end_is_dropped() -> None:
    assert await scrape(fabric(), "x" * 20000) == ""


@pytest.mark.parametrize("listen", ["", ":9100", "127.0.0.1", "127.0.0.1:x", "192.0.2.1:9100"])
async def test_an_address_that_cannot_be_used_is_refused(listen: str) -> None:
    view = fabric()
    with pytest.raises(MetricsError):
        await serve_metrics(view, view.datapath, listen)


async def test_unix_socket_is_for_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    view = fabric()
    async with await serve_metrics(view, view.datapath, f"unix:{path}"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert b"dualpath_ready 1.0" in await reader.read()
        writer.close()
        await writer.wait_closed()


async def test_clients_beyond_the_limit_are_closed_and_the_rest_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics, "REQUEST_TIMEOUT_S", 0.3)
    view = fabric()
    async with await serve_metrics(view, view.datapath, "127.0.0.1:0") as server:
        address = server.address
        for _ in range(5):  # as many at once as the backlog holds
            ended = [end_of_a_silent_client(address) for _ in range(2 * metrics.CLIENTS)]
            assert set(await asyncio.gather(*ended)) == {b""}  # at once, or after their time
            await others_done()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert b"dualpath_ready 1.0" in await reader.read()
        writer.close()
        await writer.wait_closed()


async def end_of_a_silent_client(address: tuple[str, int]) -> bytes:
    loop = asyncio.get_running_loop()
    with socket.socket() as caller:
        caller.setblocking(False)
        await loop.sock_connect(caller, address)
        with suppress(ConnectionError):
            return await loop.sock_recv(caller, 16)
        return b""


async def others_done() -> None:
    """Wait for the server's tasks, which end after their clients' connections."""
    me = asyncio.current_task()
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not me))


async def read_all(caller: socket.socket) -> int:
    size = 0
    while data := await asyncio.get_running_loop().sock_recv(caller, 1 << 20):
        size += len(data)
    return size


async def test_client_that_does_not_read_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "REQUEST_TIMEOUT_S", 0.3)

    async def much(self: source.Source, accept: str) -> tuple[bytes, str]:
        return bytes(32 << 20), "text/plain"

    monkeypatch.setattr(source.Source, "text", much)
    view = fabric()
    async with await serve_metrics(view, view.datapath, "127.0.0.1:0") as server:
        with socket.create_connection(server.address) as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            caller.setblocking(False)
            caller.send(b"GET /metrics HTTP/1.0\r\n\r\n")
            await until(lambda: bool(server._clients))
            await until(lambda: not server._clients)
            assert await read_all(caller) < 32 << 20  # the unsent rest is dropped


@pytest.mark.parametrize(
    ("listen", "warned"), [("127.0.0.1:0", False), ("[::1]:0", False), ("0.0.0.0:0", True)]
)
async def test_address_that_others_reach_is_warned_of(
    listen: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    view = fabric()
    async with await serve_metrics(view, view.datapath, listen):
        assert ("not a loopback address" in caplog.text) == warned


NOBODY = """
import socket, sys
held = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(200)]
print("connected", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
async def test_a_user_who_holds_all_he_gets_keeps_no_other_out() -> None:
    view = fabric()
    async with await serve_metrics(view, view.datapath, "127.0.0.1:0") as server:
        program = ["/usr/bin/python3", "-I", "-S", "-c", NOBODY, str(server.address[1])]
        pipe = asyncio.subprocess.PIPE
        caller = await asyncio.create_subprocess_exec(
            *program, stdin=pipe, stdout=pipe, user=65534, cwd="/"
        )
        assert caller.stdout
        assert await asyncio.wait_for(caller.stdout.readline(), 5) == b"connected\n"
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert b"dualpath_ready 1.0" in await reader.read()
        writer.close()
        caller.kill()
        await caller.wait()


@pytest.mark.parametrize("removed", ["socket", "directory"])
async def test_a_socket_that_is_removed_is_made_again(tmp_path: Path, removed: str) -> None:
    path = tmp_path / "run" / "metrics.sock"
    view = fabric()
    async with await serve_metrics(view, view.datapath, f"unix:{path}") as server:
        for _ in range(2):
            assert not await server.renew()
            path.unlink()
            if removed == "directory":
                path.parent.rmdir()
            assert await server.renew()
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert b"dualpath_ready 1.0" in await reader.read()
            writer.close()
    assert not path.exists()
