"""Derive local MACs and neighbors from the kernel's layer 2 rows. Pure.

A neighbor is local if its MAC is local; one that the kernel resolved over the overlay is not. Its
address must be in a subnet of the bridge; others are only counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from datapaths.base import Learned, LearnedMac, LearnedNeighbor
from datapaths.kernel.layer2 import Layer2
from datapaths.kernel.linktable import LinkTable
from datapaths.linux.subnets import Admission, Subnets


class Learning:
    """Emits an event for each MAC and neighbor that becomes local, or is no longer."""

    def __init__(
        self,
        links: LinkTable,
        layer2: Layer2,
        subnets: Subnets,
        emit: Callable[[Learned], None],
    ) -> None:
        self._links = links
        self._layer2 = layer2
        self._admission = Admission(subnets)
        self._emit = emit
        self._macs: dict[int, set[bytes]] = {}  # by VNI
        self._neighbors: dict[int, dict[bytes, bytes]] = {}  # by VNI: address to MAC

    def replay(self) -> None:
        """Emit every local MAC and neighbor."""
        for vni, macs in self._macs.items():
            for mac in macs:
                self._emit(LearnedMac(vni, mac))
        for vni, neighbors in self._neighbors.items():
            for address, mac in neighbors.items():
                self._emit(LearnedNeighbor(vni, address, mac))

    def mac_changed(self, bridge: int, mac: bytes) -> None:
        """Examine one MAC of a bridge again, and the neighbors that have it."""
        vni = self._links.vni_of(bridge)
        if vni:
            self._look_at_mac(vni, bridge, mac)
            for address in self._layer2.addresses(bridge, mac):
                self._look_at_neighbor(vni, bridge, address)

    def neighbor_changed(self, bridge: int, address: bytes) -> None:
        vni = self._links.vni_of(bridge)
        if vni:
            self._look_at_neighbor(vni, bridge, address)

    def subnets_changed(self, bridge: int) -> None:
        """Examine the neighbors of a bridge again: it gained or lost an address."""
        if vni := self._links.vni_of(bridge):
            for address in list(self._layer2.hosts.get(bridge, ())):
                self._look_at_neighbor(vni, bridge, address)

    def off_subnet(self) -> dict[int, int]:
        """Return how many announced addresses are in no subnet, by VNI."""
        return self._admission.left_out()

    def rescan(self) -> None:
        """Examine everything again: events were missed."""
        self.vnis_changed(self._macs.keys() | self._neighbors.keys() | set(self._links.vnis()))

    def vnis_changed(self, vnis: Iterable[int]) -> None:
        """Examine VNIs again: each gained or lost its bridge, or got another one."""
        for vni in vnis:
            bridge = self._links.bridge(vni)
            index = bridge.index if bridge else 0
            macs = self._macs.get(vni, set()) | self._layer2.stations.get(index, {}).keys()
            addresses = (
                self._neighbors.get(vni, {}).keys() | self._layer2.hosts.get(index, {}).keys()
            )
            for mac in macs:
                self._look_at_mac(vni, index, mac)
            for address in addresses:
                self._look_at_neighbor(vni, index, address)

    def _look_at_mac(self, vni: int, bridge: int, mac: bytes) -> None:
        known = self._macs.setdefault(vni, set())
        local = self._is_local(vni, bridge, mac)
        if local and mac not in known:
            known.add(mac)
            self._emit(LearnedMac(vni, mac))
        elif not local and mac in known:
            known.remove(mac)
            self._emit(LearnedMac(vni, mac, gone=True))

    def _look_at_neighbor(self, vni: int, bridge: int, address: bytes) -> None:
        known = self._neighbors.setdefault(vni, {})
        row = self._layer2.host(bridge, address)
        local = row is not None and row.learned and self._is_local(vni, bridge, row.mac)
        if local:
            local = self._admission.admits(vni, bridge, address)
        else:
            self._admission.forget(vni, address)
        if local and row and known.get(address) != row.mac:
            known[address] = row.mac
            self._emit(LearnedNeighbor(vni, address, row.mac))
        elif not local and address in known:
            self._emit(LearnedNeighbor(vni, address, known.pop(address), gone=True))

    def _is_local(self, vni: int, bridge: int, mac: bytes) -> bool:
        vxlan = self._links.vxlan(vni)
        return vxlan is not None and self._layer2.local(bridge, vxlan.index, mac)
