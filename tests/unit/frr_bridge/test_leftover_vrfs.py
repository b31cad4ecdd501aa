"""Routes and nexthops end with the VRF that they need, however its end becomes known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frr_bridge.session import Input
from frr_bridge.wire.nexthop import ZebraNexthop
from tests.fakes import shadow
from tests.unit.frr_bridge.test_bridge import World, nexthop, route, withdrawal
from tests.unit.frr_bridge.test_leftovers import hops, live
from tests.unit.frr_bridge.wire import build

RED = shadow.link(shadow.RED, "red", "vrf", table=1100)


def tenant() -> World:
    """Return a bridge that knows a route of VRF `red`, and one of the default VRF."""
    made = live()
    made.bridge.receive_netlink(nexthop(11))
    made.bridge.receive_netlink(nexthop(12, 3))
    made.frames(route(0, table=1100), route(1, identity=12))
    assert (made.flush().bus.prefixes("red"), len(hops(made))) == ({"20.0.0.0/24"}, 2)
    return made


@pytest.mark.parametrize("late", [True, False])
def test_routes_end_with_their_vrf_though_zebra_withdraws_late_or_never(late: bool) -> None:
    made = tenant()
    made.links(replace(RED, deleted=True))
    if late:
        made.frames(build.withdrawal(bytes([20, 0, 0, 0]), 24, table=1100))
    made.bridge.handles.forget(11)
    assert len(hops(made)) == 1
    assert (made.bus.prefixes("red"), made.bus.prefixes()) == (set(), {"20.0.1.0/24"})


def test_a_route_of_a_vrf_that_ended_ends_at_the_next_collection() -> None:
    made = tenant()
    made.links(replace(RED, deleted=True))
    made.flush().frames(route(0, table=1100))
    hops(made)
    assert made.bus.prefixes("red") == set()


def test_a_vrf_that_is_made_again_has_its_routes_again() -> None:
    made = tenant()
    made.links(replace(RED, deleted=True))
    made.flush().links(replace(RED, index=99))
    made.frames(route(0, table=1100))
    hops(made)
    assert made.flush().bus.prefixes("red") == {"20.0.0.0/24"}


def test_vrf_that_moves_to_another_table_leaves_the_new_table_s_routes() -> None:
    made = tenant()
    made.links(replace(RED, deleted=True))
    made.flush().links(replace(RED, index=99, vrf_table=1101))
    made.frames(route(0, table=1101))
    hops(made)
    assert made.flush().bus.prefixes("red") == {"20.0.0.0/24"}


@pytest.mark.parametrize("subscribed", [True, False])
def test_vrf_that_changes_its_table_keeps_only_the_new_table_s_routes(subscribed: bool) -> None:
    """Both devices come in one burst, or nobody listens meanwhile."""
    made = tenant()
    made.frames(route(2, table=1100), route(0, table=1101), route(3, table=1101))
    made.flush()
    made.bus.subscribed = subscribed
    made.links(replace(RED, deleted=True), replace(RED, index=99, vrf_table=1101))
    made.flush().bus.subscribed = True
    hops(made)
    assert made.bus.prefixes("red") == {"20.0.0.0/24", "20.0.3.0/24"}
    assert len(made.bridge.rib) == 3  # with that of the default VRF


@pytest.mark.parametrize("index", [shadow.RED, 99], ids=["renamed", "replaced"])
@pytest.mark.parametrize("subscribed", [True, False])
def test_the_next_vrf_of_a_table_leaves_no_route_under_the_name_before(
    index: int, subscribed: bool
) -> None:
    made = tenant()
    made.bus.subscribed = subscribed
    made.links(
        *[replace(RED, deleted=True)] * (index == 99), replace(RED, name="blue", index=index)
    )
    made.frames(route(3, table=1100))
    made.flush().bus.subscribed = True
    hops(made)
    assert made.bus.prefixes("red") == set()
    renamed = {"20.0.0.0/24"} if index == shadow.RED else set()
    assert made.bus.prefixes("blue") == {"20.0.3.0/24"} | renamed


def test_vrf_recreated_in_one_burst_has_only_repeated_routes() -> None:
    made = tenant()
    made.links(replace(RED, deleted=True), replace(RED, index=99))
    made.frames(route(3, table=1100))
    hops(made)
    assert made.bus.prefixes("red") == {"20.0.3.0/24"}
    assert made.replays == 0


def test_two_vrfs_that_swap_their_names_swap_their_routes() -> None:
    made = tenant()
    blue = shadow.link(99, "blue", "vrf", table=1101)
    made.links(blue)
    made.frames(route(0, table=1101), route(3, table=1101))
    hops(made)
    made.links(replace(RED, name="blue"), replace(blue, name="red"))
    hops(made)
    assert made.bus.prefixes("red") == {"20.0.0.0/24", "20.0.3.0/24"}
    assert made.bus.prefixes("blue") == {"20.0.0.0/24"}


def test_deletions_by_dump_and_by_notification_leave_the_same() -> None:
    made = tenant()
    made.bridge.nexthops.from_fpm(
        nexthop(21, 9)
    )  # of a connected route: the kernel has no such nexthop
    assert len(hops(made)) == 3
    made.bridge.begin_dump()
    made.bridge.end_dump()
    hops(made)
    assert made.bus.prefixes("red") == set()
    made.frames(withdrawal(1))
    assert hops(made) == []


@pytest.mark.parametrize("name", ["red", "blue"])
def test_zebra_repeats_all_when_only_a_dump_shows_that_a_vrf_was_replaced(name: str) -> None:
    made = tenant()
    made.frames(route(3, table=1100))
    made.bridge.begin_dump()
    made.links(replace(RED, index=99, name=name), shadow.link(shadow.ETH1, "eth1"))
    made.bridge.end_dump()
    assert made.replays == 1
    made.bridge.step(Input.LOST)
    made.bridge.receive_netlink(nexthop(11))
    made.session(build.frames(route(3, table=1100)))
    hops(made)
    assert made.bus.prefixes(name) == {"20.0.3.0/24"}
    assert made.bus.prefixes("red") == ({"20.0.3.0/24"} if name == "red" else set())
    assert made.replays == 1


@pytest.mark.parametrize("caught_up", [True, False])
def test_zebra_repeats_all_when_routes_came_ahead_of_the_end_of_a_vrf(caught_up: bool) -> None:
    made = tenant()
    made.frames(route(3, table=1100), in_order=False)
    if caught_up:
        made.bridge.caught_up()
    made.links(replace(RED, deleted=True), replace(RED, index=99))
    assert made.replays == (0 if caught_up else 1)


def test_deleted_vrfs_leave_no_table() -> None:
    made = live()
    for turn in range(50):
        vrf = shadow.link(500 + turn, "red", "vrf", table=2000 + turn)
        made.links(vrf)
        made.bridge.receive_netlink(nexthop(11))
        made.frames(route(0, table=2000 + turn))
        assert len(hops(made)) == 1
        made.links(replace(vrf, deleted=True))
        made.bridge.receive_netlink(ZebraNexthop(11, True))
        assert hops(made) == []
    assert len(made.bridge.rib._tables) == 0


def test_routes_stay_when_the_vrf_ends_with_frrs_namespace() -> None:
    made = tenant()
    made.bridge.step(Input.LOST)
    made.links(replace(RED, deleted=True))
    hops(made)
    assert made.bus.prefixes("red") == {"20.0.0.0/24"}
