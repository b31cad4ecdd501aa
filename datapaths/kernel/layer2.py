"""The kernel's layer 2 rows, kept by dumps and notifications. Pure.

`remote.py` derives records from them.
"""

from __future__ import annotations

import socket
from typing import NamedTuple

from datapaths.kernel.linktable import LinkTable
from datapaths.kernel.wire.links import Link
from datapaths.kernel.wire.neighbors import ZERO_MAC, Entry
from dualpath.netlink import numbers as n

LEARNED_STATES = n.NUD_REACHABLE | n.NUD_STALE | n.NUD_DELAY | n.NUD_PROBE


class Tunnel(NamedTuple):
    """A VXLAN device's own FDB entry."""

    vtep: bytes  # b"" if it has a group
    flags: int  # NTF_*
    group: int = 0  # nexthop id of an Ethernet segment's group


class Station(NamedTuple):
    """A bridge's FDB entry."""

    port: int  # ifindex
    state: int  # NUD_*
    flags: int


class Host(NamedTuple):
    """A neighbor on a bridge."""

    mac: bytes
    state: int
    flags: int
    protocol: int

    @property
    def ours(self) -> bool:
        return self.protocol == n.RTPROT_DUALPATH and bool(self.flags & n.NTF_EXT_LEARNED)

    @property
    def learned(self) -> bool:
        """Whether the kernel learned it by ARP or ND."""
        set_by_hand = self.flags & n.NTF_EXT_LEARNED or self.protocol == n.RTPROT_DUALPATH
        return bool(self.state & LEARNED_STATES) and not set_by_hand and len(self.mac) == 6


