"""A datapath that becomes unavailable during the dump at the controller's start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from controller.core.nexthop_ids import FIRST_ID
from datapaths.base import Batch, Unavailable
from dualpath.model.kinds import Kind
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.records import RecordBatch
from tests.fakes.core import Core, LoggingDatapath, running


def via(handle: int) -> Nexthop:
    return Nexthop(handle, NexthopType.GATEWAY, bytes([192, 168, 1, 1]), "eth1")


class Starting(LoggingDatapath):
    """Becomes unavailable once, before the dump of its routes."""

    away = True

    async def dump(self, kind: Kind) -> AsyncIterator[Batch]:
        if kind is Kind.ROUTE and self.away:
            self.away = False
            raise Unavailable("started again")
        async for said in super().dump(kind):
            yield said


async def test_rows_lost_during_a_dump_are_programmed_again() -> None:
    core = Core(Starting())
    await core.datapath.apply(RecordBatch(Kind.NEXTHOP, (replace(via(1), id=FIRST_ID),)))
    with pytest.raises(Unavailable):
        await core.reconciler.adopt()
    core.datapath.records[Kind.NEXTHOP].clear()
    async with running(core):
        core.subscribe()
        core.say(via(1))
        core.routes("+ 10.1.0.0/16 1")
        await core.settle()
        assert [nexthop.id for nexthop in core.nexthops()] == [FIRST_ID]
        assert core.datapath.lookup("10.1.0.1") == FIRST_ID
