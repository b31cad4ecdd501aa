"""From the control namespace's rows to records: by VNI and by name, in whatever order."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Mac, Neighbor, RemoteVtep
from dualpath.model.nexthops import V4_MAPPED, Nexthop, NexthopType
from dualpath.model.records import Key, Record
from frr_bridge.overlay import Overlay
from frr_bridge.wire.inline import InlineNexthop
from frr_bridge.wire.link import LinkMessage
from frr_bridge.wire.neighbor import NTF_EXT_LEARNED, NTF_ROUTER, NTF_STICKY, NeighborMessage
from frr_bridge.wire.netlink import AF_BRIDGE
from tests.fakes.shadow import (
    AC110,
    BR100,
    BR110,
    ETH1,
    FLOOD_ROWS,
    HOST,
    HOST_MAC,
    HOST_ROWS,
    L2VNI,
    L3VNI,
    LINKS,
    OTHER_VTEP,
    ROUTER_MAC,
    ROUTER_ROWS,
    ROWS,
    VTEP,
    VX100,
    VX110,
    behind,
    flood,
    link,
    neighbor,
    on_bridge,
)

HOST_RECORDS = {Mac(L2VNI, HOST_MAC, VTEP), Neighbor(L2VNI, HOST, HOST_MAC)}
ROUTER_RECORDS = {RemoteVtep(L3VNI, VTEP, ROUTER_MAC)}  # its MAC is no host's
FLOOD_RECORDS = {Flood(L2VNI, VTEP), Flood(L2VNI, OTHER_VTEP)}
ALL_RECORDS = HOST_RECORDS | ROUTER_RECORDS | FLOOD_RECORDS


class Listener:
    """An overlay and what it wants, with what was withdrawn and what had moved."""

    def __init__(self, *said: LinkMessage | NeighborMessage) -> None:
        self.wanted: dict[tuple[Kind, Key], Record] = {}
        self.news = 0
        self.withdrawn: list[tuple[Kind, Key]] = []
        self.moved: list[tuple[Kind, Key]] = []
        self.overlay = Overlay(self._want, self._withdraw, self._moved)
        self.hear(*said)

    def hear(self, *said: LinkMessage | NeighborMessage) -> None:
        for one in said:
            if isinstance(one, LinkMessage):
                self.overlay.link(one)
            else:
                self.overlay.neighbor(one)

    @property
    def records(self) -> set[Record]:
        return set(self.wanted.values())

    def _want(self, record: Record) -> None:
        self.news += self.wanted.get((record.kind, record.key)) != record
        self.wanted[record.kind, record.key] = record

    def _withdraw(self, kind: Kind, key: Key) -> None:
        del self.wanted[kind, key]  # what is withdrawn was wanted
        self.withdrawn.append((kind, key))

    def _moved(self, kind: Kind, key: Key) -> None:
        del self.wanted[kind, key]
        if key != (L3VNI, ROUTER_MAC):  # which turned out to be a router's
            self.moved.append((kind, key))


def dump(listener: Listener, *said: LinkMessage | NeighborMessage) -> None:
    listener.overlay.begin()
    listener.hear(*said)
    listener.overlay.end()


def test_rows_become_records_of_their_vni() -> None:
    listener = Listener(*LINKS, *ROWS)
    assert listener.records == ALL_RECORDS
    assert listener.withdrawn == []


@pytest.mark.parametrize("seed", range(40))
def test_rows_may_come_in_any_order(seed: int) -> None:
    said: list[LinkMessage | NeighborMessage] = [*LINKS, *ROWS]
    random.Random(seed).shuffle(said)
    assert Listener(*said).records == ALL_RECORDS


@pytest.mark.parametrize("seed", range(40))
def test_rows_may_go_in_any_order(seed: int) -> None:
    listener = Listener(*LINKS, *ROWS)
    rows = list(ROWS)
    random.Random(seed).shuffle(rows)
    listener.hear(*(replace(row, deleted=True) for row in rows))
    assert listener.records == set()
    assert listener.moved == []


def test_the_same_rows_twice_are_no_news() -> None:
    """Invariant 4."""
    listener = Listener(*LINKS, *ROWS)
    news = listener.news
    listener.hear(*LINKS, *ROWS)
    dump(listener, *LINKS, *ROWS)
    assert (listener.news, listener.withdrawn) == (news, [])


def test_what_a_dump_does_not_repeat_is_gone() -> None:
    listener = Listener(*LINKS, *ROWS)
    dump(listener, *LINKS, *HOST_ROWS, flood(VX110, VTEP))
    assert listener.records == HOST_RECORDS | {Flood(L2VNI, VTEP)}
    assert listener.moved == []


def test_a_row_that_is_notified_during_a_dump_stays() -> None:
    listener = Listener(*LINKS)
    listener.overlay.begin()
    listener.hear(*LINKS, *HOST_ROWS)
    listener.hear(replace(HOST_ROWS[2], deleted=True))
    listener.overlay.end()
    assert listener.records == {Mac(L2VNI, HOST_MAC, VTEP)}


def test_a_dump_without_devices_withdraws_all() -> None:
    listener = Listener(*LINKS, *ROWS)
    dump(listener)
    assert (listener.records, listener.overlay.links, listener.moved) == (set(), {}, [])


def test_a_router_mac_makes_a_vtep_and_a_host_a_neighbour() -> None:
    listener = Listener(*LINKS, *ROUTER_ROWS)
    listener.hear(neighbor(BR100, HOST, ROUTER_MAC))
    assert listener.records == {*ROUTER_RECORDS, Neighbor(L3VNI, HOST, ROUTER_MAC)}


def test_both_forms_of_a_vtep_s_address_are_one_record() -> None:
    plain, mapped = ROUTER_ROWS[2:]
    listener = Listener(*LINKS, *ROUTER_ROWS)
    listener.hear(replace(plain, deleted=True))
    assert listener.records == ROUTER_RECORDS
    listener.hear(replace(mapped, deleted=True))
    assert listener.records == set()


def test_router_mac_that_left_may_come_back_as_a_host_s() -> None:
    listener = Listener(*LINKS, *ROUTER_ROWS)
    listener.hear(*(replace(row, deleted=True) for row in ROUTER_ROWS))
    listener.hear(*ROUTER_ROWS[:2])
    assert listener.records == {Mac(L3VNI, ROUTER_MAC, VTEP)}


def test_a_vtep_s_new_router_mac_replaces_the_old_one() -> None:
    new = bytes.fromhex("aabbcc000099")
    listener = Listener(*LINKS, *ROUTER_ROWS)
    listener.hear(on_bridge(VX100, BR100, new), behind(VX100, new, VTEP))
    listener.hear(neighbor(BR100, VTEP, new), neighbor(BR100, V4_MAPPED + VTEP, new))
    assert RemoteVtep(L3VNI, VTEP, new) in listener.records
    assert listener.withdrawn == []


def test_a_mac_that_moves_to_another_vtep_is_replaced() -> None:
    listener = Listener(*LINKS, *HOST_ROWS)
    listener.hear(behind(VX110, HOST_MAC, OTHER_VTEP))
    assert Mac(L2VNI, HOST_MAC, OTHER_VTEP) in listener.records
    assert (listener.withdrawn, listener.moved) == ([], [])


def test_a_mac_that_moves_here_has_moved() -> None:
    """zebra leaves the VXLAN device's own row behind: the bridge's row decides."""
    listener = Listener(*LINKS, *HOST_ROWS)
    listener.hear(on_bridge(AC110, BR110, HOST_MAC))
    assert listener.records == set()
    assert listener.moved == [(Kind.MAC, (L2VNI, HOST_MAC))]
    assert listener.withdrawn == [(Kind.NEIGHBOR, (L2VNI, HOST))]


def test_a_mac_that_moves_away_again_is_remote_again() -> None:
    listener = Listener(*LINKS, *HOST_ROWS)
    listener.hear(on_bridge(AC110, BR110, HOST_MAC))
    listener.hear(on_bridge(VX110, BR110, HOST_MAC), behind(VX110, HOST_MAC, OTHER_VTEP))
    assert listener.records == {
        Mac(L2VNI, HOST_MAC, OTHER_VTEP),
        Neighbor(L2VNI, HOST, HOST_MAC),
    }


def test_the_deletion_of_an_old_port_s_row_says_nothing_of_the_new_one() -> None:
    listener = Listener(*LINKS, *HOST_ROWS)
    listener.hear(on_bridge(AC110, BR110, HOST_MAC, deleted=True))
    assert listener.records == HOST_RECORDS


@pytest.mark.parametrize("first", [0, 1])
def test_a_mac_that_goes_is_withdrawn_whichever_row_goes_first(first: int) -> None:
    """Only a local row is a move: a dying daemon's withdrawals must be held."""
    listener = Listener(*LINKS, *HOST_ROWS)
    for row in (HOST_ROWS[first], HOST_ROWS[1 - first]):
        listener.hear(replace(row, deleted=True))
    assert listener.moved == []
    assert (Kind.MAC, (L2VNI, HOST_MAC)) in listener.withdrawn


