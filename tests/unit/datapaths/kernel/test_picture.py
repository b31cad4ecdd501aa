"""The kernel datapath's picture: what causes a new dump of everything."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

import pytest

from datapaths.kernel.channel import Monitor
from datapaths.kernel.picture import Picture
from datapaths.kernel.tasks import Tasks
from dualpath.netlink.message import DecodeError, messages
from dualpath.netlink.socket import Overrun
from tests.fakes.waiting import until


class OneRead:
    """A monitor whose first read returns `read`, and later ones nothing."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self._socket, self._other = socket.socketpair()
        self._other.send(b"x")

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self, _limit: int) -> bytes:
        return self._read() if self._socket.recv(1) else b""

    def close(self) -> None:
        self._socket.close()
        self._other.close()


def overrun() -> bytes:
    raise Overrun


def cut_header() -> bytes:
    return b"\x01\x00"


@pytest.mark.parametrize("read", [overrun, cut_header])
async def test_lost_or_malformed_notifications_start_one_reload(
    read: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DecodeError):
        list(messages(cut_header()))
    reloads: list[Picture] = []

    async def reload(picture: Picture) -> None:
        reloads.append(picture)

    monkeypatch.setattr(Picture, "_reload", reload)
    failures: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: failures.append(context["exception"])
    )
    monitor = OneRead(read)
    picture = Picture("", lambda _: None, failures.append, Tasks(failures.append))
    picture.attach(cast(Monitor, monitor))
    await until(lambda: bool(reloads or failures))
    picture.detach()
    monitor.close()
    assert (reloads, failures) == ([picture], [])
