"""MACs behind Ethernet segments: NDA_NH_ID in place of NDA_DST."""

from __future__ import annotations

import itertools

import pytest

from dualpath.model.events import Changed
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Mac, Neighbor
from dualpath.model.nexthops import NexthopType
from dualpath.model.records import Record
from dualpath.netlink.message import DecodeError
from dualpath.netlink.numbers import AF_BRIDGE, NTF_EXT_LEARNED, NTF_SELF
from frr_bridge.session import Input
from frr_bridge.wire.inline import InlineNexthop, Unsupported
from frr_bridge.wire.neighbor import NeighborMessage
from frr_bridge.wire.nexthop import ZebraNexthop
from tests.fakes import shadow
from tests.fakes.shadow import BR110, HOST, HOST_MAC, L2VNI, OTHER_VTEP, VTEP, VX110
from tests.unit.frr_bridge.test_bridge import World

ONE, TWO, THREE, GROUP = 268435457, 268435458, 268435459, 536870913
THIRD = bytes([100, 64, 0, 4])
VTEP6 = bytes.fromhex("fd000000000000000000000000000002")
HOST6 = bytes.fromhex("fd00000000000000000000000000000a")


def to(identity: int, vtep: bytes) -> ZebraNexthop:
    return ZebraNexthop(identity, False, nexthop=InlineNexthop(NexthopType.GATEWAY, vtep), fdb=True)


def group(*members: int) -> ZebraNexthop:
    return ZebraNexthop(GROUP, False, members=tuple((m, 1) for m in members), fdb=True)


def behind(mac: bytes = HOST_MAC, nexthop_id: int = GROUP) -> NeighborMessage:
    flags = NTF_SELF | NTF_EXT_LEARNED
    return NeighborMessage(False, AF_BRIDGE, VX110, 2, flags, mac, nexthop_id=nexthop_id)


SEGMENT = (to(ONE, VTEP), to(TWO, OTHER_VTEP), group(ONE, TWO))
HOST_ROWS = (
    shadow.on_bridge(VX110, BR110, HOST_MAC),
    behind(),
    shadow.neighbor(BR110, HOST, HOST_MAC),
    shadow.neighbor(BR110, HOST6, HOST_MAC),
)
MULTIHOMED = Mac(L2VNI, HOST_MAC, segment=GROUP)
NEIGHBORS = {Neighbor(L2VNI, HOST, HOST_MAC), Neighbor(L2VNI, HOST6, HOST_MAC)}


def world(*messages: object) -> World:
    made = World()
    made.links()
    made.live()
    return receive(made, *messages)


def receive(made: World, *messages: object) -> World:
    for one in messages:
        made.bridge.receive_netlink(one)  # type: ignore[arg-type]
    return made.flush()


def records(made: World) -> set[Record]:
    return set(made.bus.records.values())


def both(*vteps: bytes) -> EthernetSegment:
    return EthernetSegment(GROUP, tuple(sorted(vteps)))


def test_a_multihomed_mac_has_all_vteps_and_its_neighbours() -> None:
    made = world(*SEGMENT, *HOST_ROWS)
    assert records(made) == {MULTIHOMED, both(VTEP, OTHER_VTEP), *NEIGHBORS}


def test_nexthops_group_and_rows_may_come_in_any_order() -> None:
    for order in itertools.permutations((*SEGMENT, *HOST_ROWS[:2])):
        made = world(*order)
        assert records(made) == {MULTIHOMED, both(VTEP, OTHER_VTEP)}


def test_vteps_may_be_ipv6() -> None:
    made = world(to(ONE, VTEP6), group(ONE), *HOST_ROWS)
    assert both(VTEP6) in records(made)


def test_a_mac_with_one_vtep_may_become_multihomed_and_single_again() -> None:
    made = world(*shadow.HOST_ROWS, *SEGMENT)
    assert Mac(L2VNI, HOST_MAC, VTEP) in records(made)
    receive(made, behind())
    assert MULTIHOMED in records(made)
    receive(made, shadow.behind(VX110, HOST_MAC, OTHER_VTEP))
    assert Mac(L2VNI, HOST_MAC, OTHER_VTEP) in records(made)
    assert Neighbor(L2VNI, HOST, HOST_MAC) in records(made)


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (group(ONE, TWO, THREE), (VTEP, OTHER_VTEP, THIRD)),
        (group(ONE), (VTEP,)),
        (group(TWO), (OTHER_VTEP,)),
        (ZebraNexthop(TWO, True), (VTEP,)),
        (to(TWO, THIRD), (VTEP, THIRD)),
    ],
)
def test_a_change_of_vteps_is_one_record_for_all_macs(
    change: ZebraNexthop, left: tuple[bytes, ...]
) -> None:
    macs = [bytes([2, 0, 0, 0, 1, i]) for i in range(50)]
    rows = [row for mac in macs for row in (shadow.on_bridge(VX110, BR110, mac), behind(mac))]
    made = world(*SEGMENT, to(THREE, THIRD), *rows)
    made.bus.events.clear()
    receive(made, change)
    sent = [event.batch for event in made.bus.events if isinstance(event, Changed)]
    assert [(batch.kind, len(batch)) for batch in sent if not hasattr(batch, "vrf")] == [
        (Kind.ETHERNET_SEGMENT, 1)
    ]
    assert both(*left) in records(made)


