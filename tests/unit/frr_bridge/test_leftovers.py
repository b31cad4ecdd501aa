"""Nexthops end with what needs them: their routes, zebra's id or their device."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from dualpath.model.nexthops import Nexthop
from dualpath.model.routes import RTPROT_KERNEL
from dualpath.netlink.message import attribute
from dualpath.netlink.numbers import RTA_GATEWAY
from frr_bridge.session import Input
from frr_bridge.wire.inline import InlineNexthop
from frr_bridge.wire.link import LinkMessage
from frr_bridge.wire.nexthop import ZebraNexthop
from tests.fakes import shadow
from tests.unit.frr_bridge.test_bridge import World, nexthop, route, withdrawal, world
from tests.unit.frr_bridge.test_lost_links import via
from tests.unit.frr_bridge.wire import build

V6_GATEWAY = bytes.fromhex("fe80000000000000000000000000") + b"\0"


def hops(made: World) -> list[Nexthop]:
    """Return the nexthops that the subscriber has after a collection."""
    made.flush().bridge.collect()
    made.flush()
    return [record for record in made.bus.records.values() if isinstance(record, Nexthop)]


def leg(last: int) -> bytes:
    return attribute(RTA_GATEWAY, bytes([192, 168, 1, last]))


def inline(third: int, *lasts: int) -> bytes:
    """Return a route with its nexthops inside."""
    prefix = bytes([20, 0, third, 0])
    if len(lasts) == 1:
        return build.route(prefix, 24, build.gateway(bytes([192, 168, 1, lasts[0]]), shadow.ETH1))
    legs = build.multipath(*((1, 0, shadow.ETH1, leg(last)) for last in lasts))
    return build.route(prefix, 24, legs)


def inline_v6(third: int, last: int) -> bytes:
    prefix = bytes.fromhex("20010db8") + bytes([third]) + bytes(11)
    return build.route(prefix, 40, build.gateway(V6_GATEWAY + bytes([last]), shadow.ETH1))


def live() -> World:
    made = World()
    made.links()
    return made.live()


@pytest.mark.parametrize("lasts", [(2,), (2, 3)])
def test_inline_nexthops_go_with_their_route(lasts: tuple[int, ...]) -> None:
    made = live()
    made.frames(inline(0, *lasts))
    assert hops(made)
    made.frames(withdrawal())
    assert hops(made) == []


def test_inline_nexthops_go_when_their_route_is_replaced() -> None:
    made = live()
    for last in range(2, 30):
        made.frames(inline(0, last, last + 1))
    assert len(hops(made)) == 3
    made.frames(inline(0, 99))
    assert [hop.gateway[-1] for hop in hops(made)] == [99]


def test_a_nexthop_deleted_before_its_route_goes_after_it() -> None:
    made = world()
    made.bridge.receive_netlink(ZebraNexthop(11, True))
    assert len(hops(made)) == 1
    made.frames(withdrawal())
    assert hops(made) == []


def test_swept_rows_release_their_nexthops_once_announced() -> None:
    made = live()
    made.frames(inline(0, 2, 3))
    made.flush()
    made.bus.credit = 0
    made.bridge.step(Input.LOST)
    made.session(b"")
    made.bridge.collect()
    made.bus.credit = 100
    made.flush()
    assert hops(made) == []


def test_nexthop_known_only_from_fpm_ends_when_fpm_deletes_it() -> None:
    made = live()
    made.bridge.nexthops.from_fpm(nexthop(11))
    made.frames(route())
    assert len(hops(made)) == 1
    made.frames(withdrawal())
    made.bridge.nexthops.from_fpm(ZebraNexthop(11, True))
    assert hops(made) == []


def test_nexthop_known_only_from_fpm_ends_with_its_device() -> None:
    """zebra deletes no nexthop of a connected route over FPM, and the kernel has none."""
    made = live()
    made.bridge.nexthops.from_fpm(nexthop(11))
    assert len(hops(made)) == 1
    down = replace(shadow.link(shadow.ETH1, "eth1"), flags=0)
    made.links(down)
    assert len(hops(made)) == 1  # such a route stays while its device is down
    made.links(replace(down, deleted=True))
    assert hops(made) == []
    made.links(shadow.link(shadow.ETH1, "eth1"))
    made.bridge.nexthops.from_fpm(nexthop(11))
    made.frames(route())
    assert len(hops(made)) == 1
    assert made.bus.prefixes() == {"20.0.0.0/24"}


def test_fpm_does_not_delete_a_nexthop_of_the_kernel() -> None:
    made = world()
    made.bridge.nexthops.from_fpm(ZebraNexthop(11, True))
    made.frames(route(1))
    made.flush()
    assert made.bus.routes["default", "20.0.1.0/24"] == made.bus.routes["default", "20.0.0.0/24"]


ENDS = [
    replace(shadow.link(shadow.ETH1, "eth1"), deleted=True),
    replace(shadow.link(shadow.ETH1, "eth1"), flags=0),
]


@pytest.mark.parametrize("end", ENDS, ids=["deleted", "down"])
@pytest.mark.parametrize("group", [False, True])
def test_nexthops_of_a_device_that_ended_go_with_their_last_route(
    end: LinkMessage, group: bool
) -> None:
    made = world()
    made.bridge.receive_netlink(nexthop(12, 3))
    made.bridge.receive_netlink(ZebraNexthop(13, False, members=((11, 1), (12, 1))))
    made.frames(route(identity=13 if group else 11))
    made.bridge.receive_netlink(end)
    assert hops(made)
    made.frames(withdrawal())
    assert hops(made) == []


LATE = {
    "another id": [nexthop(14)],
    "the same id": [nexthop(11)],
    "deleted and sent again": [ZebraNexthop(11, True), nexthop(11)],
    "a group": [nexthop(14), ZebraNexthop(15, False, members=((14, 1),))],
    "a group of the same id": [ZebraNexthop(15, False, members=((11, 1),))],
}


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
@pytest.mark.parametrize("source", ["kernel", "fpm"])
def test_what_zebra_sends_of_a_device_after_its_end_leaves_nothing(
    late: list[ZebraNexthop], source: str
) -> None:
    """zebra notices the deletion later than we do, and never takes back such a nexthop."""
    made = live()
    if source == "kernel":
        made.bridge.receive_netlink(nexthop(11))
    else:
        made.bridge.nexthops.from_fpm(nexthop(11))
    made.frames(route())
    assert len(hops(made)) == 1
    made.links(ENDS[0])
    for one in late:
        made.bridge.nexthops.from_fpm(one)
    made.frames(withdrawal())
    assert hops(made) == []
    made.links(shadow.link(shadow.ETH1, "eth1"))
    made.bridge.receive_netlink(nexthop(16))
    made.frames(route(1, identity=16))
    assert {hop.device for hop in hops(made) if not hop.members} == {"eth1"}
    assert made.bus.prefixes() == {"20.0.1.0/24"}


def connected(table: int) -> bytes:
    """Return a connected route over nexthop 11; zebra sends it as one of the kernel."""
    nexthop_id = build.by_id(11)
    return build.route(bytes([20, 0, 0, 0]), 24, nexthop_id, table=table, protocol=RTPROT_KERNEL)


@pytest.mark.parametrize("held", [False, True])
def test_connected_routes_end_with_their_device_in_every_table(held: bool) -> None:
    """zebra moves a device by way of the default VRF, and forgets its route there."""
    made = live()
    made.bridge.nexthops.from_fpm(nexthop(11))
    made.bridge.nexthops.from_fpm(nexthop(12, oif=shadow.BR110))
    made.frames(connected(254), connected(1100), route(1, identity=12))
    assert len(hops(made)) == 2
    if held:
        made.dead = True
        made.bridge.step(Input.DIED)
    made.links(ENDS[0])
    made.frames(build.withdrawal(bytes([20, 0, 0, 0]), 24, table=1100))
    if held:
        made.flush()
        assert made.bus.prefixes() == {"20.0.0.0/24", "20.0.1.0/24"}
        assert made.bus.prefixes("red") == {"20.0.0.0/24"}
        made.dead = False
        made.bridge.step(Input.CONVERGED)
    hops(made)  # withdraws the routes
    assert [hop.device for hop in hops(made)] == ["br110"]
    assert (made.bus.prefixes("red"), made.bus.prefixes()) == (set(), {"20.0.1.0/24"})


def test_a_device_that_comes_back_has_its_nexthops_under_the_same_ids() -> None:
    made = world()
    before = made.bus.routes["default", "20.0.0.0/24"]
    made.bridge.receive_netlink(ENDS[1])
    made.links()
    made.bridge.receive_netlink(nexthop(11))
    made.frames(route(1))
    hops(made)
    assert made.bus.routes["default", "20.0.1.0/24"] == before
    made.bridge.receive_netlink(nexthop(11, 9))
    made.flush()
    assert {hop.gateway[-1] for hop in hops(made)} == {9}  # routes bound to the id follow it


def test_a_device_that_ends_while_frr_is_held_leaves_nothing_either() -> None:
    made = world()
    made.dead = True
    made.bridge.step(Input.DIED)
    made.bridge.receive_netlink(ENDS[0])
    made.frames(withdrawal())
    made.dead = False
    made.bridge.step(Input.CONVERGED)
    assert hops(made) == []


def test_a_dump_that_does_not_show_a_nexthop_ends_it() -> None:
    made = world()
    made.bridge.receive_netlink(nexthop(12, 3))
    made.bridge.begin_dump()
    made.links()
    made.bridge.receive_netlink(nexthop(12, 3))
    made.bridge.end_dump()
    made.frames(route(identity=12))
    assert [hop.gateway[-1] for hop in hops(made)] == [3]


def test_a_tenant_made_again_and_again_leaves_nothing() -> None:
    made = live()
    for turn in range(11):
        bridge, vxlan = 100 + 2 * turn, 101 + 2 * turn
        gone = shadow.link(bridge, "br100", "bridge", shadow.RED)
        made.links(gone, shadow.link(vxlan, "vx100", "vxlan", bridge, 100 + turn % 2))
        over_bridge = via(50 + turn, bridge)
        assert isinstance(over_bridge.nexthop, InlineNexthop)
        made.bridge.receive_netlink(
            replace(over_bridge, nexthop=replace(over_bridge.nexthop, onlink=True))
        )
        made.frames(route(identity=50 + turn, table=1100))
        assert {hop.vni for hop in hops(made)} == {100 + turn % 2}
        made.links(shadow.link(vxlan, "vx100", "vxlan", 0, 100 + turn % 2))
        assert {hop.vni for hop in hops(made)} == {100 + turn % 2}
        made.links(replace(gone, deleted=True))
    made.frames(build.withdrawal(bytes([20, 0, 0, 0]), 24, table=1100))
    assert hops(made) == []


@pytest.mark.parametrize("order", ["bridge", "vxlan"])
def test_a_vtep_stays_one_while_its_devices_are_deleted(order: str) -> None:
    made = live()
    over_bridge = via(11, shadow.BR100)
    assert isinstance(over_bridge.nexthop, InlineNexthop)
    made.bridge.receive_netlink(
        replace(over_bridge, nexthop=replace(over_bridge.nexthop, onlink=True))
    )
    made.frames(route(table=1100))
    before = hops(made)
    assert [hop.vni for hop in before] == [100]
    alone = shadow.link(shadow.VX100, "vx100", "vxlan", 0, 100)
    ends = [alone, replace(shadow.link(shadow.BR100, "br100", "bridge"), deleted=True)]
    for end in ends if order == "bridge" else [replace(alone, deleted=True), ends[1]]:
        made.links(end)
        assert hops(made) == before


class Chaos:
    """A zebra that installs, replaces and withdraws routes in every form that there is."""

    def __init__(self, seed: int, *, ids: bool) -> None:
        self.random = random.Random(seed)
        self.made = live()
        self.ids = ids

    def run(self, steps: int) -> None:
        actions = [self._inline, self._inline, self._v6, self._withdraw]
        actions += [self._link, self._restart, self._quiet, self._repeat]
        if self.ids:
            actions += [self._by_id, self._id, self._group, self._forget]
        for _ in range(steps):
            self.random.choice(actions)()

    def end(self) -> list[Nexthop]:
        """Withdraw every route and nexthop; return what is left."""
        for third in range(6):
            self.made.frames(withdrawal(third), withdrawal_v6(third))
        for identity in range(10, 20) if self.ids else ():
            self.made.bridge.receive_netlink(ZebraNexthop(identity, True))
        self.made.bus.credit = 100_000
        return hops(self.made)

    def _inline(self) -> None:
        lasts = self.random.sample(range(2, 8), self.random.randrange(1, 4))
        self.made.frames(inline(self.random.randrange(6), *lasts))

    def _v6(self) -> None:
        self.made.frames(inline_v6(self.random.randrange(6), self.random.randrange(2, 8)))

    def _by_id(self) -> None:
        self.made.frames(route(self.random.randrange(6), self.random.randrange(10, 20)))

    def _id(self) -> None:
        self.made.bridge.receive_netlink(
            nexthop(self.random.randrange(10, 15), self.random.randrange(2, 8))
        )

    def _group(self) -> None:
        members = tuple((m, 1) for m in self.random.sample(range(10, 15), 2))
        identity = self.random.randrange(15, 20)
        self.made.bridge.receive_netlink(ZebraNexthop(identity, False, members=members))

    def _withdraw(self) -> None:
        third = self.random.randrange(6)
        self.made.frames(withdrawal(third), withdrawal_v6(third))

    def _forget(self) -> None:
        self.made.bridge.receive_netlink(ZebraNexthop(self.random.randrange(10, 20), True))

    def _link(self) -> None:
        self.made.links(self.random.choice([*ENDS, shadow.link(shadow.ETH1, "eth1")]))

    def _restart(self) -> None:
        self.made.bridge.step(Input.LOST)
        self.made.session(inline_frames(self.random.randrange(6)))

    def _quiet(self) -> None:
        self.made.bus.credit = self.random.choice([0, 1, 1000])
        self.made.flush().bridge.collect()

    def _repeat(self) -> None:
        self.made.bridge.repeat()
        self.made.bus.records.clear()
        self.made.bus.routes.clear()


def inline_frames(third: int) -> bytes:
    return build.frames(inline(third, 2, 3))


def withdrawal_v6(third: int) -> bytes:
    return build.withdrawal(bytes.fromhex("20010db8") + bytes([third]) + bytes(11), 40)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("ids", [False, True])
def test_nothing_is_left_when_all_routes_are_withdrawn(seed: int, ids: bool) -> None:
    chaos = Chaos(seed, ids=ids)
    for _ in range(3):
        chaos.run(80)
        assert chaos.end() == []
        assert chaos.made.bus.routes == {}
        handles = chaos.made.bridge.handles
        kept = (
            handles.states.contents,
            handles.states._nexthops,
            handles._by_value,
            handles.states.aliases,
        )
        assert [len(table) for table in (*kept, handles.states._unresolved)] == [0] * 5
