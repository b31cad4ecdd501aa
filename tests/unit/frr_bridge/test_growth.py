"""A change costs what it changes, whatever else there is: laws of growth, as counts of steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from dualpath.model.events import Mirror
from dualpath.model.layer2 import Neighbor
from dualpath.netlink.numbers import IFF_LOWER_UP, IFF_UP
from frr_bridge.mirror import ShadowMirror
from frr_bridge.overlay.overlay import Overlay
from frr_bridge.overlay.rowtable import RowTable
from frr_bridge.wire.inline import InlineNexthop
from frr_bridge.wire.link import LinkMessage
from frr_bridge.wire.nexthop import ZebraNexthop
from tests.fakes import shadow
from tests.fakes.batches import batch
from tests.fakes.visits import allocated, steps
from tests.unit.frr_bridge.overlay.network import Network
from tests.unit.frr_bridge.test_bridge import World, nexthop, route

FEW, MANY = 8, 256
UP = IFF_UP | IFF_LOWER_UP
ETH2, ETH3, ETH4 = 60, 61, 62
LINKS = [replace(shadow.link(i, f"eth{i}"), flags=UP) for i in (shadow.ETH1, ETH2, ETH3, ETH4)]


def group(identity: int, *members: int) -> ZebraNexthop:
    return ZebraNexthop(identity, False, members=tuple((one, 1) for one in members))


def bridge_with_groups(others: int) -> World:
    """Return one with two groups over eth1 and eth2, and others over eth3 and eth4."""
    made = World()
    made.links(*shadow.LINKS[:-1], *LINKS)
    for identity, oif in ((11, shadow.ETH1), (12, ETH2), (13, ETH3), (14, ETH4)):
        made.bridge.receive_netlink(nexthop(identity, oif=oif))
    for i in range(others):
        made.bridge.receive_netlink(nexthop(1000 + i, last=i % 200 + 20, oif=ETH3))
        made.bridge.receive_netlink(group(2000 + i, 13, 14, 1000 + i))
    for identity in (21, 22):
        made.bridge.receive_netlink(nexthop(identity + 10, last=identity - 10))
        made.bridge.receive_netlink(group(identity, 11, 12, identity + 10))
    made.live()
    made.frames(route(identity=21))
    return made.flush()


def link_down(made: World) -> None:
    made.bridge.receive_netlink(replace(LINKS[0], flags=IFF_UP))
    made.flush()


def link_renamed(made: World) -> None:
    made.bridge.receive_netlink(replace(LINKS[0], name="wan0"))
    made.flush()


def link_deleted(made: World) -> None:
    made.bridge.receive_netlink(replace(LINKS[0], deleted=True))
    made.flush()


def member_changed(made: World) -> None:
    made.bridge.receive_netlink(nexthop(31, last=99))
    made.flush()


def member_fails_and_works_again(made: World) -> None:
    made.bridge.receive_netlink(ZebraNexthop(31, False, nexthop=unusable()))
    made.flush()
    made.bridge.receive_netlink(nexthop(31, last=99))
    made.flush()


def group_changed(made: World) -> None:
    made.bridge.receive_netlink(group(21, 11, 12))
    made.flush()


def group_came(made: World) -> None:
    made.bridge.receive_netlink(group(23, 11, 12, 31))
    made.flush()


def id_reused_for_a_group(made: World) -> None:
    made.bridge.receive_netlink(group(31, 11, 12))
    made.flush()


def unusable() -> InlineNexthop:
    return InlineNexthop(nexthop(1).nexthop.type, b"", 0)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [
        link_down,
        link_renamed,
        link_deleted,
        member_changed,
        member_fails_and_works_again,
        group_changed,
        group_came,
        id_reused_for_a_group,
    ],
)
def test_nexthop_change_visits_its_own_groups_only(change: Callable[[World], None]) -> None:
    few, many = bridge_with_groups(FEW), bridge_with_groups(MANY)
    assert steps(lambda: change(few)) == steps(lambda: change(many))


def test_collecting_visits_the_groups_of_what_is_unused() -> None:
    def unused(made: World) -> int:
        made.bridge.receive_netlink(replace(nexthop(31), deleted=True))
        made.bridge.receive_netlink(replace(nexthop(22), deleted=True))
        return steps(made.bridge.collect)

    few, many = bridge_with_groups(FEW), bridge_with_groups(MANY)
    one_more = (unused(many) - unused(few)) / (2 * (MANY - FEW))  # for a nexthop more
    assert one_more < 100  # its id is looked at; its groups and members are not


def vrf(number: int) -> LinkMessage:
    return shadow.link(1000 + number, f"vrf{number}", "vrf", table=1000 + number)


def bridge_with_vrfs(others: int) -> World:
    made = World()
    made.links(*shadow.LINKS, *map(vrf, range(others)))
    made.bridge.receive_netlink(nexthop(11))
    made.live()
    made.frames(*(route(identity=11, table=1000 + i) for i in range(others)))
    made.frames(route())
    return made.flush()


def route_came(made: World) -> None:
    made.frames(route(third=7))
    made.flush()


def route_waited(made: World) -> None:
    made.frames(route(third=8, identity=12))
    made.flush()
    made.bridge.receive_netlink(nexthop(12, last=9))
    made.flush()


def route_programmed(made: World) -> None:
    made.bridge.programmed(batch("+ 20.0.0.0/24 1"))


@pytest.mark.parametrize("change", [route_came, route_waited, route_programmed])
def test_route_change_visits_its_own_vrf_only(change: Callable[[World], None]) -> None:
    few, many = bridge_with_vrfs(FEW), bridge_with_vrfs(MANY)
    assert steps(lambda: change(few)) == steps(lambda: change(many))


def network_with_vnis(others: int) -> Network:
    """Return a network with a MAC, a neighbor and a flood entry in each of many other VNIs."""
    made = Network(*shadow.LINKS, *shadow.ROWS)
    for i in range(others):
        bridge, vxlan, mac = 1000 + i, 5000 + i, bytes([2, 1, 0, 0, *divmod(i, 256)])
        made.receive(
            shadow.link(bridge, f"br{1000 + i}", "bridge"),
            shadow.link(vxlan, f"vx{1000 + i}", "vxlan", bridge, 1000 + i),
            shadow.on_bridge(vxlan, bridge, mac),
            shadow.behind(vxlan, mac, shadow.VTEP),
            shadow.neighbor(bridge, shadow.HOST, mac),
            shadow.flood(vxlan, shadow.VTEP),
        )
    return made


def vxlan_came_again(made: Network) -> None:
    made.receive(replace(shadow.LINKS[4], deleted=True), shadow.LINKS[4])


def mac_moved(made: Network) -> None:
    made.receive(shadow.behind(shadow.VX110, shadow.HOST_MAC, shadow.OTHER_VTEP))


@pytest.mark.parametrize("change", [vxlan_came_again, mac_moved])
def test_layer_2_change_visits_its_own_vni_only(change: Callable[[Network], None]) -> None:
    few, many = network_with_vnis(FEW), network_with_vnis(MANY)
    assert steps(lambda: change(few)) == steps(lambda: change(many))


def segment_changed(others: int) -> Callable[[], None]:
    """Return a change of a segment with one MAC; another segment and other groups have many."""
    made = Network(*shadow.LINKS)
    first, second = ZebraNexthop(1, False, fdb=True), ZebraNexthop(2, False, fdb=True)
    vteps = [shadow.VTEP, shadow.OTHER_VTEP]
    for one, vtep in zip((first, second), vteps, strict=True):
        via = replace(nexthop(1).nexthop, gateway=vtep, oif=0)  # type: ignore[type-var]
        made.overlay.nexthop(replace(one, nexthop=via))
    for i in range(others):
        made.overlay.nexthop(replace(group(100 + i, 1), fdb=True))
        mac = bytes([2, 1, 0, 0, *divmod(i, 256)])
        made.receive(shadow.on_bridge(shadow.VX110, shadow.BR110, mac))
        made.receive(shadow.behind(shadow.VX110, mac, b"")._replace(nexthop_id=100 + i))
    made.overlay.nexthop(replace(group(50, 2), fdb=True))
    made.receive(shadow.on_bridge(shadow.VX110, shadow.BR110, shadow.HOST_MAC))
    made.receive(shadow.behind(shadow.VX110, shadow.HOST_MAC, b"")._replace(nexthop_id=50))

    def change() -> None:
        made.overlay.nexthop(replace(group(50, 1, 2), fdb=True))
        made.overlay.nexthop(replace(second, deleted=True))

    return change


def test_segment_change_visits_its_own_macs_and_groups_only() -> None:
    assert steps(segment_changed(FEW)) == steps(segment_changed(MANY))


def test_mirrored_host_visits_its_own_vni_only() -> None:
    def mirrored(others: int) -> Callable[[], None]:
        overlay: Overlay = network_with_vnis(others).overlay
        mirror = ShadowMirror(overlay)
        mirror._write = lambda kind, rows: []  # type: ignore[method-assign]
        hosts = [Neighbor(1000 + i, shadow.HOST, shadow.HOST_MAC) for i in range(others)]
        mirror.learn(Mirror(neighbors=tuple(hosts)))
        mirror.retry()
        here = Neighbor(shadow.L2VNI, bytes([10, 110, 0, 99]), shadow.HOST_MAC)

        def change() -> None:
            mirror.learn(Mirror(neighbors=(here,)))
            overlay.link(replace(shadow.LINKS[5], deleted=True))
            overlay.link(shadow.LINKS[5])
            mirror.retry()
            mirror.close()

        return change

    assert steps(mirrored(FEW)) == steps(mirrored(MANY))


def test_row_table_copies_one_device_only() -> None:
    def of_one(others: int) -> int:
        rows = RowTable[int]()
        for i in range(others):
            rows[100 + i, b"mac"] = i
        rows[7, b"mac"] = 1
        return allocated(lambda: rows.of(7))

    # Python's own memory differs by some bytes; a copy of all rows takes thousands.
    assert abs(of_one(FEW) - of_one(MANY)) < 1000


def test_row_table_is_a_dictionary() -> None:
    rows = RowTable[int]()
    rows[1, b"a"], rows[1, b"b"], rows[2, b"a"] = 10, 11, 20
    assert (rows[1, b"b"], rows.get((2, b"a")), rows.get((2, b"b")), len(rows)) == (11, 20, None, 3)
    assert rows.pop((1, b"a")) == 10
    assert rows.pop((1, b"a")) is None
    assert rows.pop((3, b"a")) is None
    assert [(1, b"b") in rows, (1, b"a") in rows] == [True, False]
    assert (rows.of(1), rows.of(9), list(rows)) == ([(1, b"b")], [], [(1, b"b"), (2, b"a")])