def test_a_vxlan_device_that_goes_withdraws_and_moves_nothing() -> None:
    listener = Listener(*LINKS, *ROWS)
    listener.hear(replace(LINKS[4], deleted=True))
    assert listener.records == ROUTER_RECORDS
    assert listener.moved == []


def test_a_vxlan_device_that_leaves_its_bridge_and_comes_back() -> None:
    listener = Listener(*LINKS, *ROWS)
    listener.hear(replace(LINKS[4], master=0))
    assert listener.records == ROUTER_RECORDS | FLOOD_RECORDS
    listener.hear(LINKS[4])
    assert listener.records == ALL_RECORDS


def test_another_vni_takes_its_records_along() -> None:
    listener = Listener(*LINKS, *HOST_ROWS, *FLOOD_ROWS)
    listener.hear(replace(LINKS[4], vxlan_id=120))
    assert listener.records == {
        Mac(120, HOST_MAC, VTEP),
        Neighbor(120, HOST, HOST_MAC),
        Flood(120, VTEP),
        Flood(120, OTHER_VTEP),
    }


def test_a_bridge_s_own_mac_is_nobody_s() -> None:
    listener = Listener(*LINKS, on_bridge(VX110, BR110, HOST_MAC, state=0x80), HOST_ROWS[1])
    assert listener.records == set()


