"""What the control namespace's kernel holds, and what that means by name and by VNI.

zebra writes remote MACs, flood entries and neighbours on the shadow devices. The rows come as
netlink messages, from a dump or as they change; the records that follow from them go out. No
interface index leaves this module.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Flood, Mac, Neighbor, RemoteVtep
from dualpath.model.nexthops import V4_MAPPED, Nexthop, NexthopType
from dualpath.model.records import Key, Record
from dualpath.model.routes import DEFAULT_VRF, RTPROT_DUALPATH
from frr_bridge.segments import Segments
from frr_bridge.wire.inline import InlineNexthop
from frr_bridge.wire.link import LinkMessage
from frr_bridge.wire.neighbor import (
    NTF_EXT_LEARNED,
    NTF_ROUTER,
    NTF_SELF,
    NTF_STICKY,
    NUD_PERMANENT,
    NeighborMessage,
)
from frr_bridge.wire.netlink import AF_BRIDGE, AF_UNSPEC
from frr_bridge.wire.nexthop import ZebraNexthop

RT_TABLE_MAIN = 254
_FLOOD_MAC = bytes(6)
_ACCESS = "ac"  # and the VNI: the name of a silent access port

_Row = tuple[str, Hashable]
_Host = tuple[int, bytes]  # (bridge, MAC or address)


class Overlay:
    """Feed it netlink messages; it calls `want` and `withdraw` as records come and go.

    `moved` is called in place of `withdraw` when zebra did not just take a MAC away but says that
    it is local now: that is news, never a sign of a daemon's death.
    """

    def __init__(
        self,
        want: Callable[[Record], None],
        withdraw: Callable[[Kind, Key], None],
        moved: Callable[[Kind, Key], None],
    ) -> None:
        self._want = want
        self._withdraw = withdraw
        self._moved = moved
        self.links: dict[int, LinkMessage] = {}
        self._vxlan_of: dict[int, int] = {}  # bridge's index -> its VXLAN device's
        self._last_vni: dict[int, int] = {}  # bridge's index -> VNI, also when it lost that device
        self._ended: list[LinkMessage] = []  # links that are gone, since `take_ended`
        self._access: dict[int, int] = {}  # VNI -> its silent access port's index
        self._ports: dict[tuple[int, bytes], NeighborMessage] = {}  # (bridge, MAC) -> row
        self._dsts: dict[tuple[int, bytes], bytes | int] = {}  # (VXLAN device, MAC) -> VTEP or id
        self.segments = Segments(self._segment_changed)
        self._floods: dict[tuple[int, bytes], Flood | None] = {}  # (VXLAN device, VTEP)
        self._macs: dict[tuple[int, bytes], Mac] = {}  # (bridge, MAC), of remote ones
        self._routers: set[tuple[int, bytes]] = set()  # those of them that are routers'
        self._told: dict[tuple[int, bytes], Mac] = {}  # those of them that we said
        self._neighbors: dict[tuple[int, bytes], NeighborMessage] = {}  # (bridge, address)
        self._said: dict[tuple[int, bytes], Record] = {}  # (bridge, address) -> what we said
        self._addresses_of: dict[tuple[int, bytes], set[bytes]] = defaultdict(set)
        self._mirrored: dict[tuple[int, bytes], bytes] = {}  # (bridge, address) -> MAC, our own
        self._touched: set[tuple[str, _Host]] = set()  # rows of our own that came or went
        self._unseen: set[_Row] = set()
        self._renewed: set[int] = set()

    # -- what it means --------------------------------------------------------------------

    def vrfs(self) -> dict[int, str]:
        """Return the VRF of each routing table."""
        names = {link.vrf_table: link.name for link in self.links.values() if link.vrf_table}
        return {RT_TABLE_MAIN: DEFAULT_VRF} | names

    def resolve(self, identity: int, said: InlineNexthop) -> Nexthop | None:
        """Return a nexthop with names for its indexes; None while its interface is unknown.

        A gateway that is on link on a bridge with a VXLAN device is a VTEP of that L3VNI, and
        stays one while the two devices are deleted one after the other.
        """
        if said.type is NexthopType.BLACKHOLE:
            return Nexthop(identity, said.type)
        vni, device = said.vni, ""
        if not vni and said.oif:
            link = self.links.get(said.oif)
            if link is None:
                return None
            device = link.name
            if said.gateway and said.onlink:
                vni = self._last_vni.get(said.oif, 0)
        if vni:
            return Nexthop(identity, said.type, said.gateway, vni=vni, onlink=True)
        return Nexthop(identity, said.type, said.gateway, device, onlink=said.onlink)

    def bridge_of(self, vni: int) -> int:
        """Return the interface index of a VNI's shadow bridge, or 0."""
        for bridge, vxlan in self._vxlan_of.items():
            if self.links[vxlan].vxlan_id == vni:
                return bridge
        return 0

    def vnis(self) -> set[int]:
        """Return the VNIs that have a VXLAN device in a bridge."""
        return {self.links[vxlan].vxlan_id for vxlan in self._vxlan_of.values()}

    def access_port(self, vni: int) -> int:
        """Return the interface index of a VNI's silent access port, or 0."""
        return self._access.get(vni, 0)

    def renewed(self) -> set[int]:
        """Return the VNIs whose shadow devices came, moved or came up since this was asked last.

        The kernel forgot what was written there.
        """
        renewed, self._renewed = self._renewed, set()
        return renewed

    def stranded(self) -> Iterator[Mac]:
        """Yield MACs that a bridge has behind its VXLAN device, which sends them to no VTEP.

        zebra writes both rows. The second one is missing when the kernel refused it: Linux 7.2
        takes no dynamic FDB entry with a nexthop group, and zebra (FRR 10.7) writes such for MACs
        behind an Ethernet segment.
        """
        for key, row in self._ports.items():
            vxlan = self._vxlan_of.get(key[0])
            remote = row.ifindex == vxlan and row.flags & NTF_EXT_LEARNED
            if remote and not row.state & NUD_PERMANENT and key not in self._macs:
                yield Mac(self._vni(key[0]), key[1])

    def mirrored(self) -> Iterator[tuple[Mac | Neighbor, bool]]:
        """Yield the hosts whose mirrored rows came or went since this was asked last.

        The flag says whether the row is there now.
        """
        touched, self._touched = self._touched, set()
        for kind, key in touched:
            bridge, what = key
            vni = self._vni(bridge)
            if not vni:
                continue  # with the devices went the rows, or they are made again: see `renewed`
            if kind == "port":
                row = self._ports.get(key)
                yield Mac(vni, what), row is not None and self._is_access(row.ifindex)
            else:
                mac = self._mirrored.get(key)
                yield Neighbor(vni, what, mac or bytes(6)), mac is not None

    def _is_access(self, port: int) -> bool:
        link = self.links.get(port)
        return link is not None and _access_vni(link.name) > 0

    def is_remote(self, bridge: int, address: bytes) -> bool:
        """Say whether a neighbour is one that zebra put there."""
        return (bridge, address) in self._said

    def _vni(self, bridge: int) -> int:
        vxlan = self._vxlan_of.get(bridge)
        return self.links[vxlan].vxlan_id if vxlan else 0

    # -- rows in --------------------------------------------------------------------------

    def begin(self) -> None:
        """A dump of everything begins: what it does not repeat is gone at `end`."""
        self._unseen = {("link", index) for index in self.links}
        self._unseen |= {("port", key) for key in self._ports}
        self._unseen |= {("dst", key) for key in self._dsts}
        self._unseen |= {("flood", key) for key in self._floods}
        self._unseen |= {("neighbor", key) for key in self._neighbors}
        self._unseen |= {("segment", key) for key in self.segments.ids()}
        self._unseen |= {("mirrored", key) for key in self._mirrored}

    def end(self) -> None:
        removers: dict[str, Callable[..., None]] = {
            "neighbor": self._drop_neighbor,
            "mirrored": self._drop_mirrored,
            "flood": self._drop_flood,
            "port": self._drop_port,
            "dst": self._drop_dst,
            "link": self._drop_link,
            "segment": self.segments.forget,
        }
        for kind, remove in removers.items():
            for row in [key for name, key in self._unseen if name == kind]:
                remove(row)
        self._unseen.clear()

    def nexthop(self, said: ZebraNexthop) -> bool:
        """Take a nexthop of bridge entries; False when it is one of routes."""
        self._unseen.discard(("segment", said.id))
        return self.segments.take(said)

    def _segment_changed(self, identity: int, vteps: tuple[bytes, ...]) -> None:
        """Tell a segment, then look at its MACs: they come and go with it, but not change."""
        if vteps:
            self._want(EthernetSegment(identity, vteps))
        for key in [key for key, dst in self._dsts.items() if dst == identity]:
            self._look_behind(key)
        if not vteps:
            self._withdraw(Kind.ETHERNET_SEGMENT, identity)

    def link(self, said: LinkMessage) -> bool:
        """Take a link; True when nexthops over it may now resolve to something else."""
        if said.family != AF_UNSPEC:
            return False  # it speaks of a bridge port; the same news comes as AF_UNSPEC too
        before = self.links.get(said.index)
        if said.deleted:
            self._drop_link(said.index)
            return before is not None
        self._unseen.discard(("link", said.index))
        if before:
            self._forget_access(before)
        self.links[said.index] = said
        if vni := _access_vni(said.name):
            self._access[vni] = said.index
        if said.kind == "vxlan" and (before is None or _place(before) != _place(said)):
            self._replace_vxlan(said)
        if before is None or _standing(before) != _standing(said):
            self._renewed |= {self._vni_of(said)} - {0}
        return before is None or _meaning(before) != _meaning(said)

    def _vni_of(self, shadow: LinkMessage) -> int:
        """Return the VNI that a shadow device belongs to, or 0."""
        return _access_vni(shadow.name) or shadow.vxlan_id or self._vni(shadow.index)

    def neighbor(self, said: NeighborMessage) -> None:
        if said.family != AF_BRIDGE:
            self._ip_neighbor(said)
        elif said.lladdr == _FLOOD_MAC:
            self._flood(said)
        elif said.flags & NTF_SELF:
            self._vxlan_row(said)
        elif said.master and not said.vlan:  # the kernel repeats rows for a bridge's default VLAN
            self._bridge_row(said)

    def _replace_vxlan(self, vxlan: LinkMessage) -> None:
        """A VXLAN device came or moved: everything on its bridges may mean something else."""
        moved = [bridge for bridge, index in self._vxlan_of.items() if index == vxlan.index]
        for bridge in moved:
            del self._vxlan_of[bridge]
        if vxlan.master:
            self._vxlan_of[vxlan.master] = vxlan.index
            self._last_vni[vxlan.master] = vxlan.vxlan_id
        for bridge in {*moved, vxlan.master} - {0}:
            self._look_at_bridge(bridge)
        for key in [key for key in self._floods if key[0] == vxlan.index]:
            self._look_at_flood(key)

    def _drop_link(self, index: int) -> None:
        gone = self.links.get(index)
        if gone is None:
            return
        if gone.kind == "vxlan":
            for bridge in [b for b, vxlan in self._vxlan_of.items() if vxlan == index]:
                del self._vxlan_of[bridge]
                self._look_at_bridge(bridge)
            for key in [key for key in self._floods if key[0] == index]:
                self._drop_flood(key)
        self._forget_access(gone)
        self._last_vni.pop(index, None)
        self._ended.append(self.links.pop(index))

    def take_ended(self) -> list[LinkMessage]:
        """Return the links that a message or a dump showed to be gone, once each."""
        ended, self._ended = self._ended, []
        return ended

    def _forget_access(self, link: LinkMessage) -> None:
        vni = _access_vni(link.name)
        if self._access.get(vni) == link.index:
            del self._access[vni]

    def _bridge_row(self, said: NeighborMessage) -> None:
        """A row of a bridge: behind which port a MAC lives."""
        key = said.master, said.lladdr
        if said.deleted:
            if key in self._ports and self._ports[key].ifindex == said.ifindex:
                self._drop_port(key)
            return
        self._unseen.discard(("port", key))
        self._ports[key] = said
        if said.flags & NTF_EXT_LEARNED and self._is_access(said.ifindex):
            self._touched.add(("port", key))
        self._look_at_mac(key)

    def _drop_port(self, key: tuple[int, bytes]) -> None:
        gone = self._ports.pop(key, None)
        if gone and self._is_access(gone.ifindex):
            self._touched.add(("port", key))
        self._look_at_mac(key)

    def _vxlan_row(self, said: NeighborMessage) -> None:
        """A row of a VXLAN device: behind which VTEP a MAC lives."""
        key = said.ifindex, said.lladdr
        if said.deleted or not (said.dst or said.nexthop_id):
            self._drop_dst(key)
            return
        self._unseen.discard(("dst", key))
        self._dsts[key] = said.dst or said.nexthop_id
        self._look_behind(key)

    def _drop_dst(self, key: tuple[int, bytes]) -> None:
        self._dsts.pop(key, None)
        self._look_behind(key)

    def _look_behind(self, key: tuple[int, bytes]) -> None:
        index, mac = key
        link = self.links.get(index)
        if link and link.master:
            self._look_at_mac((link.master, mac))

    def _flood(self, said: NeighborMessage) -> None:
        if not said.flags & NTF_SELF or not said.dst:
            return
        key = said.ifindex, said.dst
        if said.deleted:
            self._drop_flood(key)
            return
        self._unseen.discard(("flood", key))
        self._floods.setdefault(key, None)
        self._look_at_flood(key)

    def _drop_flood(self, key: tuple[int, bytes]) -> None:
        flood = self._floods.pop(key, None)
        if flood:
            self._withdraw(Kind.FLOOD, flood.key)

    def _ip_neighbor(self, said: NeighborMessage) -> None:
        key = said.ifindex, said.dst
        gone = said.deleted or not said.flags & NTF_EXT_LEARNED or not said.lladdr
        ours = not gone and said.protocol == RTPROT_DUALPATH
        if ours:
            self._unseen.discard(("mirrored", key))
            self._mirrored[key] = said.lladdr
            self._touched.add(("mirrored", key))
        elif gone:
            self._drop_mirrored(key)
        else:
            self._mirrored.pop(key, None)  # zebra's by now
        if gone or ours:
            self._drop_neighbor(key)
            return
        self._unseen.discard(("neighbor", key))
        self._forget_mac_of(key)
        self._neighbors[key] = said
        self._addresses_of[said.ifindex, said.lladdr].add(said.dst)
        self._look_at_neighbor(key)

    def _drop_mirrored(self, key: tuple[int, bytes]) -> None:
        if self._mirrored.pop(key, None):
            self._touched.add(("mirrored", key))

    def _drop_neighbor(self, key: tuple[int, bytes]) -> None:
        self._forget_mac_of(key)
        if self._neighbors.pop(key, None):
            self._look_at_neighbor(key)

    def _forget_mac_of(self, key: tuple[int, bytes]) -> None:
        if old := self._neighbors.get(key):
            host = old.ifindex, old.lladdr
            self._addresses_of[host].discard(old.dst)
            if not self._addresses_of[host]:
                del self._addresses_of[host]

    # -- records out ----------------------------------------------------------------------

    def _look_at_bridge(self, bridge: int) -> None:
        for key in [key for key in self._ports if key[0] == bridge]:
            self._look_at_mac(key)
        for key in [key for key in self._neighbors if key[0] == bridge]:
            self._look_at_neighbor(key)

    def _look_at_flood(self, key: tuple[int, bytes]) -> None:
        index, vtep = key
        link = self.links.get(index)
        now = Flood(link.vxlan_id, vtep) if link and link.vxlan_id else None
        before = self._floods[key]
        if before and before != now:
            self._withdraw(Kind.FLOOD, before.key)
        if now and before != now:
            self._want(now)
        self._floods[key] = now

    def _look_at_mac(self, key: tuple[int, bytes]) -> None:
        now = self._remote_mac(key)
        if self._macs.get(key) == now:
            return
        if now:
            self._macs[key] = now
        else:
            del self._macs[key]
        for address in list(self._addresses_of.get(key, ())):
            self._look_at_neighbor((key[0], address))
        self._tell_mac(key)

    def _tell_mac(self, key: tuple[int, bytes]) -> None:
        """Say what a MAC is; one of a router is no host's, and is said with its VTEP."""
        router = self._is_router(key)
        before, now = self._told.get(key), None if router else self._macs.get(key)
        if before == now:
            return
        if now:
            self._told[key] = now
            self._want(now)
        else:
            del self._told[key]
        if before and (now is None or now.key != before.key):
            news = router or self._is_local(key)  # else zebra just took it away
            (self._moved if news else self._withdraw)(Kind.MAC, before.key)

    def _is_local(self, key: tuple[int, bytes]) -> bool:
        """Say whether a bridge sees a MAC on another port than its VXLAN device."""
        row, vxlan = self._ports.get(key), self._vxlan_of.get(key[0])
        return row is not None and vxlan is not None and row.ifindex != vxlan

    def _is_router(self, key: tuple[int, bytes]) -> bool:
        """Say whether a MAC is a router's: once it was, it is as long as it is remote."""
        if key not in self._macs:
            self._routers.discard(key)
        return key in self._routers

    def _remote_mac(self, key: tuple[int, bytes]) -> Mac | None:
        """A MAC is remote when its bridge sees it on the VXLAN device.

        The bridge's row decides: after a move to a local port the device's own row stays behind.
        """
        bridge, mac = key
        row, vxlan = self._ports.get(key), self._vxlan_of.get(bridge)
        if row is None or vxlan is None or row.ifindex != vxlan or row.state & NUD_PERMANENT:
            return None
        vtep = self._dsts.get((vxlan, mac))
        sticky = bool(row.flags & NTF_STICKY)
        if isinstance(vtep, bytes):
            return Mac(self._vni(bridge), mac, vtep, sticky)
        if not vtep or not self.segments.vteps(vtep):
            return None
        return Mac(self._vni(bridge), mac, sticky=sticky, segment=vtep)

    def _look_at_neighbor(self, key: tuple[int, bytes]) -> None:
        before, now = self._said.get(key), self._remote_neighbor(key)
        if now:
            self._said[key] = now
            self._want(now)
        else:
            self._said.pop(key, None)
        if before and (now is None or (before.kind, before.key) != (now.kind, now.key)):
            self._withdraw_neighbor(key[0], before)
        for record in (before, now):
            if isinstance(record, RemoteVtep):
                self._routers.add((key[0], record.mac))
                self._tell_mac((key[0], record.mac))

    def _withdraw_neighbor(self, bridge: int, before: Record) -> None:
        """A VTEP is one record for two rows, its address and the mapped one: the last counts."""
        if isinstance(before, RemoteVtep):
            forms = (before.vtep, V4_MAPPED + before.vtep)
            if any(self._said.get((bridge, form)) == before for form in forms):
                return
        self._withdraw(before.kind, before.key)

    def _remote_neighbor(self, key: tuple[int, bytes]) -> RemoteVtep | Neighbor | None:
        """A neighbour is remote when its MAC is; it is a VTEP when it is that MAC's VTEP."""
        bridge, address = key
        row = self._neighbors.get(key)
        mac = self._macs.get((bridge, row.lladdr)) if row else None
        if row is None or mac is None:
            return None
        plain = address.removeprefix(V4_MAPPED) if len(address) == 16 else address
        if plain == mac.vtep:
            return RemoteVtep(mac.vni, plain, row.lladdr)
        return Neighbor(mac.vni, address, row.lladdr, bool(row.flags & NTF_ROUTER))


def _access_vni(name: str) -> int:
    """Return the VNI whose silent access port has this name, or 0."""
    number = name.removeprefix(_ACCESS)
    return int(number) if number != name and number.isdecimal() else 0


def _standing(link: LinkMessage) -> tuple[str, int, bool]:
    return link.name, link.master, link.up


def _meaning(link: LinkMessage) -> tuple[str, str, int, int]:
    return link.name, link.kind, link.vxlan_id, link.master


def _place(vxlan: LinkMessage) -> tuple[int, int]:
    return vxlan.vxlan_id, vxlan.master
