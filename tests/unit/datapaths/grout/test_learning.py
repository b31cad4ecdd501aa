"""Which hosts are local and which remote, by grout's events and by own writes without an event."""

from __future__ import annotations

from datapaths.base import Learned, LearnedMac, LearnedNeighbor
from datapaths.conformance.batches import withdraw
from datapaths.grout.picture.learning import Learning
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.bridges import FdbEntry
from datapaths.grout.wire.nexthops import L3
from datapaths.linux.subnets import Subnets
from dualpath.model.layer2 import Mac, Neighbor
from dualpath.model.records import Record
from tests.unit.datapaths.grout.test_plan import HOST_MAC, OTHER, VTEP, Grout

BRIDGE, PORT = 6, 4
VNI = 110
REMOTE_MAC, REMOTE_HOST = Mac(VNI, HOST_MAC, VTEP), Neighbor(VNI, OTHER, HOST_MAC)
LEARNT_MAC, LEARNT_HOST = LearnedMac(VNI, HOST_MAC), LearnedNeighbor(VNI, OTHER, HOST_MAC)
GONE_MAC = LearnedMac(VNI, HOST_MAC, gone=True)
GONE_HOST = LearnedNeighbor(VNI, OTHER, HOST_MAC, gone=True)


class Node(Grout):
    """A grout that also learns from traffic."""

    def __init__(self) -> None:
        super().__init__()
        self._reported: list[Learned] = []
        self.subnets = Subnets()
        self.learning = Learning(self.ifaces, self.bridges, self.subnets, self._reported.append)

    def reported(self) -> list[Learned]:
        """Return what was reported since the last call."""
        reported, self._reported[:] = list(self._reported), []
        return reported

    def host_sends(self) -> None:
        """grout learns the MAC, if it has no EXTERN entry of it, and the neighbor."""
        if not self.bridges.is_remote_entry(BRIDGE, HOST_MAC):
            self.bridges.put(
                FdbEntry(bridge=BRIDGE, mac=HOST_MAC, iface=PORT, flags=n.GR_FDB_F_LEARN)
            )
            self.learning.mac_changed(BRIDGE, HOST_MAC)
        neighbor = L3(address=OTHER, mac=HOST_MAC, state=n.GR_NH_S_REACHABLE)
        self.learning.neighbor_changed(BRIDGE, neighbor, gone=False)

    def program(self, *records: Record) -> None:
        """Write records; grout sends the writer no event of them."""
        for record in records:
            self.make(record)
            self.learning.written(record)


def test_host_that_moves_away_is_no_longer_local() -> None:
    node = Node()
    node.host_sends()
    assert node.reported() == [LEARNT_MAC, LEARNT_HOST]
    node.program(REMOTE_MAC)
    assert node.reported() == [GONE_MAC, GONE_HOST]


def test_host_that_moves_back_is_reported_again() -> None:
    node = Node()
    node.host_sends()
    node.program(REMOTE_MAC, REMOTE_HOST)
    node.reported()
    entry = node.bridges.get(BRIDGE, HOST_MAC)
    assert entry
    node.bridges.move(entry)
    node.host_sends()
    assert node.reported() == [LEARNT_MAC, LEARNT_HOST]


def test_address_with_a_remote_mac_is_no_longer_local() -> None:
    node = Node()
    node.host_sends()
    node.reported()
    elsewhere = bytes.fromhex("0200000000bb")
    node.program(Mac(VNI, elsewhere, VTEP), Neighbor(VNI, OTHER, elsewhere))
    assert node.reported() == [GONE_HOST]


def test_withdrawing_a_remote_mac_keeps_the_local_one() -> None:
    """FRR withdraws the remote MAC once it knows that the host is local, so it is local by then."""
    node = Node()
    node.program(REMOTE_MAC)
    entry = node.bridges.get(BRIDGE, HOST_MAC)
    assert entry
    node.bridges.move(entry)
    node.host_sends()
    assert node.reported() == [LEARNT_MAC, LEARNT_HOST]
    assert node.apply(withdraw(REMOTE_MAC)) == []
    assert node.sent == []
    assert node.bridges.is_local(BRIDGE, HOST_MAC)
    assert list(node.bridges.macs()) == []


def test_programming_a_mac_that_was_never_local_reports_nothing() -> None:
    node = Node()
    node.program(REMOTE_MAC, REMOTE_HOST)
    assert node.reported() == []


def test_address_outside_the_gateways_subnets_is_counted_and_not_reported() -> None:
    node = Node()
    node.subnets.put(BRIDGE, bytes([203, 0, 113, 1]), 24)
    node.host_sends()
    assert node.reported() == [LEARNT_MAC]
    assert node.learning.admission.left_out() == {VNI: 1}


def test_address_is_reported_while_a_gateway_covers_it() -> None:
    node = Node()
    node.subnets.put(BRIDGE, bytes([203, 0, 113, 1]), 24)
    node.host_sends()
    node.reported()
    node.subnets.put(BRIDGE, OTHER[:3] + b"\xfe", 24)
    node.learning.subnets_changed(BRIDGE)
    assert node.reported() == [LEARNT_HOST]
    assert node.learning.admission.left_out() == {}
    node.subnets.drop(BRIDGE, OTHER[:3] + b"\xfe", 24)
    node.learning.subnets_changed(BRIDGE)
    assert node.reported() == [GONE_HOST]