@pytest.mark.parametrize(
    "ends",
    [
        (ZebraNexthop(GROUP, True),),
        (ZebraNexthop(ONE, True), ZebraNexthop(TWO, True)),
        (
            ZebraNexthop(
                GROUP,
                False,
                nexthop=Unsupported("width", DecodeError("width", offset=0)),
                fdb=True,
            ),
        ),
    ],
    ids=["group deleted", "members deleted", "undecodable"],
)
def test_a_segment_without_vteps_takes_its_macs_and_neighbours_along(
    ends: tuple[ZebraNexthop, ...],
) -> None:
    made = world(*SEGMENT, *HOST_ROWS)
    assert records(receive(made, *ends)) == set()
    assert records(receive(made, *SEGMENT)) == {MULTIHOMED, both(VTEP, OTHER_VTEP), *NEIGHBORS}


def test_a_dead_daemon_takes_no_vtep_out_of_a_segment() -> None:
    """Invariant 1."""
    made = world(*SEGMENT, *HOST_ROWS)
    made.dead = True
    made.bridge.step(Input.DIED)
    receive(made, group(ONE))
    assert both(VTEP, OTHER_VTEP) in records(made)
    receive(made, to(THREE, THIRD), group(ONE, THREE))
    assert both(VTEP, OTHER_VTEP, THIRD) in records(made)
    made.dead = False
    made.bridge.step(Input.CONVERGED)
    assert both(VTEP, THIRD) in records(made.flush())


def test_segment_that_is_whole_again_survives_the_sweep_whole() -> None:
    made = world(*SEGMENT, *HOST_ROWS)
    made.dead = True
    made.bridge.step(Input.DIED)
    receive(made, group(ONE), group(ONE, TWO))
    made.dead = False
    made.bridge.step(Input.CONVERGED)
    assert both(VTEP, OTHER_VTEP) in records(made.flush())


def test_segment_that_ended_after_a_sweep_does_not_come_back_with_the_next() -> None:
    made = world(*SEGMENT, *HOST_ROWS)
    for change in (group(ONE), ZebraNexthop(GROUP, True)):
        made.dead = True
        made.bridge.step(Input.DIED)
        receive(made, change)
        made.dead = False
        made.bridge.step(Input.CONVERGED)
        made.flush()
    made.bridge.step(Input.DIED)
    made.bridge.step(Input.CONVERGED)
    assert records(made.flush()) == set()


def test_a_dead_daemon_s_deleted_segment_is_kept_until_the_sweep() -> None:
    made = world(*SEGMENT, *HOST_ROWS)
    made.dead = True
    made.bridge.step(Input.DIED)
    receive(made, ZebraNexthop(GROUP, True))
    assert {MULTIHOMED, both(VTEP, OTHER_VTEP)} <= records(made)
    made.dead = False
    made.bridge.step(Input.CONVERGED)
    assert records(made.flush()) == set()


def test_a_dump_that_does_not_show_a_segment_ends_it() -> None:
    made = world(*SEGMENT, *HOST_ROWS)
    made.bridge.begin_dump()
    made.links()
    receive(made, *SEGMENT[:1], *HOST_ROWS)
    made.bridge.end_dump()
    assert records(made.flush()) == set()


def test_dump_that_repeats_a_segment_changes_nothing() -> None:
    made = world(*SEGMENT, *HOST_ROWS)
    before = records(made)
    made.bridge.begin_dump()
    made.links()
    receive(made, *SEGMENT, *HOST_ROWS)
    made.bridge.end_dump()
    assert records(made.flush()) == before


def test_member_that_becomes_a_group_is_no_vtep() -> None:
    made = world(*SEGMENT, *HOST_ROWS)
    receive(made, ZebraNexthop(ONE, False, members=((THREE, 1),), fdb=True))
    assert both(OTHER_VTEP) in records(made)


def test_group_that_becomes_a_vtep_is_no_segment() -> None:
    made = world(*SEGMENT, *HOST_ROWS)
    receive(made, to(GROUP, VTEP))
    assert records(made) == set()


def test_an_id_of_a_segment_may_become_a_nexthop_of_routes() -> None:
    made = world(*SEGMENT, *HOST_ROWS)
    via = InlineNexthop(NexthopType.GATEWAY, VTEP, shadow.ETH1)
    receive(made, ZebraNexthop(GROUP, False, nexthop=via))
    assert {record.kind for record in records(made)} == {Kind.NEXTHOP}


def test_a_mac_that_names_a_nexthop_of_routes_is_not_remote() -> None:
    via = InlineNexthop(NexthopType.GATEWAY, VTEP, shadow.ETH1)
    made = world(ZebraNexthop(11, False, nexthop=via), HOST_ROWS[0], behind(nexthop_id=11))
    assert {record.kind for record in records(made)} == {Kind.NEXTHOP}
