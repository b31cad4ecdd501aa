"""How often the kernel's rows are dumped: FDBs and neighbors are one part for four kinds."""

from __future__ import annotations

import pytest

from datapaths.kernel import picture as module
from datapaths.kernel.picture import LAYER2_KINDS, Picture
from datapaths.kernel.tasks import Tasks
from dualpath.model.kinds import Kind
from dualpath.netlink.message import NLMSGHDR, Message, messages
from dualpath.netlink.numbers import RTM_NEWNEIGH
from tests.unit.datapaths.kernel.test_observe import MAC, PORT, station

DUMPS = 3  # AF_BRIDGE, AF_INET, AF_INET6


class Kernel:
    """Replaces the clock and the dumps, each of which takes a second."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.dumps = 0

    def monotonic(self) -> float:
        return self.now_s

    async def collect_pieces(self, netns: str, request: bytes) -> list[bytes]:
        self.dumps += 1
        self.now_s += 1.0
        return []

    async def collect(self, netns: str, request: bytes) -> list[Message]:
        pieces = await self.collect_pieces(netns, request)
        return [message for data in pieces for message in messages(data)]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(module, "time", made)
    monkeypatch.setattr(module, "collect", made.collect)
    monkeypatch.setattr(module, "collect_pieces", made.collect_pieces)
    return made


@pytest.fixture
def picture() -> Picture:
    def fail(error: BaseException) -> None:
        raise error

    return Picture("pe1", lambda _: None, fail, Tasks(fail))


async def test_kinds_that_are_compared_one_after_the_other_need_one_dump(
    kernel: Kernel, picture: Picture
) -> None:
    for kind in LAYER2_KINDS:
        await picture.load(kind)
    assert kernel.dumps == DUMPS
    kernel.now_s += DUMPS  # as long as it took
    await picture.load(Kind.MAC)
    assert kernel.dumps == 2 * DUMPS


async def test_a_notification_that_was_not_understood_needs_another_dump(
    kernel: Kernel, picture: Picture
) -> None:
    await picture.load(Kind.MAC)
    body = station(MAC, PORT)[NLMSGHDR.size : -4]
    picture.observer.feed(NLMSGHDR.pack(NLMSGHDR.size + len(body), RTM_NEWNEIGH, 0, 0, 0) + body)
    await picture.load(Kind.MAC)
    assert kernel.dumps == 2 * DUMPS
    await picture.load(Kind.MAC)
    assert kernel.dumps == 2 * DUMPS


async def test_nexthops_are_dumped_each_time(kernel: Kernel, picture: Picture) -> None:
    await picture.load(Kind.NEXTHOP)
    await picture.load(Kind.NEXTHOP)
    assert kernel.dumps == 2
