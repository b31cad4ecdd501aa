"""Which announcements of local hosts remove a remote neighbor or MAC, and for how long."""

from __future__ import annotations

import pytest

from datapaths.base import LearnedNeighbor
from datapaths.conformance.batches import withdraw
from datapaths.grout.picture.takeovers import Takeovers
from datapaths.grout.ports.names import device_of, wire_of
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.bridges import FdbEntry
from datapaths.grout.wire.ifaces import BridgeInfo, Iface, PortInfo
from datapaths.linux.wire.announcements import Announcement
from dualpath.model.layer2 import Mac, Neighbor
from tests.unit.datapaths.grout.test_learning import BRIDGE, VNI, Node
from tests.unit.datapaths.grout.test_plan import HOST_MAC, OTHER, VTEP

BRIDGE_MAC, REMOTE_MAC = bytes.fromhex("00f30000006f"), bytes.fromhex("0200000000bb")
REMOTE = Neighbor(VNI, OTHER, REMOTE_MAC)
GRATUITOUS = Announcement(OTHER, HOST_MAC, gratuitous=True)
LEG = device_of("pe-b")


class Segment(Node):
    """A bridge with one local leg, and a remote host."""

    def __init__(self, devargs: str = "net_tap_pe-b,iface=w-pe-b") -> None:
        super().__init__()
        self.ifaces.put(
            Iface(
                type=n.GR_IFACE_TYPE_PORT,
                id=9,
                name="pe-b",
                mode=n.GR_IFACE_MODE_BRIDGE,
                domain=BRIDGE,
                info=PortInfo(devargs=devargs),
            )
        )
        bridge = self.ifaces.get(BRIDGE)
        assert bridge
        assert isinstance(bridge.info, BridgeInfo)
        self.takeovers = Takeovers(
            self.ifaces, self.hops, self.bridges, self.learning, self.subnets
        )
        self.make(REMOTE)

    def take_over(self) -> None:
        takeover = self.takeovers.find(LEG, GRATUITOUS)
        assert takeover
        assert takeover.neighbor == REMOTE
        self.planner.release(REMOTE)


def test_announcement_of_a_remote_address_removes_it_and_is_repeated() -> None:
    segment = Segment()
    takeover = segment.takeovers.find(LEG, GRATUITOUS)
    assert takeover
    assert (takeover.wire, takeover.neighbor, takeover.entry) == (wire_of("pe-b"), REMOTE, None)


def test_announcement_of_a_remote_mac_removes_its_entry() -> None:
    segment = Segment()
    segment.make(Mac(VNI, HOST_MAC, VTEP))
    takeover = segment.takeovers.find(LEG, Announcement(bytes([10, 0, 0, 77]), HOST_MAC, True))
    assert takeover
    assert takeover.neighbor is None
    assert takeover.entry
    assert takeover.entry.mac == HOST_MAC


@pytest.mark.parametrize(
    ("device", "announcement"),
    [
        ("n-other", GRATUITOUS),
        ("w-pe-b", GRATUITOUS),  # grout's own frames
        (LEG, Announcement(OTHER, REMOTE_MAC, gratuitous=True)),  # the MAC that FRR already has
        (LEG, Announcement(bytes([10, 0, 0, 77]), HOST_MAC, gratuitous=True)),
    ],
)
def test_other_announcements_change_nothing(device: str, announcement: Announcement) -> None:
    assert Segment().takeovers.find(device, announcement) is None


@pytest.mark.parametrize("gratuitous", [True, False])
def test_only_an_unsolicited_ipv6_announcement_removes_a_neighbor(gratuitous: bool) -> None:
    segment = Segment()
    address = bytes.fromhex("20010db8") + bytes(11) + b"\5"
    segment.make(Neighbor(VNI, address, REMOTE_MAC))
    takeover = segment.takeovers.find(LEG, Announcement(address, HOST_MAC, gratuitous))
    assert bool(takeover) == gratuitous


def test_announcement_outside_the_subnets_changes_nothing() -> None:
    segment = Segment()
    segment.subnets.put(BRIDGE, bytes([203, 0, 113, 1]), 24)
    assert segment.takeovers.find(LEG, GRATUITOUS) is None


def test_driver_without_a_wire_repeats_no_frame() -> None:
    takeover = Segment("net_af_packet0,iface=n-pe-b").takeovers.find(LEG, GRATUITOUS)
    assert takeover
    assert takeover.wire == ""


def test_taken_over_neighbor_counts_as_programmed_until_withdrawn() -> None:
    segment = Segment()
    segment.take_over()
    assert segment.hops.at(2, OTHER, BRIDGE) is None
    assert list(segment.hops.neighbors()) == [REMOTE]
    segment.make(REMOTE)
    assert segment.sent == []
    assert segment.apply(withdraw(REMOTE)) == []
    assert list(segment.hops.neighbors()) == []


def test_host_that_moved_away_again_replaces_the_local_entry() -> None:
    segment = Segment()
    segment.take_over()
    moved = Neighbor(VNI, OTHER, VTEP + b"\2\2")
    segment.make(moved)
    assert segment.sent == ["GR_NH_ADD"]
    assert list(segment.hops.neighbors()) == [moved]


def test_remote_host_returns_unless_grout_learns_the_local_one() -> None:
    segment = Segment()
    segment.take_over()
    assert list(segment.takeovers.unconfirmed()) == []  # it may be under way
    assert list(segment.takeovers.unconfirmed()) == [REMOTE]
    assert list(segment.hops.neighbors()) == []


def test_remote_host_returns_when_the_local_one_is_lost() -> None:
    segment = Segment()
    segment.take_over()
    segment.host_sends()
    assert LearnedNeighbor(VNI, OTHER, HOST_MAC) in segment.reported()
    for _ in range(3):
        assert list(segment.takeovers.unconfirmed()) == []
    segment.bridges.pop(BRIDGE, HOST_MAC)
    segment.learning.mac_changed(BRIDGE, HOST_MAC)
    assert list(segment.takeovers.unconfirmed()) == []
    assert list(segment.takeovers.unconfirmed()) == [REMOTE]


def test_takeover_ends_with_its_bridge() -> None:
    segment = Segment()
    segment.take_over()
    for iface in (7, BRIDGE):
        segment.ifaces.pop(iface)
    assert list(segment.takeovers.unconfirmed()) == []
    assert segment.hops.taken_over == {}


def test_local_entry_is_no_conflict() -> None:
    segment = Segment()
    segment.bridges.put(FdbEntry(bridge=BRIDGE, mac=HOST_MAC, iface=9, flags=n.GR_FDB_F_LEARN))
    takeover = segment.takeovers.find(LEG, GRATUITOUS)
    assert takeover
    assert takeover.entry is None


@pytest.mark.parametrize(
    ("device", "announcement", "port"),
    [
        (LEG, Announcement(OTHER, REMOTE_MAC, gratuitous=True), "pe-b"),
        (LEG, Announcement(OTHER, REMOTE_MAC, gratuitous=False), ""),
        (LEG, GRATUITOUS, ""),  # the answer has another MAC as source
        ("n-other", Announcement(OTHER, REMOTE_MAC, gratuitous=True), ""),
    ],
)
def test_grout_answers_the_announcement_of_a_remote_neighbor_itself(
    device: str, announcement: Announcement, port: str
) -> None:
    assert Segment().takeovers.answered(device, announcement) == port