def test_a_neighbour_that_is_not_zebra_s_is_nothing_to_us() -> None:
    listener = Listener(*LINKS, *HOST_ROWS[:2], neighbor(BR110, HOST, HOST_MAC, flags=0))
    assert listener.records == {Mac(L2VNI, HOST_MAC, VTEP)}
    assert not listener.overlay.is_remote(BR110, HOST)


def test_a_neighbour_that_zebra_lets_go_of_is_withdrawn() -> None:
    listener = Listener(*LINKS, *HOST_ROWS)
    assert listener.overlay.is_remote(BR110, HOST)
    listener.hear(neighbor(BR110, HOST, HOST_MAC, flags=0))
    assert listener.records == {Mac(L2VNI, HOST_MAC, VTEP)}


def test_a_neighbour_we_mirrored_ourselves_is_not_remote() -> None:
    """Its MAC is local."""
    listener = Listener(*LINKS, on_bridge(AC110, BR110, HOST_MAC), HOST_ROWS[2])
    assert listener.records == set()


def test_a_neighbour_with_another_mac_follows_that_mac() -> None:
    other = bytes.fromhex("02000000000b")
    listener = Listener(*LINKS, *HOST_ROWS)
    listener.hear(neighbor(BR110, HOST, other))
    assert listener.records == {Mac(L2VNI, HOST_MAC, VTEP)}
    listener.hear(on_bridge(VX110, BR110, other), behind(VX110, other, VTEP))
    assert Neighbor(L2VNI, HOST, other) in listener.records


def test_flags_go_along() -> None:
    listener = Listener(*LINKS, HOST_ROWS[1])
    listener.hear(on_bridge(VX110, BR110, HOST_MAC, flags=NTF_STICKY))
    listener.hear(neighbor(BR110, HOST, HOST_MAC, flags=NTF_EXT_LEARNED | NTF_ROUTER))
    assert listener.records == {
        Mac(L2VNI, HOST_MAC, VTEP, sticky=True),
        Neighbor(L2VNI, HOST, HOST_MAC, router=True),
    }


def test_a_message_on_a_bridge_port_is_not_one_on_the_device() -> None:
    listener = Listener(*LINKS, *HOST_ROWS)
    listener.hear(LinkMessage(True, AF_BRIDGE, VX110, "vx110"))
    assert listener.records == HOST_RECORDS


def test_the_double_of_a_row_in_a_vlan_is_not_the_row() -> None:
    """A bridge with a default PVID repeats each row with the VLAN, and deletes that one alone."""
    listener = Listener(*LINKS, *HOST_ROWS)
    listener.hear(replace(on_bridge(VX110, BR110, HOST_MAC, deleted=True), vlan=1))
    assert listener.records == HOST_RECORDS


