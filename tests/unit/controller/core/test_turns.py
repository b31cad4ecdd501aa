"""A steady stream of routes delays no other kind, and keeps the order of programming."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from controller.core.routeapplier import TURN_S
from datapaths.base import Batch, RowFailure
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.routes import RouteBatch
from tests.fakes.batches import rows_of
from tests.fakes.core import Core, LoggingDatapath, running

A, B, C = "10.0.0.0/8", "11.0.0.0/8", "14.0.0.0/8"
HALVES = ["10.0.0.0/9", "10.128.0.0/9"]
ONE = Nexthop(1, NexthopType.GATEWAY, bytes([192, 168, 1, 1]), "eth1")
TWO = Nexthop(2, NexthopType.GATEWAY, bytes([192, 168, 1, 2]), "eth1")


class Churning(LoggingDatapath):
    """FRR sends more routes while it applies some."""

    churn: Callable[[], None] | None = None

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        if self.churn and isinstance(batch, RouteBatch):
            self.churn()
        return await super().apply(batch)


@pytest.mark.parametrize("rows", [1, 4096])
async def test_a_withdrawal_does_not_wait_for_routes_that_come_all_the_time(rows: int) -> None:
    core = Core(churning := Churning())
    core.reconciler.routes.batch_rows = rows
    words = iter(range(1000))

    def churn() -> None:
        if (word := next(words, None)) is not None:
            core.clock.advance(TURN_S / 10)
            core.routes(f"+ 11.{word // 256}.{word % 256}.0/24 1")

    async with running(core):
        core.subscribe()
        core.say(ONE)
        core.routes(f"+ {A} 1")
        await core.settle()
        core.datapath.log.clear()
        churning.churn = churn
        core.routes(f"- {A}", "+ 12.0.0.0/8 1")
        await core.settle()
        assert core.datapath.log.index(f"- ROUTE {A}") < 20
        assert len(core.datapath.log) > 900


async def test_replacing_routes_go_before_the_withdrawal_however_many_are_queued() -> None:
    core = Core(churning := Churning())
    core.reconciler.routes.batch_rows = 1
    churning.churn = lambda: core.clock.advance(TURN_S / 2)
    async with running(core):
        core.subscribe()
        core.say(ONE, TWO)
        core.routes(f"+ {A} 1")
        await core.settle()
        core.datapath.log.clear()
        core.routes(*(f"+ 11.{i}.0.0/16 2" for i in range(50)), *(f"+ {h} 2" for h in HALVES))
        core.routes(f"- {A}")
        await core.settle()
        assert core.datapath.log[-1] == f"- ROUTE {A}"


class Late(LoggingDatapath):
    """Applies slowly; when it withdraws, FRR replaces another route by two."""

    core: Core | None = None

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        if self.core and isinstance(batch, RouteBatch):
            self.core.clock.advance(TURN_S)
            if rows_of(batch) == {B: 0}:
                self.core.routes(f"+ {HALVES[0]} 2", f"+ {HALVES[1]} 2", f"- {A}")
        return await super().apply(batch)


async def test_late_withdrawals_do_not_overtake_the_routes_that_replace_them() -> None:
    core = Core(late := Late())
    core.reconciler.routes.batch_rows = 1
    async with running(core):
        core.subscribe()
        core.say(ONE, TWO)
        core.routes(f"+ {A} 1", f"+ {B} 1", f"+ {C} 1")
        await core.settle()
        late.core = core
        core.datapath.log.clear()
        core.routes("+ 12.0.0.0/8 1", "+ 13.0.0.0/8 1", f"- {B}", f"- {C}")
        await core.settle()
        assert core.datapath.log[-1] == f"- ROUTE {A}"
        assert len(core.datapath.log) == 7
