"""No nexthop stays in the datapath after its last route, whatever restarted in between."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from controller.core.nexthop_ids import FIRST_ID
from controller.core.routeapplier import TURN_S
from datapaths.base import Batch, RowFailure
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood
from dualpath.model.links import Vni
from dualpath.model.nexthops import Member, Nexthop, NexthopType
from dualpath.model.routes import RouteBatch
from tests.fakes.core import Core, LoggingDatapath, running

A = "10.0.0.0/8"
FLOOD = Flood(100, bytes([10, 0, 0, 1]))


def via(handle: int, last: int) -> Nexthop:
    return Nexthop(handle, NexthopType.GATEWAY, bytes([192, 168, 1, last]), "eth1")


def group(handle: int, *members: int) -> Nexthop:
    return Nexthop(handle, NexthopType.GROUP, members=tuple(Member(m) for m in members))


class Frr:
    """A bridge with inline nexthops: each route names a group, and groups share members."""

    def __init__(self, core: Core, seed: int) -> None:
        self.core = core
        self.random = random.Random(seed)
        self._start()

    def _start(self) -> None:
        self.handles = iter(range(1, 100_000))
        self.hops: dict[tuple[int, ...], Nexthop] = {}
        self.routes: dict[int, tuple[int, ...]] = {}
        self.core.subscribe()

    def restart(self) -> None:
        """Restart with other handles and some of the routes."""
        routes, self.routes = self.routes, {}
        self._start()
        for third, lasts in routes.items():
            if self.random.random() < 0.7:
                self.route(third, lasts)
        self.core.synced()

    def step(self) -> None:
        third = self.random.randrange(5)
        match self.random.randrange(6):
            case 0:
                self.withdraw(third)
            case 1:
                self.collect()
            case _:
                lasts = self.random.sample(range(2, 8), self.random.randrange(1, 4))
                self.route(third, tuple(sorted(lasts)))

    def route(self, third: int, lasts: tuple[int, ...]) -> None:
        for last in lasts:
            if (last,) not in self.hops:
                self._say((last,), via(next(self.handles), last))
        if lasts not in self.hops:
            members = [self.hops[last,].id for last in lasts]
            self._say(lasts, group(next(self.handles), *members))
        self.routes[third] = lasts
        self.core.routes(f"+ 20.0.{third}.0/24 {self.hops[lasts].id}")

    def _say(self, key: tuple[int, ...], nexthop: Nexthop) -> None:
        self.hops[key] = nexthop
        self.core.say(nexthop)

    def withdraw(self, third: int) -> None:
        if self.routes.pop(third, None):
            self.core.routes(f"- 20.0.{third}.0/24")

    def collect(self) -> None:
        """Withdraw the nexthops that no route needs, members after groups and before."""
        needed = set(self.routes.values()) | {(x,) for it in self.routes.values() for x in it}
        gone = [key for key in self.hops if key not in needed]
        self.random.shuffle(gone)
        for key in gone:
            self.core.unsay(self.hops.pop(key))

    def end(self) -> None:
        for third in list(self.routes):
            self.withdraw(third)
        self.collect()


@pytest.mark.parametrize("seed", range(15))
async def test_restarts_and_replacements_leave_no_nexthop(seed: int) -> None:
    datapath = LoggingDatapath()
    for _ in range(2):  # two controllers, one after the other
        core = Core(datapath)
        async with running(core):
            frr = Frr(core, seed)
            core.synced()
            for step in range(60):
                frr.step()
                if step % 7 == 0:
                    await core.settle()
                if step % 20 == 19:
                    frr.restart()
                if step % 25 == 24:
                    await core.reconciler.resync()
    core = Core(datapath)
    async with running(core):
        frr = Frr(core, seed)
        core.synced()
        frr.end()
        await core.settle()
        assert core.nexthops() == []
        assert list(core.state.records[Kind.NEXTHOP]) == []
        ids = core.state.nexthop_ids
        assert (ids._of_handle, ids._nexthops, any(ids._unclaimed.values())) == ({}, {}, False)


async def test_a_group_and_its_members_are_withdrawn_without_another_event() -> None:
    core = Core()
    async with running(core):
        core.subscribe()
        core.say(via(1, 1), via(2, 2), group(3, 1, 2))
        core.routes(f"+ {A} 3")
        await core.settle()
        core.routes(f"- {A}")
        core.unsay(via(1, 1), via(2, 2), group(3, 1, 2))
        await core.settle()
        assert core.nexthops() == []


async def test_withdrawals_swallowed_by_a_lost_connection_leave_no_handles() -> None:
    core = Core()
    async with running(core):
        core.subscribe()
        core.say(via(1, 1), via(2, 2))
        core.synced()
        await core.settle()
        core.state.bridge_lost()
        core.subscribe(same_bridge=True)
        core.say(via(1, 1))
        core.synced()
        await core.settle()
        both = np.array([1, 2], np.uint32)
        assert core.state.nexthop_ids.translate(both).tolist() == [FIRST_ID, 0]


async def test_the_same_bridge_changes_a_nexthop_in_place() -> None:
    core = Core()
    async with running(core):
        core.subscribe()
        core.say(via(1, 1))
        core.routes(f"+ {A} 1")
        core.synced()
        await core.settle()
        core.subscribe(same_bridge=True)
        core.say(via(1, 9))
        core.routes(f"+ {A} 1")
        core.synced()
        core.datapath.log.clear()
        await core.settle()
        assert core.datapath.log == [f"+ NEXTHOP {FIRST_ID}"]


class Meanwhile(LoggingDatapath):
    """Lets a test do something while routes are applied."""

    def __init__(self) -> None:
        super().__init__()
        self.core: Core | None = None
        self.again: Flood | None = None
        self.takes_s = 0.0

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        if isinstance(batch, RouteBatch) and self.core:
            self.core.clock.advance(self.takes_s)
            if self.again:
                self.core.say(self.again)
        return await super().apply(batch)


async def test_a_record_desired_again_during_the_round_is_not_withdrawn() -> None:
    core = Core(meanwhile := Meanwhile())
    meanwhile.core = core
    async with running(core):
        core.subscribe()
        core.state.want(Kind.VNI, [Vni(100)])
        core.say(FLOOD, via(1, 1))
        await core.settle()
        meanwhile.log.clear()
        meanwhile.again = FLOOD
        core.unsay(FLOOD)
        core.routes(f"+ {A} 1")
        await core.settle()
        assert [line for line in meanwhile.log if "FLOOD" in line] == []


async def test_a_withdrawal_found_late_in_a_long_round_needs_no_further_event() -> None:
    core = Core(meanwhile := Meanwhile())
    meanwhile.core = core
    core.reconciler.routes.batch_rows = 1
    async with running(core):
        core.subscribe()
        core.say(via(1, 1), via(2, 2))
        core.routes(f"+ {A} 1")
        await core.settle()
        meanwhile.takes_s = TURN_S
        core.routes("+ 11.0.0.0/16 2", "+ 12.0.0.0/16 2")
        core.routes(f"+ {A} 2")
        core.routes(f"- {A}")
        await core.settle()
        assert core.datapath.lookup("10.0.0.1") is None