def test_rows_of_devices_that_are_no_overlay_are_nothing_to_us() -> None:
    listener = Listener(*LINKS)
    listener.hear(behind(ETH1, HOST_MAC, b""), flood(ETH1, VTEP), neighbor(ETH1, VTEP, ROUTER_MAC))
    listener.hear(replace(LINKS[6], deleted=True), replace(LINKS[6], deleted=True))
    assert listener.records == set()


def test_vrfs_are_named_by_their_tables() -> None:
    assert Listener(*LINKS).overlay.vrfs() == {254: "default", 1100: "red"}


def test_shadow_devices_are_found_by_vni() -> None:
    overlay = Listener(*LINKS).overlay
    assert (overlay.bridge_of(L2VNI), overlay.access_port(L2VNI)) == (BR110, AC110)
    assert (overlay.bridge_of(999), overlay.access_port(999)) == (0, 0)


def test_an_access_port_is_the_device_that_has_the_name_now() -> None:
    overlay = Listener(*LINKS).overlay
    port = LINKS[AC110 - 1]
    overlay.link(replace(port, name="old110"))
    assert overlay.access_port(L2VNI) == 0
    overlay.link(replace(port, index=50))
    overlay.link(replace(port, deleted=True))  # late: that of the old one
    assert overlay.access_port(L2VNI) == 50
    overlay.link(replace(port, index=50, deleted=True))
    assert overlay.access_port(L2VNI) == 0


GATEWAY = InlineNexthop(NexthopType.GATEWAY, bytes([192, 168, 1, 2]), ETH1)
OVERLAY = InlineNexthop(NexthopType.GATEWAY, VTEP, BR100, onlink=True)


def test_a_gateway_is_resolved_to_its_device() -> None:
    overlay = Listener(*LINKS).overlay
    assert overlay.resolve(7, GATEWAY) == Nexthop(7, NexthopType.GATEWAY, GATEWAY.gateway, "eth1")
    device = InlineNexthop(NexthopType.DEVICE, oif=BR110)
    assert overlay.resolve(7, device) == Nexthop(7, NexthopType.DEVICE, device="br110")


def test_a_gateway_on_an_l3vni_s_bridge_is_a_vtep() -> None:
    overlay = Listener(*LINKS).overlay
    expected = Nexthop(7, NexthopType.GATEWAY, VTEP, vni=L3VNI, onlink=True)
    assert overlay.resolve(7, OVERLAY) == expected
    mapped = replace(OVERLAY, gateway=V4_MAPPED + VTEP)
    found = overlay.resolve(7, mapped)
    assert found == replace(expected, gateway=V4_MAPPED + VTEP)
    assert found is not None
    assert found.vtep == VTEP


def test_device_with_the_index_of_a_deleted_bridge_leads_to_no_vtep() -> None:
    listener = Listener(*LINKS)
    listener.hear(replace(LINKS[BR100 - 1], deleted=True), link(BR100, "eth9"))
    assert listener.overlay.resolve(7, OVERLAY) == Nexthop(
        7, NexthopType.GATEWAY, VTEP, "eth9", onlink=True
    )


def test_gateway_on_an_l3vni_s_bridge_that_is_not_on_link_is_a_host_there() -> None:
    found = Listener(*LINKS).overlay.resolve(7, replace(OVERLAY, onlink=False))
    assert found == Nexthop(7, NexthopType.GATEWAY, VTEP, "br100")


def test_zebra_s_own_word_on_the_vni_counts_without_any_device() -> None:
    said = InlineNexthop(NexthopType.GATEWAY, VTEP, 99, vni=L3VNI)
    assert Listener().overlay.resolve(7, said) == Nexthop(
        7, NexthopType.GATEWAY, VTEP, vni=L3VNI, onlink=True
    )


def test_what_leaves_by_an_unknown_device_waits() -> None:
    assert Listener().overlay.resolve(7, GATEWAY) is None
    assert Listener(link(99, "other")).overlay.resolve(7, GATEWAY) is None


def test_a_blackhole_needs_no_device() -> None:
    said = InlineNexthop(NexthopType.BLACKHOLE)
    assert Listener().overlay.resolve(7, said) == Nexthop(7, NexthopType.BLACKHOLE)


def test_neighbours_that_went_leave_nothing_behind() -> None:
    overlay = Overlay(lambda record: None, lambda kind, key: None, lambda kind, key: None)
    for number in range(3):
        row = replace(HOST_ROWS[-1], lladdr=bytes([2, 0, 0, 0, 0, number]))
        overlay.neighbor(row)
        overlay.neighbor(replace(row, deleted=True))
    assert not overlay._addresses_of
