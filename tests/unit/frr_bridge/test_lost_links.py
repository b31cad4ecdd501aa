"""Links that went down: the kernel removes nexthops without a message."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualpath.model.kinds import Kind
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.netlink.numbers import IFF_LOWER_UP, IFF_RUNNING, IFF_UP
from frr_bridge.wire.inline import InlineNexthop
from frr_bridge.wire.nexthop import ZebraNexthop
from tests.fakes import shadow
from tests.unit.frr_bridge.test_bridge import World, route
from tests.unit.frr_bridge.test_handles import Recorder
from tests.unit.frr_bridge.test_handles import via as single

ETH2 = 20
UP = IFF_UP | IFF_RUNNING | IFF_LOWER_UP
LINKS = [replace(shadow.link(index, f"eth{index}"), flags=UP) for index in (shadow.ETH1, ETH2)]


def via(identity: int, oif: int) -> ZebraNexthop:
    gateway = bytes([192, 168, oif, 2])
    return ZebraNexthop(identity, False, nexthop=InlineNexthop(NexthopType.GATEWAY, gateway, oif))


@pytest.fixture
def made() -> World:
    """Return a live bridge with a route by a group of two uplinks."""
    made = World()
    made.links(*LINKS)
    for nexthop in (via(11, shadow.ETH1), via(12, ETH2)):
        made.bridge.receive_netlink(nexthop)
    made.bridge.receive_netlink(ZebraNexthop(13, False, members=((11, 1), (12, 1))))
    made.live()
    made.frames(route(identity=13))
    return made.flush()


def legs(made: World) -> int:
    """Return the members of the group that the route goes by."""
    found = made.flush().bus.records[Kind.NEXTHOP, made.bus.routes["default", "20.0.0.0/24"]]
    assert isinstance(found, Nexthop)
    return len(found.members)


@pytest.mark.parametrize("left", [IFF_UP, IFF_RUNNING | IFF_LOWER_UP, 0])
def test_groups_lose_the_legs_over_it(made: World, left: int) -> None:
    assert legs(made) == 2
    made.bridge.receive_netlink(replace(LINKS[1], flags=left))
    assert legs(made) == 1
    made.bridge.receive_netlink(LINKS[1])
    made.bridge.receive_netlink(via(12, ETH2))
    made.bridge.receive_netlink(ZebraNexthop(13, False, members=((11, 1), (12, 1))))
    assert legs(made) == 2


def test_a_link_that_is_deleted_is_down(made: World) -> None:
    made.bridge.receive_netlink(replace(LINKS[1], deleted=True))
    assert legs(made) == 1


def test_repeated_link_message_loses_no_nexthop(made: World) -> None:
    made.bridge.receive_netlink(replace(LINKS[1], flags=IFF_UP | IFF_LOWER_UP, mtu=9000))
    assert legs(made) == 2


def test_without_frr_a_cable_counts_and_the_end_of_its_namespace_does_not(made: World) -> None:
    made.dead = True
    made.bridge.receive_netlink(replace(LINKS[0], deleted=True))
    assert legs(made) == 2
    made.bridge.receive_netlink(replace(LINKS[1], flags=IFF_UP))
    assert legs(made) == 1


class Counted:
    """What a nexthop resolves to, and how often somebody asked."""

    def __init__(self, made: World) -> None:
        self.asked = 0
        self._resolve = made.bridge.handles.states._resolve
        made.bridge.handles.states._resolve = self

    def __call__(self, identity: int, nexthop: InlineNexthop) -> Nexthop | None:
        self.asked += 1
        return self._resolve(identity, nexthop)


def test_nexthops_are_looked_at_once_for_a_burst_of_links(made: World) -> None:
    counted = Counted(made)
    for name in ("first", "second", "third"):
        made.bridge.receive_netlink(replace(LINKS[0], name=name))
    made.flush().flush()
    assert counted.asked == 1  # once for the burst; the nexthop over the other link not at all
    devices = {r.device for r in made.bus.records.values() if isinstance(r, Nexthop)}
    assert devices == {"third", f"eth{ETH2}", ""}


def test_unchanged_link_resolves_no_nexthop_again(made: World) -> None:
    counted = Counted(made)
    made.bridge.receive_netlink(replace(LINKS[0], mtu=9000))
    made.flush()
    assert counted.asked == 0


def test_groups_lose_a_device_a_few_at_a_time() -> None:
    recorder = Recorder(2, 3)
    recorder.handles.learn(11, single(1, 2))
    recorder.handles.learn(12, single(2, 3))
    groups = range(20, 30)
    for group in groups:
        recorder.handles.learn_group(group, ((11, 1), (12, group)))
    recorder.handles.remove_from_groups(2)
    recorder.handles.learn_group(28, ((11, 1), (12, 1)))  # as zebra describes it since then
    recorder.handles.forget(29)
    calls = 1
    while recorder.handles.cut(4):
        assert recorder.handles.cutting
        calls += 1
    assert calls == 5  # two groups each, and the one that is gone
    assert not recorder.handles.cutting
    for group in range(20, 28):
        assert recorder.meaning(group) == [(2, group)]
    assert recorder.meaning(28) == [(1, 1), (2, 1)]
