"""A round costs what changed, whatever else there is: laws of growth, as counts of steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.core.records import RecordTable
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac
from dualpath.model.links import Vni, Vrf
from dualpath.model.nexthops import Member, Nexthop, NexthopType
from tests.fakes.core import Core
from tests.fakes.visits import steps

FEW, MANY = 8, 200


def via(handle: int, last: int = 1) -> Nexthop:
    return Nexthop(handle, NexthopType.GATEWAY, bytes([192, 168, last, handle % 250]), "eth1")


def group(handle: int, *members: int) -> Nexthop:
    return Nexthop(handle, NexthopType.GROUP, members=tuple(Member(one, 1) for one in members))


def core_with(others: int, *, vrfs: bool = True) -> Core:
    """Return one with a group of two nexthops, other groups, MACs, and VRFs with a route each."""
    core = Core()
    core.subscribe()
    core.state.want(Kind.VNI, [Vni(7)])
    core.state.want(Kind.VRF, [Vrf(f"vrf{i}") for i in range(others)])
    core.say(via(1), via(2), via(3))
    core.say(*(via(1000 + i) for i in range(others)))
    core.say(group(4, 1, 2), *(group(5000 + i, 3, 1000 + i) for i in range(others)))
    core.say(*(Mac(7, bytes([2, 0, 0, 0, *divmod(i, 256)]), bytes(4)) for i in range(others)))
    core.routes("+ 10.0.0.0/8 4")
    for i in range(others if vrfs else 0):
        core.routes("+ 10.0.0.0/8 3", vrf=f"vrf{i}")
    round_of(core)
    assert not core.state.rib.busy()
    return core


def round_of(core: Core) -> None:
    asyncio.run(core.reconciler._reconcile())


def nothing(core: Core) -> None:
    round_of(core)


def mac_came(core: Core) -> None:
    core.say(Mac(7, bytes(6), bytes(4)))
    round_of(core)


def route_changed(core: Core) -> None:
    core.routes("+ 10.0.0.0/8 1")
    round_of(core)


def nexthop_changed(core: Core) -> None:
    core.say(via(2, last=9))
    round_of(core)


def nexthop_lost(core: Core) -> None:
    lost = core.state.nexthop_ids.claim(via(2))
    assert core.state.lost_records((lost,))
    round_of(core)
    ids = core.state.nexthop_ids
    wanted = replace(ids.claim(group(4, 1, 2)))
    assert core.state.records[Kind.NEXTHOP].programmed(wanted.id) == wanted


def test_a_lost_nexthop_visits_its_groups_only() -> None:
    few, many = core_with(FEW, vrfs=False), core_with(MANY, vrfs=False)
    nexthop_lost(core_with(0))  # whatever is done once in a process
    assert steps(lambda: nexthop_lost(few)) == steps(lambda: nexthop_lost(many))


@pytest.mark.parametrize("change", [nothing, mac_came, route_changed, nexthop_changed])
def test_a_round_visits_what_is_marked_only(change: Callable[[Core], None]) -> None:
    few, many = core_with(FEW), core_with(MANY)
    change(core_with(0))  # whatever is done once in a process
    more = steps(lambda: change(many)) - steps(lambda: change(few))
    assert more == 0


def test_refused_records_are_found_without_a_search() -> None:
    def table(others: int) -> RecordTable:
        made = RecordTable(Kind.MAC)
        for i in range(others):
            mac = Mac(7, bytes([2, 0, 0, 0, *divmod(i, 256)]), bytes(4))
            made.want(mac, generation=1, session=1, now=1.0)
            made.applied(mac.key, mac)
        bad = Mac(8, bytes(6), bytes(4))
        made.want(bad, generation=1, session=1, now=1.0)
        made.refuse(bad.key, "EPERM", now=1.0)
        made.pending()
        return made

    def look(table: RecordTable) -> None:
        assert table.has_failed()
        assert len(list(table.errors())) == 1
        table.retry()
        assert len(table.pending()) == 1

    few, many = table(FEW), table(MANY)
    assert steps(lambda: look(few)) == steps(lambda: look(many))
