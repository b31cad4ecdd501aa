"""Two datapaths with one desired state."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from controller.core.planes import ActiveDatapath, Plane
from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Mac
from dualpath.model.links import Port, Vrf
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.records import RecordBatch
from dualpath.model.routes import Family, Op
from dualpath.model.view import Role
from tests.fakes.batches import batch, rows_of
from tests.fakes.core import PATIENCE_S, Core, LoggingDatapath, running
from tests.unit.controller.core.test_view import view_of

ONE = Nexthop(1, NexthopType.GATEWAY, bytes([192, 168, 1, 1]), "eth1")
TWO = Nexthop(2, NexthopType.GATEWAY, bytes([192, 168, 1, 2]), "eth1")
VTEPS = bytes([100, 64, 0, 2]), bytes([100, 64, 0, 3])


@pytest.fixture
async def core() -> AsyncIterator[Core]:
    made = Core()
    async with running(made):
        made.subscribe()
        made.say(ONE)
        made.routes("+ 10.0.0.0/8 1", "+ 10.1.0.0/16 1")
        made.state.want(Kind.VRF, [Vrf("red", 1100)])
        made.synced()
        await made.settle()
        yield made


@asynccontextmanager
async def second(core: Core, datapath: LoggingDatapath | None = None) -> AsyncIterator[Plane]:
    """Add a standby, and run it for the length of a block."""
    place = datapath or LoggingDatapath()
    plane = Plane("other", place, core.clock, core.outward, core.state)
    plane.takes(await place.capabilities())
    await core.planes.add(plane)
    work = asyncio.create_task(plane.reconciler.run())
    try:
        yield plane
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


async def rest(*planes: Plane) -> None:
    for plane in planes:
        plane.reconciler.wake()
        await asyncio.wait_for(plane.reconciler.at_rest(), PATIENCE_S)


def held(datapath: LoggingDatapath) -> tuple[object, object]:
    """Return all that a datapath has, by contents."""
    routes = {key: dict(rows) for key, rows in datapath.routes.items() if rows}
    return {kind: dict(rows) for kind, rows in datapath.records.items() if rows}, routes


async def test_second_datapath_gets_everything_that_the_first_has(core: Core) -> None:
    async with second(core) as plane:
        await rest(plane)
        assert isinstance(plane.datapath, LoggingDatapath)
        assert held(plane.datapath) == held(core.datapath)
        assert (await plane.reconciler.audit(10)).differed == 0


async def test_both_follow_every_later_change(core: Core) -> None:
    async with second(core) as plane:
        core.planes.learn(events.Changed(RecordBatch(Kind.NEXTHOP, (TWO,))))
        core.planes.learn(
            events.Changed(batch("+ 10.0.0.0/8 2", "- 10.1.0.0/16", "+ 10.2.0.0/16 1"))
        )
        await rest(core.planes.first, plane)
        assert isinstance(plane.datapath, LoggingDatapath)
        assert held(plane.datapath) == held(core.datapath)


@pytest.mark.parametrize("seed", range(20))
async def test_both_hold_the_same_after_any_history(core: Core, seed: int) -> None:
    dice = random.Random(seed)
    async with second(core) as plane:
        for _ in range(60):
            prefix = f"10.{dice.randrange(6)}.0.0/16"
            change = dice.choice([f"+ {prefix} 1", f"+ {prefix} 2", f"- {prefix}"])
            core.planes.learn(events.Changed(RecordBatch(Kind.NEXTHOP, (TWO,))))
            core.planes.learn(events.Changed(batch(change)))
            if dice.random() < 0.1:
                core.planes.subscribed(same_bridge=dice.random() < 0.5)
                core.planes.learn(events.Changed(RecordBatch(Kind.NEXTHOP, (TWO, ONE))))
                core.planes.learn(events.Synced())
            if dice.random() < 0.3:
                await asyncio.sleep(0)
        core.planes.learn(events.Synced())
        await rest(core.planes.first, plane)
        await rest(core.planes.first, plane)
        assert isinstance(plane.datapath, LoggingDatapath)
        assert held(plane.datapath)[1] == held(core.datapath)[1]


async def test_change_while_routes_are_copied_is_not_lost(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.core.rib.COPY_ROWS", 1)
    place = LoggingDatapath()
    plane = Plane("other", place, core.clock, core.outward, core.state)
    copying = asyncio.create_task(core.planes.add(plane))
    await asyncio.sleep(0)
    core.planes.learn(events.Changed(batch("- 10.1.0.0/16", "+ 10.3.0.0/16 1")))
    await copying
    table = plane.state.rib.table("default", Family.INET)
    rows = table.rows.batch(
        table.rows.slots(), table.rows["desired"][table.rows.slots()], Op.UPSERT
    )
    wanted = {prefix for prefix, to in rows_of(rows).items() if to}
    assert wanted == {"10.0.0.0/8", "10.3.0.0/16"}


async def test_rows_that_the_second_holds_already_are_adopted_or_removed(core: Core) -> None:
    place = LoggingDatapath()
    async with second(core, place) as plane:
        await rest(plane)
    core.planes.remove()
    place.records[Kind.VRF]["blue"] = Vrf("blue", 1200)  # left over
    place.log.clear()
    async with second(core, place) as plane:
        await rest(plane)
        assert [line for line in place.log if "ROUTE" in line] == []
        assert "- VRF blue" in place.log
        assert held(place) == held(core.datapath)


async def test_a_datapath_without_segments_gets_macs_with_a_vtep(core: Core) -> None:
    segment, mac = EthernetSegment(7, VTEPS), Mac(110, bytes(6), segment=7)
    core.planes.learn(events.Changed(RecordBatch(Kind.ETHERNET_SEGMENT, (segment,))))
    core.planes.learn(events.Changed(RecordBatch(Kind.MAC, (mac,))))
    plane = Plane("other", LoggingDatapath(), core.clock, core.outward, core.state)
    plane.state.datapath_takes(frozenset({Kind.MAC}))
    (wanted,) = [plane.state.records[Kind.MAC].desired(mac.key)]
    assert isinstance(wanted, Mac)
    assert (wanted.vtep, wanted.segment) == (VTEPS[0], 0)
    assert core.state.records[Kind.MAC].desired(mac.key) == mac


async def test_only_the_active_plane_writes_the_journal_and_acknowledges(core: Core) -> None:
    core.heard.clear()
    async with second(core) as plane:
        await rest(plane)
        assert core.heard == []
        core.planes.activate(plane)
        core.planes.learn(events.Changed(batch("+ 10.4.0.0/16 1")))
        await rest(core.planes.first, plane)
        assert len(core.heard) == 1
        assert (core.planes.first.role, plane.role) == (Role.STANDBY, Role.ACTIVE)


async def test_route_that_only_the_new_active_plane_has_is_acknowledged(core: Core) -> None:
    core.planes.learn(events.SessionChanged(number=1, state="live", acknowledge=True))
    async with second(core) as plane:
        await rest(plane)
        core.settled.clear()
        core.datapath.unavailable = True  # the old one hangs
        core.planes.learn(events.Changed(batch("+ 10.5.0.0/16 1")))
        await rest(plane)
        core.planes.activate(plane)
        assert [list(rows_of(it)) for it in core.settled] == [["10.5.0.0/16"]]


async def test_status_and_audit_name_both(core: Core) -> None:
    view = view_of(core)
    assert view.status().planes == ()
    async with second(core) as plane:
        await rest(plane)
        names = [(it.name, it.role, it.desired == it.programmed) for it in view.status().planes]
        assert names == [("memory", Role.ACTIVE, True), ("other", Role.PREPARING, True)]
        assert isinstance(plane.datapath, LoggingDatapath)
        plane.datapath.records[Kind.VRF].clear()
        found = await view.audit(10)
        assert [(row.text, row.datapath) for row in found.rows] == [("red", "other")]
        plane.datapath.unavailable = True
        plane.suspect_all()
        await rest(plane)
        assert "the datapath other does not answer" in view.status().degraded
        core.planes.activate(plane)
        assert view.datapath_name() == "other"
    core.planes.remove()
    assert view.datapath_name() == "memory"
    assert view.status().planes == ()


async def test_questions_go_to_the_active_datapath(core: Core) -> None:
    asked = ActiveDatapath(core.planes)
    async with second(core) as plane:
        await rest(plane)
        plane.state.want(Kind.PORT, [Port("eth9")])
        await rest(plane)
        assert [port.name for port in await asked.ports()] == []
        core.planes.activate(plane)
        assert [port.name for port in await asked.ports()] == ["eth9"]
