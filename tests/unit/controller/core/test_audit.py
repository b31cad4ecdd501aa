"""An audit compares desired, programmed and observed rows."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator

import numpy as np
import pytest

from controller.core import routeviews
from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood
from dualpath.model.links import Vni
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.routes import RTPROT_KERNEL
from dualpath.model.view import Problem
from tests.fakes.batches import batch
from tests.fakes.core import Core, running

A, B = "10.0.0.0/8", "11.0.0.0/8"
A6 = "2001:db8::/32"
ONE = Nexthop(1, NexthopType.GATEWAY, bytes([192, 168, 1, 1]), "eth1")
TWO = Nexthop(2, NexthopType.GATEWAY, bytes([192, 168, 1, 2]), "eth1")
FLOOD = Flood(100, bytes([10, 0, 0, 1]))
NONE = np.empty(0, np.uint32)


@pytest.fixture
async def core() -> AsyncIterator[Core]:
    made = Core()
    async with running(made):
        made.state.want(Kind.VNI, [Vni(100)])
        made.subscribe()
        yield made


async def found(core: Core, limit: int = 1000) -> list[tuple[str, str, Problem]]:
    await core.settle()
    audited = await core.reconciler.audit(limit)
    return [(row.kind.name, row.text, row.problem) for row in audited.rows]


def refuse(core: Core, prefix: bytes, error: int = errno.ENOMEM) -> None:
    core.datapath.refuse["default", (prefix, 8 if len(prefix) == 4 else 32)] = error


async def test_nothing_differs_where_all_is_taken(core: Core) -> None:
    core.say(ONE, FLOOD)
    core.routes(f"+ {A} 1")
    core.routes(f"+ {A6} 1")
    assert await found(core) == []


async def test_routes_that_were_refused_differ(core: Core) -> None:
    refuse(core, bytes([10, 0, 0, 0]))
    refuse(core, bytes.fromhex("20010db8") + bytes(12))
    core.say(ONE)
    core.routes(f"+ {A} 1", f"+ {B} 1")
    core.routes(f"+ {A6} 1")
    assert await found(core) == [("ROUTE", A, Problem.REFUSED), ("ROUTE", A6, Problem.REFUSED)]


async def test_a_change_that_was_refused_differs_although_the_old_row_is_there(core: Core) -> None:
    core.say(ONE, TWO)
    core.routes(f"+ {A} 1")
    await core.settle()
    refuse(core, bytes([10, 0, 0, 0]))
    core.routes(f"+ {A} 2")
    assert await found(core) == [("ROUTE", A, Problem.REFUSED)]


async def test_records_that_were_refused_differ(core: Core) -> None:
    core.datapath.refuse[Kind.FLOOD, FLOOD.key] = errno.ENOSPC
    core.say(FLOOD)
    assert await found(core) == [("FLOOD", "100 10.0.0.1", Problem.REFUSED)]


async def test_a_route_differs_with_the_nexthop_that_was_refused(core: Core) -> None:
    core.datapath.devices = set()
    core.say(ONE)
    core.routes(f"+ {A} 1")
    rows = await found(core)
    assert [(kind, problem) for kind, _, problem in rows] == [
        ("NEXTHOP", Problem.REFUSED),
        ("ROUTE", Problem.REFUSED),
    ]


async def test_connected_routes_are_no_difference(core: Core) -> None:
    core.say(ONE)
    own = batch(f"+ {A} 1")
    own.protocols[:] = RTPROT_KERNEL
    core.state.learn(events.Changed(own))
    assert await found(core) == []


async def test_a_pending_row_is_no_difference(core: Core) -> None:
    core.say(ONE)
    await core.settle()
    core.routes(f"+ {A} 1")
    audited = await core.reconciler.audit(10)
    assert audited.differed == 0


async def test_a_row_with_two_problems_is_named_once(core: Core) -> None:
    core.say(ONE, TWO)
    core.routes(f"+ {A} 1")
    await core.settle()
    refuse(core, bytes([10, 0, 0, 0]))
    core.routes(f"+ {A} 2")
    await core.settle()
    core.datapath.routes.clear()
    assert await found(core) == [("ROUTE", A, Problem.MISSING)]


async def test_refused_row_that_somebody_changed_is_named_once(core: Core) -> None:
    core.say(ONE, TWO)
    core.routes(f"+ {A} 1")
    await core.settle()
    refuse(core, bytes([10, 0, 0, 0]))
    core.routes(f"+ {A} 2")
    await core.settle()
    table = core.state.rib.table("default", batch(f"+ {A} 1").family)
    found = routeviews.audit(table.rows, [batch(f"+ {A} 9")], NONE)
    assert [problem for problem, _, lengths in found if len(lengths)] == [Problem.DIFFERENT]


async def test_all_rows_are_counted_and_some_are_named(core: Core) -> None:
    core.say(ONE)
    for number in range(10):
        refuse(core, bytes([20 + number, 0, 0, 0]))
    core.routes(*(f"+ {20 + number}.0.0.0/8 1" for number in range(10)))
    assert len(await found(core, limit=3)) == 3
    assert (await core.reconciler.audit(3)).differed == 10


def test_columns_are_compared_without_a_row_each() -> None:
    """Every difference is reported in columns."""
    core = Core()
    table = core.state.rib.table("default", batch(f"+ {A} 1").family)
    table.adopt(batch(f"+ {A} 1", f"+ {B} 1"), now=1.0)
    held = batch(f"+ {A} 2", "+ 12.0.0.0/8 1")
    rows = {p: lengths.tolist() for p, _, lengths in routeviews.audit(table.rows, [held], NONE)}
    assert rows == {
        Problem.DIFFERENT: [8],
        Problem.UNEXPECTED: [8],
        Problem.MISSING: [8],
        Problem.REFUSED: [],
    }
