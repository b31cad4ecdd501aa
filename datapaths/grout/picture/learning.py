"""Derive local MACs and neighbors from what grout learns. Pure.

grout also learns the addresses of remote hosts, from their replies. A neighbor is local if its MAC
is, and if its address is in a subnet of its bridge. Others are only counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from datapaths.base import Learned, LearnedMac, LearnedNeighbor
from datapaths.grout.picture.bridges import BridgeTable
from datapaths.grout.picture.interfaces import IfaceTable
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.nexthops import L3, ZERO_MAC
from datapaths.linux.subnets import Admission, Subnets
from dualpath.model.layer2 import Mac, Neighbor
from dualpath.model.records import Record


class Learning:
    """Reports MACs and neighbors that became local, or are no longer."""

    def __init__(
        self,
        ifaces: IfaceTable,
        table: BridgeTable,
        subnets: Subnets,
        emit: Callable[[Learned], None],
    ) -> None:
        self._ifaces = ifaces
        self._table = table
        self.admission = Admission(subnets)
        self._emit = emit
        self._hosts: dict[tuple[int, bytes], bytes] = {}  # MAC by bridge and address
        self._macs: set[tuple[int, int, bytes]] = set()  # VNI, bridge, MAC, as reported
        self._neighbors: dict[tuple[int, bytes], bytes] = {}  # MAC by VNI and address, as reported

    def clear(self) -> None:
        """Forget what grout learned, before a dump. Reported rows stay reported until `rescan`."""
        self._hosts.clear()

    def replay(self) -> None:
        for vni, _, mac in self._macs:
            self._emit(LearnedMac(vni, mac))
        for (vni, address), mac in self._neighbors.items():
            self._emit(LearnedNeighbor(vni, address, mac))

    def note(self, iface: int, info: L3, gone: bool = False) -> None:
        """Note a nexthop that grout learned, for the next `rescan`."""
        remote = info.flags & n.GR_NH_F_REMOTE
        key = iface, info.address
        if gone or remote or info.mac == ZERO_MAC or info.state == n.GR_NH_S_FAILED:
            self._hosts.pop(key, None)
        elif info.flags & (n.GR_NH_F_LOCAL | n.GR_NH_F_MCAST | n.GR_NH_F_LINK) == 0:
            self._hosts[key] = info.mac

    def hosts(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield interface, address and MAC of every neighbor that is not remote to FRR."""
        for (iface, address), mac in list(self._hosts.items()):
            yield iface, address, mac

    def neighbor_changed(self, iface: int, info: L3, gone: bool) -> None:
        self.note(iface, info, gone)
        if vni := self._vni_of(iface):
            self._look_at_neighbor(vni, iface, info.address)

    def mac_changed(self, bridge: int, mac: bytes) -> None:
        """Look again at one MAC of a bridge, and at the neighbors with it."""
        if not (vni := self._vni_of(bridge)):
            return
        self._look_at_mac(vni, bridge, mac)
        for (owner, address), host in list(self._hosts.items()):
            if owner == bridge and host == mac:
                self._look_at_neighbor(vni, bridge, address)

    def is_local(self, bridge: int, address: bytes) -> bool:
        """Return whether an address is reported as a local host's."""
        return (self._vni_of(bridge), address) in self._neighbors

    def subnets_changed(self, bridge: int) -> None:
        """Look again at the neighbors of a bridge that gained or lost an address."""
        if vni := self._vni_of(bridge):
            for owner, address in list(self._hosts):
                if owner == bridge:
                    self._look_at_neighbor(vni, bridge, address)

    def written(self, record: Record) -> None:
        """Note that we wrote a remote MAC or neighbor; grout sends us no event about it."""
        owner = self._ifaces.bridge(record.vni) if isinstance(record, Mac | Neighbor) else None
        if not owner:
            return
        if isinstance(record, Mac) and (record.vni, owner.id, record.mac) in self._macs:
            self.mac_changed(owner.id, record.mac)
        elif isinstance(record, Neighbor) and self._hosts.pop((owner.id, record.address), b""):
            self._look_at_neighbor(record.vni, owner.id, record.address)

    def rescan(self) -> None:
        """Look at everything again, after a dump, or after a bridge gained or lost its VNI."""
        bridges = self._ifaces.l2_bridges()
        for vni, bridge, mac in list(self._macs):
            if bridges.get(bridge) == vni:
                self._look_at_mac(vni, bridge, mac)
            else:
                self._macs.discard((vni, bridge, mac))
                self._emit(LearnedMac(vni, mac, gone=True))
        for entry in self._table:
            if entry.bridge in bridges:
                self._look_at_mac(bridges[entry.bridge], entry.bridge, entry.mac)
        owners = {vni: bridge for bridge, vni in bridges.items()}
        for vni, address in list(self._neighbors):
            self._look_at_neighbor(vni, owners.get(vni, 0), address)
        for bridge, address in list(self._hosts):
            if bridge in bridges:
                self._look_at_neighbor(bridges[bridge], bridge, address)

    def _vni_of(self, bridge: int) -> int:
        return self._ifaces.l2_bridges().get(bridge, 0)

    def _look_at_mac(self, vni: int, bridge: int, mac: bytes) -> None:
        key = vni, bridge, mac
        local = self._table.is_local(bridge, mac)
        if local and key not in self._macs:
            self._macs.add(key)
            self._emit(LearnedMac(vni, mac))
        elif not local and key in self._macs:
            self._macs.discard(key)
            self._emit(LearnedMac(vni, mac, gone=True))

    def _look_at_neighbor(self, vni: int, bridge: int, address: bytes) -> None:
        mac = self._hosts.get((bridge, address), b"")
        key = vni, address
        local = bool(mac) and self._table.is_local(bridge, mac)
        if local:
            local = self.admission.admits(vni, bridge, address)
        else:
            self.admission.forget(vni, address)
        if local and self._neighbors.get(key) != mac:
            self._neighbors[key] = mac
            self._emit(LearnedNeighbor(vni, address, mac))
        elif not local and key in self._neighbors:
            self._emit(LearnedNeighbor(vni, address, self._neighbors.pop(key), gone=True))
