from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from controller.inspect.server import serve
from controller.rpc.listen import ListenError, Tls
from controller.rpc.server import RpcServer
from tests.fakes.view import fabric


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
        ("unix:/proc/none/inspect.sock", "cannot use"),
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