class Layer2:
    """Rows by device: `tunnels` and `floods` by VXLAN device, `stations` and `hosts` by bridge.

    A *claimed* row was ours, and was replaced because a local host announced the address. It counts
    as programmed until FRR withdraws it (see `claims.py`).
    """

    def __init__(self, links: LinkTable) -> None:
        self._links = links
        self.tunnels: dict[int, dict[bytes, Tunnel]] = {}
        self.floods: dict[int, set[bytes]] = {}
        self.stations: dict[int, dict[bytes, Station]] = {}
        self.hosts: dict[int, dict[bytes, Host]] = {}
        self._addresses: dict[int, dict[bytes, set[bytes]]] = {}  # of hosts, by bridge and MAC
        self._claimed: dict[int, dict[bytes, Host]] = {}
        self._behind: dict[int, set[tuple[int, bytes]]] = {}  # group -> (VXLAN device, MAC)
        self.mapped = True  # a RemoteVtep also has a neighbor ::ffff:a.b.c.d

    def replace(self, other: Layer2) -> None:
        """Take over the rows of another table, which is not used any more. Claims stay."""
        self.tunnels, self.floods = other.tunnels, other.floods
        self.stations, self.hosts = other.stations, other.hosts
        self._addresses, self._behind = other._addresses, other._behind
        for bridge, claimed in self._claimed.items():
            for address in list(claimed):
                if (row := self.host(bridge, address)) and row.ours:
                    del claimed[address]

    def forget(self, index: int) -> None:
        """Remove the rows of a deleted device."""
        for mac in list(self.tunnels.get(index, ())):
            self._set_tunnel(index, mac, None)
        for table in (self.tunnels, self.floods, self.stations, self.hosts, self._claimed):
            table.pop(index, None)
        self._addresses.pop(index, None)

    def addresses(self, bridge: int, mac: bytes) -> frozenset[bytes]:
        """Return the addresses of the hosts on a bridge that have this MAC."""
        return frozenset(self._addresses.get(bridge, {}).get(mac, ()))

    def put(self, entry: Entry) -> None:
        """Store a row of a dump or a notification; remove it if the kernel did."""
        if entry.family != socket.AF_BRIDGE:
            self._put_host(entry)
        elif entry.vlan:
            return  # a copy by a bridge with a default PVID; frames do not use it
        elif entry.master:
            self._put_station(entry)
        elif entry.destination or entry.nexthop:
            self._put_tunnel(entry)

    def _put_tunnel(self, entry: Entry) -> None:
        if entry.mac == ZERO_MAC:
            vteps = self.floods.setdefault(entry.ifindex, set())
            vteps.discard(entry.destination) if entry.gone else vteps.add(entry.destination)
            return
        rows = self.tunnels.get(entry.ifindex, {})
        if not entry.gone:
            tunnel = Tunnel(entry.destination, entry.flags, entry.nexthop)
            self._set_tunnel(entry.ifindex, entry.mac, tunnel)
        elif (old := rows.get(entry.mac)) and (old.vtep, old.group) == (
            entry.destination,
            entry.nexthop,
        ):
            self._set_tunnel(entry.ifindex, entry.mac, None)

    def flush(self, group: int) -> list[tuple[int, bytes]]:
        """Remove the entries that name a deleted group; return the VXLAN device and MAC of each.

        The kernel deletes them without a notification: vxlan_fdb_nh_flush() in vxlan_core.c.
        """
        gone = sorted(self._behind.get(group, ()))
        for vxlan, mac in gone:
            self._set_tunnel(vxlan, mac, None)
        return gone

    def _set_tunnel(self, vxlan: int, mac: bytes, tunnel: Tunnel | None) -> None:
        rows = self.tunnels.setdefault(vxlan, {})
        old = rows.get(mac)
        if old and old.group:
            behind = self._behind[old.group]
            behind.discard((vxlan, mac))
            if not behind:
                del self._behind[old.group]
        if tunnel is None:
            rows.pop(mac, None)
            return
        rows[mac] = tunnel
        if tunnel.group:
            self._behind.setdefault(tunnel.group, set()).add((vxlan, mac))

    def _put_station(self, entry: Entry) -> None:
        rows = self.stations.setdefault(entry.master, {})
        if entry.gone or entry.state & n.NUD_PERMANENT:
            rows.pop(entry.mac, None)
        else:
            rows[entry.mac] = Station(entry.ifindex, entry.state, entry.flags)

    def _put_host(self, entry: Entry) -> None:
        link = self._links.get(entry.ifindex)
        if not link or link.kind != "bridge":
            return
        rows = self.hosts.setdefault(entry.ifindex, {})
        if old := rows.pop(entry.destination, None):
            self._unindex(entry.ifindex, old.mac, entry.destination)
        if not entry.gone:
            row = Host(entry.mac, entry.state, entry.flags, entry.protocol)
            if row.ours:
                self.yield_claim(entry.ifindex, entry.destination)
            rows[entry.destination] = row
            macs = self._addresses.setdefault(entry.ifindex, {})
            macs.setdefault(row.mac, set()).add(entry.destination)

    def _unindex(self, bridge: int, mac: bytes, address: bytes) -> None:
        macs = self._addresses.get(bridge, {})
        addresses = macs.get(mac, set())
        addresses.discard(address)
        if not addresses:
            macs.pop(mac, None)

    def host(self, bridge: int, address: bytes) -> Host | None:
        return self.hosts.get(bridge, {}).get(address)

    def claim(self, bridge: int, address: bytes) -> None:
        """Note a takeover by a local host: our row is about to be replaced."""
        if (row := self.host(bridge, address)) and row.ours:
            self._claimed.setdefault(bridge, {})[address] = row

    def forget_claims(self) -> None:
        """Forget every claim, for another namespace."""
        self._claimed.clear()

    def yield_claim(self, bridge: int, address: bytes) -> bool:
        """Forget the claim of an address; return whether there was one."""
        return self._claimed.get(bridge, {}).pop(address, None) is not None

    def programmed(self, bridge: int, address: bytes) -> Host | None:
        """Return our row of an address, or the one that a local host claimed."""
        row = self.host(bridge, address)
        if row and row.ours:
            return row
        return self._claimed.get(bridge, {}).get(address) if row and row.learned else None

    def tunnel(self, vxlan: int, mac: bytes) -> Tunnel | None:
        return self.tunnels.get(vxlan, {}).get(mac)

    def station(self, bridge: int, mac: bytes) -> Station | None:
        return self.stations.get(bridge, {}).get(mac)

    def local(self, bridge: int, vxlan: int, mac: bytes) -> bool:
        """Return whether a MAC is behind a port of this node."""
        row = self.station(bridge, mac)
        return row is not None and row.port != vxlan and not row.flags & n.NTF_EXT_LEARNED

    def learned_on(self, port: Link, mac: bytes) -> bool:
        """Return whether a bridge learned a MAC behind a port; nobody set the entry."""
        row = self.station(port.master, mac)
        if row is None or row.port != port.index:
            return False
        return not row.flags & n.NTF_EXT_LEARNED and not row.state & (n.NUD_NOARP | n.NUD_PERMANENT)

    def behind(self, vxlan: Link, mac: bytes) -> bool:
        """Return whether the bridge has our entry for a MAC, behind the VXLAN device."""
        row = self.station(vxlan.master, mac)
        marked = n.NTF_EXT_LEARNED | n.NTF_STICKY
        return row is not None and row.port == vxlan.index and bool(row.flags & marked)

    def router_mac(self, vxlan: Link, address: bytes) -> bytes:
        """Return the router MAC of a remote VTEP; b"" if the address is not a VTEP's.

        If several VTEPs share a router MAC, the FDB entry names one of them.
        """
        row = self.host(vxlan.master, address)
        if not row or not row.ours:
            return b""
        tunnel = self.tunnel(vxlan.index, row.mac)
        if not tunnel:
            return b""
        other = self.host(vxlan.master, tunnel.vtep)
        return row.mac if other and other.ours and other.mac == row.mac else b""

    def is_router(self, vxlan: Link, mac: bytes) -> bool:
        """Return whether an entry of a VXLAN device belongs to a RemoteVtep, not to a Mac."""
        tunnel = self.tunnel(vxlan.index, mac)
        return tunnel is not None and self.router_mac(vxlan, tunnel.vtep) == mac
