"""Derive records from the kernel's layer 2 rows of VXLAN devices and bridges. Pure.

One record consists of several rows, and is complete only if all of them exist:

    RemoteVtep   FDB entry of the VXLAN device, FDB entry of the bridge, neighbor 100.64.0.2
                 (and ::ffff:100.64.0.2 where the kernel has IPv6)
    Mac          FDB entry of the VXLAN device (to which VTEP), FDB entry of the bridge (which port)
    Neighbor     neighbor of the bridge
    Flood        FDB entry of the VXLAN device for MAC 00:00:00:00:00:00

So the record is lost, and written again, when any one row is removed. After a takeover by a local
host, a remote MAC or address still counts as programmed until FRR withdraws it: FRR decides where a
host is, and each move would otherwise be reported as drift.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

from datapaths.kernel.layer2 import Host, Layer2, Tunnel
from datapaths.kernel.linktable import LinkTable
from datapaths.kernel.plan import Touched
from datapaths.kernel.segmenttable import segment_of
from datapaths.kernel.wire.links import Link
from datapaths.kernel.wire.neighbors import ZERO_MAC, Entry
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Mac, Neighbor, RemoteVtep
from dualpath.model.nexthops import V4_MAPPED
from dualpath.model.records import Record
from dualpath.netlink import numbers as n


class RemoteRecords:
    """Derives records from `Layer2`."""

    def __init__(self, links: LinkTable, rows: Layer2) -> None:
        self._links = links
        self._rows = rows

    def all(self, vxlan: Link) -> dict[Kind, Iterator[Record]]:
        """Return the complete records of a VXLAN device and its bridge, by kind."""
        return {
            Kind.REMOTE_VTEP: self.vteps(vxlan),
            Kind.FLOOD: self.floods(vxlan),
            Kind.MAC: self.macs(vxlan),
            Kind.NEIGHBOR: self.neighbors(vxlan),
        }

    def vteps(self, vxlan: Link) -> Iterator[RemoteVtep]:
        rows = self._rows
        for address in list(rows.hosts.get(vxlan.master, ())):
            mac = rows.router_mac(vxlan, address)
            if not mac or _is_mapped(address) or not rows.behind(vxlan, mac):
                continue
            if rows.mapped and len(address) == 4:
                mapped = rows.host(vxlan.master, V4_MAPPED + address)
                if not mapped or not mapped.ours or mapped.mac != mac:
                    continue
            yield RemoteVtep(vxlan.vni, address, mac)

    def floods(self, vxlan: Link) -> Iterator[Flood]:
        for vtep in list(self._rows.floods.get(vxlan.index, ())):
            yield Flood(vxlan.vni, vtep)

    def macs(self, vxlan: Link) -> Iterator[Mac]:
        rows = self._rows
        for mac, tunnel in list(rows.tunnels.get(vxlan.index, {}).items()):
            if not tunnel.flags & n.NTF_EXT_LEARNED or rows.is_router(vxlan, mac):
                continue
            if rows.behind(vxlan, mac) or rows.local(vxlan.master, vxlan.index, mac):
                yield self._mac(vxlan, mac, tunnel)

    def neighbors(self, vxlan: Link) -> Iterator[Neighbor]:
        rows = self._rows
        for address in list(rows.hosts.get(vxlan.master, ())):
            row = rows.programmed(vxlan.master, address)
            if row and not rows.router_mac(vxlan, address.removeprefix(V4_MAPPED)):
                yield _neighbor(vxlan, address, row)

    def key_of(self, entry: Entry) -> Touched:
        """Return the key in a plan of the record that a row may be part of; cheaper than `of`."""
        if entry.family != socket.AF_BRIDGE:
            return "host", self._links.vni_of(entry.ifindex), entry.destination
        vxlan = self._vxlan(entry)
        vni = vxlan.vni if vxlan else 0
        if entry.mac == ZERO_MAC:
            return "flood", vni, entry.destination
        return "fdb", vni, entry.mac

    def of(self, entry: Entry) -> Record | None:
        """Return the complete record that a row is part of, else None."""
        if entry.family != socket.AF_BRIDGE:
            return self._of_neighbor(entry)
        vxlan = self._vxlan(entry)
        if not vxlan:
            return None
        if entry.mac == ZERO_MAC:
            present = entry.destination in self._rows.floods.get(vxlan.index, ())
            return Flood(vxlan.vni, entry.destination) if present else None
        tunnel = self._rows.tunnel(vxlan.index, entry.mac)
        if not tunnel or not tunnel.flags & n.NTF_EXT_LEARNED:
            return None
        local = self._rows.local(vxlan.master, vxlan.index, entry.mac)
        if not local and not self._rows.behind(vxlan, entry.mac):
            return None
        if self._rows.is_router(vxlan, entry.mac):
            return RemoteVtep(vxlan.vni, tunnel.vtep, entry.mac)
        return self._mac(vxlan, entry.mac, tunnel)

    def _vxlan(self, entry: Entry) -> Link | None:
        """Return the VXLAN device of an FDB entry."""
        if entry.master:
            return self._links.vxlan(self._links.vni_of(entry.master))
        link = self._links.get(entry.ifindex)
        return link if link and link.vni else None

    def _of_neighbor(self, entry: Entry) -> Record | None:
        vni, address = self._links.vni_of(entry.ifindex), entry.destination
        row, vxlan = self._rows.programmed(entry.ifindex, address), self._links.vxlan(vni)
        if not row or not vxlan:
            return None
        vtep = address.removeprefix(V4_MAPPED) if len(address) == 16 else address
        if mac := self._rows.router_mac(vxlan, vtep):
            return RemoteVtep(vni, vtep, mac)
        return _neighbor(vxlan, address, row)

    def _mac(self, vxlan: Link, mac: bytes, tunnel: Tunnel) -> Mac:
        row = self._rows.station(vxlan.master, mac)
        sticky = row is not None and bool(row.flags & n.NTF_STICKY)
        return Mac(vxlan.vni, mac, tunnel.vtep, sticky, segment_of(tunnel.group))


def _neighbor(vxlan: Link, address: bytes, row: Host) -> Neighbor:
    return Neighbor(vxlan.vni, address, row.mac, bool(row.flags & n.NTF_ROUTER))


def _is_mapped(address: bytes) -> bool:
    return len(address) == 16 and address.startswith(V4_MAPPED)
