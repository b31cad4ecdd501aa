"""What a dump of FRR's namespace changes in the bridge at work."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualpath.model import events
from dualpath.model.kinds import Kind
from tests.fakes import shadow
from tests.unit.frr_bridge import test_runtime
from tests.unit.frr_bridge.test_runtime import World, route

world = test_runtime.world  # pytest finds the fixture by this name


async def test_zebra_repeats_its_routes_after_a_vrf_was_replaced_unseen(
    world: World,
) -> None:
    red = shadow.link(900, "red", "vrf", table=1100)
    bridge = world.runtime.bridge
    await world.live(route(1), route(2))
    bridge.receive_netlink(red)
    bridge.begin_dump()
    bridge.receive_netlink(replace(red, index=901))
    bridge.end_dump()
    await world.until(lambda: not world.runtime._fpm.server.connected)
    assert len(world.prefixes) == 2
    await world.live(route(2))
    await world.until(lambda: world.prefixes == {"20.0.2.0/24"})


async def test_check_finds_rows_that_the_kernel_lacks(world: World) -> None:
    """This process's namespace has no such devices: a fresh dump does not repeat the rows."""
    await world.until(lambda: world.runtime._watch.whole)
    await world.live(route(1))
    for message in (*shadow.LINKS, *shadow.ROWS):
        world.runtime.bridge.receive_netlink(message)
    world.controller.send(events.Check(7))
    world.controller.send(events.Check(8))
    await world.until(lambda: world.received.count(events.Checked) == 2)
    first, second = (e for e in world.received.events if isinstance(e, events.Checked))
    assert (first.request, second.request) == (7, 8)
    assert first.differed >= 5
    assert {batch.kind for batch in first.batches} >= {Kind.MAC, Kind.FLOOD, Kind.NEIGHBOR}
    assert second == events.Checked(8, 0)
    assert world.runtime.bridge.records.check is None


async def test_check_that_lost_notifications_is_repeated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumps = iter([2, 2, 1])
    asked: list[int] = []

    async def again() -> int:
        asked.append(next(dumps))
        return asked[-1]

    monkeypatch.setattr(world.runtime._watch, "again", again)
    world.controller.send(events.Check(7))
    await world.until(lambda: world.received.count(events.Checked) == 1)
    assert asked == [2, 2, 1]
