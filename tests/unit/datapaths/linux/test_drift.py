"""The watch asks the kernel from one thread at a time."""

from __future__ import annotations

import asyncio
import threading

from datapaths.linux.drift import _Watched
from dualpath.netlink.message import Message


class OneUser:
    """Stands for `Requests`, and counts those who use it at once."""

    def __init__(self) -> None:
        self.users = self.most = 0
        self.met = threading.Event()  # two at once

    def dump(self, request: bytes) -> list[Message]:
        self._use()
        return []

    def ask(self, request: bytes) -> Message:
        self._use()
        raise OSError(19, "No such device")

    def _use(self) -> None:
        self.users += 1
        self.most = max(self.most, self.users)
        if self.users > 1:
            self.met.set()
        self.met.wait(0.02)  # give the other thread the time to come
        self.users -= 1


async def test_poll_and_look_at_few_devices_take_turns() -> None:
    watched = object.__new__(_Watched)
    asking = OneUser()
    watched._asking = asking  # type: ignore[assignment]
    watched._turn = threading.Lock()
    both = [asyncio.to_thread(watched.dump), asyncio.to_thread(watched.read, {"br110", "vx110"})]
    for found, _ in await asyncio.gather(*both):
        assert found == []
    assert asking.most == 1
