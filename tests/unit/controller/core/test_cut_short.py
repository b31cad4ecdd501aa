"""No pending work is lost when the datapath becomes unavailable in the middle of a round."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest

from controller.core.recordapplier import ROWS
from datapaths.base import Batch, RowFailure, Unavailable
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac, Neighbor
from dualpath.model.links import Vni
from dualpath.model.nexthops import Member, Nexthop, NexthopType
from dualpath.model.records import RecordBatch
from tests.fakes.core import RETRY_S, Core, LoggingDatapath, running
from tests.fakes.waiting import until

MAC = Mac(100, bytes([2, 0, 0, 0, 0, 1]), bytes([10, 0, 0, 2]))
V4 = Neighbor(100, bytes([10, 1, 0, 1]), MAC.mac)
V6 = Neighbor(100, bytes([0x20, 1, *bytes(13), 1]), MAC.mac)
PREFIXES = ("10.0.0.0/8", "11.0.0.0/8", "2001:db8::/32", "2001:db9::/32")


def via(handle: int, last: int) -> Nexthop:
    return Nexthop(handle, NexthopType.GATEWAY, bytes([192, 168, 1, last]), "eth1")


def group(handle: int, *members: int) -> Nexthop:
    return Nexthop(handle, NexthopType.GROUP, members=tuple(Member(m) for m in members))


class Flaky(LoggingDatapath):
    """Accepts `left` more batches, or any number if negative, and then fails one."""

    left = -1

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        self.left -= 1
        if self.left == -1:
            raise Unavailable("started again")
        return await super().apply(batch)


class World(Core):
    def __init__(self) -> None:
        self.flaky = Flaky()
        super().__init__(self.flaky)

    async def miss(self, after: int) -> None:
        """Fail one batch of the next round, and wait for the retry."""
        self.flaky.left = after
        await self.settle()
        await self.later(RETRY_S[0] + 0.1)
        assert self.reconciler.unavailable == ""


@pytest.fixture
async def core() -> AsyncIterator[World]:
    made = World()
    async with running(made):
        made.state.want(Kind.VNI, [Vni(100)])
        made.subscribe()
        made.synced()
        yield made


async def test_a_withdrawal_that_waits_for_the_end_of_the_round(core: World) -> None:
    core.say(MAC)
    await core.settle()
    core.unsay(MAC)
    core.say(V4, V6)
    await core.miss(0)
    assert core.datapath.records[Kind.MAC] == {}
    assert set(core.datapath.records[Kind.NEIGHBOR]) == {V4.key, V6.key}


async def test_a_group_that_waits_for_single_nexthops(core: World) -> None:
    core.say(via(1, 1), via(2, 2), group(3, 1, 2))
    await core.settle()
    core.say(via(4, 3), group(3, 1))
    await core.miss(0)
    (held,) = [nexthop for nexthop in core.nexthops() if nexthop.members]
    assert len(held.members) == 1


async def test_adopted_rows_stay_until_synced() -> None:
    core = World()
    core.datapath.records[Kind.VNI] = {100: Vni(100)}
    core.datapath.records[Kind.MAC] = {MAC.key: MAC}
    async with running(core):
        core.subscribe()
        core.say(V4, V6)
        await core.miss(0)
        assert core.datapath.records[Kind.MAC] == {MAC.key: MAC}
        core.synced()
        await core.settle()
        assert core.datapath.records[Kind.MAC] == {}


async def test_withdrawals_before_synced() -> None:
    core = World()
    async with running(core):
        core.state.want(Kind.VNI, [Vni(100)])
        core.subscribe()
        core.say(MAC)
        await core.settle()
        core.unsay(MAC)
        core.say(V4)
        await core.miss(0)
        assert core.datapath.records[Kind.MAC] == {}


class Talk:
    """Random changes by FRR, and the routes that it wants in the end."""

    def __init__(self, core: World, seed: int) -> None:
        self._core = core
        self._random = random.Random(seed)
        self.nexthops: dict[int, Nexthop] = {}
        self.routes: dict[str, int] = {}
        self.macs: set[Mac] = set()

    def word(self) -> None:
        self._random.choice((self._nexthop, self._group, self._route, self._mac, self._drop))()

    def _nexthop(self) -> None:
        self._say(via(self._random.randint(1, 3), self._random.randint(1, 3)))

    def _group(self) -> None:
        single = sorted(handle for handle in self.nexthops if handle < 4)
        if single:
            members = self._random.sample(single, self._random.randint(1, len(single)))
            self._say(group(self._random.randint(4, 5), *members))

    def _say(self, nexthop: Nexthop) -> None:
        self.nexthops[nexthop.id] = nexthop
        self._core.say(nexthop)

    def _route(self) -> None:
        prefix = self._random.choice(PREFIXES)
        if self.nexthops and self._random.random() < 0.7:
            self.routes[prefix] = self._random.choice(sorted(self.nexthops))
            self._core.routes(f"+ {prefix} {self.routes[prefix]}")
        elif self.routes.pop(prefix, None):
            self._core.routes(f"- {prefix}")

    def _mac(self) -> None:
        mac = Mac(100, bytes([2, 0, 0, 0, 0, self._random.randint(1, 3)]), MAC.vtep)
        self.macs ^= {mac}
        (self._core.say if mac in self.macs else self._core.unsay)(mac)

    def _drop(self) -> None:
        used = set(self.routes.values())
        used |= {m.id for nexthop in self.nexthops.values() for m in nexthop.members}
        for handle in sorted(self.nexthops.keys() - used)[:1]:
            self._core.unsay(self.nexthops.pop(handle))

    def content(self, handle: int) -> object:
        said = self.nexthops[handle]
        return said.gateway or sorted(str(self.content(m.id)) for m in said.members)


def held(core: World, identity: int) -> object:
    nexthop = core.datapath.records[Kind.NEXTHOP][identity]
    assert isinstance(nexthop, Nexthop)
    return nexthop.gateway or sorted(str(held(core, m.id)) for m in nexthop.members)


class Slow(LoggingDatapath):
    """Counts its batches at work, which wait for `may_apply`; refuses them while `away`."""

    away = False
    now = most = 0

    def __init__(self) -> None:
        super().__init__()
        self.may_apply = asyncio.Event()

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if self.away:
                raise Unavailable("started again")
            await self.may_apply.wait()
            if self.away:
                raise Unavailable("went away at work")
            return await super().apply(batch)
        finally:
            self.now -= 1


def many(handle: int) -> list[str]:
    return [f"+ 10.{i}.0.0/16 {handle}" for i in range(9)]


@pytest.fixture
async def slow() -> AsyncIterator[tuple[Core, Slow]]:
    """A core with batches of two routes, and a slow datapath."""
    datapath = Slow()
    core = Core(datapath)
    core.reconciler.routes.batch_rows = 2
    async with running(core):
        datapath.may_apply.set()
        core.subscribe()
        core.say(via(1, 1))
        await core.settle()
        datapath.may_apply.clear()
        yield core, datapath


async def test_the_next_batch_is_ready_when_the_datapath_is(slow: tuple[Core, Slow]) -> None:
    core, datapath = slow
    core.routes(*many(1))
    await until(lambda: datapath.now == 2)
    datapath.may_apply.set()
    await core.settle()
    assert (datapath.most, datapath.now) == (2, 0)
    assert datapath.lookup("10.8.0.1") == core.nexthops()[0].id


async def test_two_batches_at_work_get_no_answer(slow: tuple[Core, Slow]) -> None:
    core, datapath = slow
    core.routes(*many(1))
    await until(lambda: datapath.now == 2)
    datapath.away = True
    datapath.may_apply.set()
    await core.settle()
    assert (datapath.now, core.reconciler.unavailable) == (0, "started again")
    datapath.away = False
    core.routes("- 10.8.0.0/16")
    await core.later(RETRY_S[0] + 0.1)
    assert core.reconciler.unavailable == ""
    assert datapath.lookup("10.7.0.1") == core.nexthops()[0].id
    assert datapath.lookup("10.8.0.1") is None


@pytest.mark.parametrize("rows", [2, 4096])
@pytest.mark.parametrize("seed", range(3))
async def test_in_the_end_the_datapath_has_what_frr_wants(
    core: World, seed: int, rows: int
) -> None:
    core.reconciler.routes.batch_rows = rows
    talk, dice = Talk(core, seed), random.Random(-seed - 1)
    for _ in range(60):
        for _ in range(dice.randint(1, 4)):
            talk.word()
        await core.miss(dice.randint(0, 4))
    core.flaky.left = -1
    await core.later(RETRY_S[-1])
    routes = {
        prefix: held(core, identity)
        for prefix in PREFIXES
        if (identity := core.datapath.lookup(prefix.partition("/")[0])) is not None
    }
    assert routes == {prefix: talk.content(handle) for prefix, handle in talk.routes.items()}
    assert set(core.datapath.records[Kind.MAC].values()) == talk.macs
    assert len(core.nexthops()) == len(talk.nexthops)


async def test_a_burst_is_applied_in_pieces_and_goes_on_where_it_was_cut(core: World) -> None:
    macs = [
        Mac(100, bytes([2, 0, 0, 0, *divmod(i, 256)]), bytes([10, 0, 0, 2])) for i in range(1000)
    ]
    core.state.want(Kind.VNI, [Vni(100)])
    core.say(*macs)
    core.synced()
    await core.miss(after=1)
    assert len(core.datapath.records[Kind.MAC]) == len(macs)
    applied = [b for b, _ in core.heard if isinstance(b, RecordBatch) and b.kind is Kind.MAC]
    assert max(len(batch) for batch in applied) <= ROWS
    assert sum(len(batch) for batch in applied) == len(macs)
    core.unsay(*macs)
    await core.settle()
    assert core.datapath.records[Kind.MAC] == {}
