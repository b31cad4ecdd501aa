"""What the kernel tells, turned into our picture of it and into events. Pure: no sockets.

One picture of links, layer 2 and nexthops, kept by dumps and notifications alike, our own writes'
included. Routes are not kept: of them, only what others do is looked at, and passed on.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Collection, Iterable

import numpy as np

from datapaths.base import Learned, Lost, PortChanged
from datapaths.kernel.layer2 import Host, Layer2
from datapaths.kernel.learning import Learning
from datapaths.kernel.linktable import LinkTable
from datapaths.kernel.nexthoptable import NexthopTable
from datapaths.kernel.plan import Touched
from datapaths.kernel.routes import batches
from datapaths.kernel.segmenttable import SegmentTable, group_of
from datapaths.kernel.wire import links, neighbours, nexthops
from datapaths.kernel.wire.links import Link
from datapaths.kernel.wire.neighbours import ZERO_MAC, Entry
from datapaths.kernel.wire.routes import METRIC, decode_routes
from datapaths.linux import marks
from datapaths.linux.overlay import UNREACHABLE_METRIC
from datapaths.linux.subnets import Subnets
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Flood, Mac, Neighbor, RemoteVtep
from dualpath.model.nexthops import V4_MAPPED
from dualpath.model.records import Record
from dualpath.model.routes import Op
from dualpath.netlink import numbers as n
from dualpath.netlink.message import DecodeError, Message, messages

log = logging.getLogger(__name__)

NO_PORTS = frozenset({"bridge", "vxlan", "vrf"})
KIND_OF_MARK = {"vrf": Kind.VRF, "vni": Kind.VNI, "vxlan": Kind.VNI}  # others: Kind.PORT
BROUGHT = (n.RTPROT_BOOT, n.RTPROT_STATIC, n.RTPROT_RA, n.RTPROT_DHCP)
WATCHED = (
    Kind.VRF,
    Kind.VNI,
    Kind.PORT,
    Kind.REMOTE_VTEP,
    Kind.FLOOD,
    Kind.ETHERNET_SEGMENT,
    Kind.MAC,
    Kind.NEIGHBOR,
    Kind.NEXTHOP,
    Kind.ROUTE,
)


class Observer:
    """Takes netlink messages, keeps the picture, emits what is learnt and what got lost."""

    def __init__(self, emit: Callable[[Learned], None]) -> None:
        self._emit = emit
        self.links = LinkTable()
        self.layer2 = Layer2(self.links)
        self.nexthops = NexthopTable(self.links)
        self.segments = SegmentTable()
        self.subnets = Subnets()
        self._learning = Learning(self.links, self.layer2, self.subnets, emit)
        self._ports: dict[str, bool] = {}
        self._own: frozenset[Touched] | set[Touched] = frozenset()
        self._built: Collection[str] = ()  # devices that change by our own hand
        self.doubtful = False
        """A device that nexthops use went down: the kernel flushed them, and does not say so.

        Dump them and call `load_nexthops`.
        """

    def replay(self) -> None:
        """Emit all that is known: ports, local MACs and neighbours."""
        for name, up in self._ports.items():
            self._emit(PortChanged(name, up))
        self._learning.replay()

    def load_links(self, dumped: Iterable[Message]) -> None:
        """Replace the links by a dump. Links first: the rest is read against them."""
        found = [link for link in map(links.decode, dumped) if link]
        for index in {link.index for link in self.links} - {link.index for link in found}:
            self.links.pop(index)
        for link in found:
            self.links.put(link)
        ports = {link.name: link.up and link.carrier for link in found if _is_port(link)}
        for name in self._ports.keys() - ports.keys():
            self._port_changed(name, False, gone=True)
        for name, up in ports.items():
            self._port_changed(name, up)

    def load_layer2(self, dumped: Iterable[Message]) -> None:
        """Replace FDBs and neighbours by a dump of AF_BRIDGE, AF_INET and AF_INET6."""
        self.layer2.clear()
        for message in dumped:
            self.layer2.put(neighbours.decode(message))
        self._learning.rescan()

    def load_nexthops(self, dumped: Iterable[Message]) -> None:
        """Replace the nexthops by a dump; those of ours that are gone or changed are told."""
        before, segments = tuple(self.nexthops), {it.id: it for it in self.segments}
        self.nexthops.clear()
        self.segments.clear()
        for message in dumped:
            new = nexthops.decode(message)
            if not self.segments.put(new):
                self.nexthops.put(new)
        self.doubtful = False
        for segment in segments.values():
            self._segment_lost(segment)
        if lost := tuple(it for it in before if self.nexthops.get(it.id) != it):
            self._emit(Lost(Kind.NEXTHOP, lost))

    def lost_everything(self) -> None:
        """Notifications were lost, so anything may have been."""
        for kind in WATCHED:
            self._emit(Lost(kind))

    def feed(
        self,
        data: bytes,
        own: frozenset[Touched] | set[Touched] = frozenset(),
        *,
        built: Collection[str] = (),
    ) -> None:
        """Take notifications; no loss is told of what is in `own`, nor of devices in `built`."""
        self._own, self._built = own, built
        routes = False
        for message in messages(data):
            if message.type in (n.RTM_NEWROUTE, n.RTM_DELROUTE):
                routes = True
                continue
            try:
                self._take(message)
            except DecodeError as error:
                self._complain(message, error)
        if routes:
            self._take_routes(data)

    def _complain(self, message: Message, error: DecodeError) -> None:
        log.warning("notification %d: %s: %s", message.type, error, message.body[:64].hex())
        self.lost_everything()

    def _take(self, message: Message) -> None:
        match message.type:
            case n.RTM_NEWLINK | n.RTM_DELLINK:
                if link := links.decode(message):
                    self._take_link(link, message.type == n.RTM_DELLINK)
            case n.RTM_NEWNEIGH | n.RTM_DELNEIGH:
                self._take_entry(neighbours.decode(message))
            case n.RTM_NEWNEXTHOP | n.RTM_DELNEXTHOP:
                self._take_nexthop(nexthops.decode(message))
            case n.RTM_NEWADDR | n.RTM_DELADDR:
                self._take_address(message, gone=message.type == n.RTM_DELADDR)
            case n.RTM_NEWRULE | n.RTM_DELRULE:
                self._take_rule(*links.decode_rule(message), added=message.type == n.RTM_NEWRULE)
            case _:
                pass

    def _take_address(self, message: Message, *, gone: bool) -> None:
        index, address, length = links.decode_address(message)
        if gone:
            self.subnets.drop(index, address, length)
            if link_now := self.links.get(index):
                self._lost_device(link_now)
        else:
            self.subnets.put(index, address, length)
        self._learning.subnets_changed(index)

    def load_addresses(self, dumped: Iterable[Message]) -> None:
        """Replace the addresses of links by a dump."""
        self.subnets.clear()
        for message in dumped:
            self.subnets.put(*links.decode_address(message))
        self._learning.rescan()

    def off_subnet(self) -> dict[int, int]:
        """Return how many announced addresses are left out, by VNI."""
        return self._learning.off_subnet()

    def _take_rule(self, device: str, priority: int, *, added: bool) -> None:
        """A routing rule changed: one of a bridge's own, or one for all tables.

        What we build first adds those for all tables, and removes the kernel's first one.
        """
        if device in self._built or (self._built and not device and (added or not priority)):
            return
        self._emit(Lost(Kind.VRF))
        self._emit(Lost(Kind.VNI))

    def _take_link(self, link: Link, gone: bool) -> None:
        old, vni_after = self.links.get(link.index), None if gone else _overlay(link)
        lost = self._overlay_records(old) if old and _overlay(old) != vni_after else {}
        if gone:
            self.links.pop(link.index)
            self.layer2.forget(link.index)
            self.subnets.forget(link.index)
        else:
            self.links.put(link)
        for kind, records in lost.items():
            self._emit(Lost(kind, records))
        if old and (gone or _differs(old, link)):
            self._lost_device(old)
        if gone or not (link.up and link.carrier):
            self.doubtful |= self.nexthops.use(link.index)
        if _overlay(old) != vni_after:
            self._learning.rescan()
        if old and old.name != link.name:
            self._port_changed(old.name, False, gone=True)
        if _is_port(link):
            self._port_changed(link.name, not gone and link.up and link.carrier, gone=gone)

    def _overlay_records(self, link: Link) -> dict[Kind, tuple[Record, ...]]:
        """Return what is whole on a VXLAN device in its bridge: it ends as they part.

        The kernel tells of the rows of the two afterwards, when nothing joins them any more.
        """
        if not link.vni or not link.master:
            return {}
        found = {kind: tuple(records) for kind, records in self.layer2.remote(link).items()}
        return {kind: records for kind, records in found.items() if records}

    def _port_changed(self, name: str, up: bool, *, gone: bool = False) -> None:
        before = self._ports.pop(name, None)
        if not gone:
            self._ports[name] = up
        if before is not up and not (gone and not before):
            self._emit(PortChanged(name, up))

    def _lost_device(self, link: Link) -> None:
        mark = marks.decode(link.alias)
        if mark and link.name not in self._built:
            self._emit(Lost(KIND_OF_MARK.get(mark.what, Kind.PORT)))

    def _segment_lost(self, before: EthernetSegment) -> None:
        """Tell that a segment is not as it was; with its group go the entries that name it."""
        now = self.segments.get(group_of(before.id))
        if now == before:
            return
        self._emit(Lost(Kind.ETHERNET_SEGMENT, (before,)))
        if now:
            return
        for index, mac in self.layer2.flush(group_of(before.id)):
            if link := self.links.get(index):
                self._emit(Lost(Kind.MAC, (Mac(link.vni, mac, segment=before.id),)))

    def _take_nexthop(self, new: nexthops.Object) -> None:
        groups = list(self.segments.with_member(new.id))
        segments = [it for group in groups if (it := self.segments.get(group))]
        if self.segments.put(new):
            for segment in segments:
                if ("segment", segment.id) not in self._own:
                    self._segment_lost(segment)
            return
        old = self.nexthops.get(new.id)
        self.nexthops.put(new)
        if old and self.nexthops.get(new.id) != old and ("nexthop", new.id) not in self._own:
            self._emit(Lost(Kind.NEXTHOP, (old,)))

    def _take_entry(self, entry: Entry) -> None:
        before = self._record_of(entry)
        self.layer2.put(entry)
        if before:
            key, record = before
            if key not in self._own and self._record_of(entry) != before:
                self._emit(Lost(record.kind, (record,)))
        if entry.master:
            self._learning.mac_changed(entry.master, entry.mac)
        elif entry.family != socket.AF_BRIDGE:
            self._learning.neighbor_changed(entry.ifindex, entry.destination)

    def _record_of(self, entry: Entry) -> tuple[Touched, Record] | None:
        """Return the record of ours that a row belongs to, as it is now, if it is whole."""
        if entry.family != socket.AF_BRIDGE:
            return self._host_record(entry)
        vxlan = self._vxlan(entry)
        if not vxlan:
            return None
        if entry.mac == ZERO_MAC:
            held = entry.destination in self.layer2.floods.get(vxlan.index, ())
            flood = Flood(vxlan.vni, entry.destination)
            return (("flood", vxlan.vni, flood.vtep), flood) if held else None
        tunnel = self.layer2.tunnel(vxlan.index, entry.mac)
        if not tunnel or not tunnel.flags & n.NTF_EXT_LEARNED:
            return None
        local = self.layer2.local(vxlan.master, vxlan.index, entry.mac)
        if not local and not self.layer2.behind(vxlan, entry.mac):
            return None
        key = "fdb", vxlan.vni, entry.mac
        if self.layer2.is_router(vxlan, entry.mac):
            return key, RemoteVtep(vxlan.vni, tunnel.vtep, entry.mac)
        return key, self.layer2.mac(vxlan, entry.mac, tunnel)

    def _vxlan(self, entry: Entry) -> Link | None:
        """Return the VXLAN device that an FDB entry concerns."""
        if entry.master:
            return self.links.vxlan(self.links.vni_of(entry.master))
        link = self.links.get(entry.ifindex)
        return link if link and link.vni else None

    def _host_record(self, entry: Entry) -> tuple[Touched, Record] | None:
        vni = self.links.vni_of(entry.ifindex)
        row = self.layer2.programmed(entry.ifindex, entry.destination)
        vxlan = self.links.vxlan(vni)
        if not row or not vxlan:
            return None
        return ("host", vni, entry.destination), self._host(vxlan, entry.destination, row)

    def _host(self, vxlan: Link, address: bytes, row: Host) -> Record:
        vtep = address.removeprefix(V4_MAPPED) if len(address) == 16 else address
        if mac := self.layer2.router_mac(vxlan, vtep):
            return RemoteVtep(vxlan.vni, vtep, mac)
        return Neighbor(vxlan.vni, address, row.mac, bool(row.flags & n.NTF_ROUTER))

    def _take_routes(self, data: bytes) -> None:
        """Somebody else removed or changed a route of ours, or put one in its place."""
        try:
            for columns in decode_routes(data):
                ours = columns.protocols == n.RTPROT_DUALPATH
                brought = np.isin(columns.protocols, BROUGHT)
                if (brought & (columns.types == n.RTM_DELROUTE)).any():
                    self._emit(Lost(Kind.PORT))  # maybe one that came with a NIC
                over = (columns.types == n.RTM_NEWROUTE) & (columns.metrics == METRIC)
                touched = columns.where(ours | over)
                for batch in batches(touched, self.links, Op.WITHDRAW):
                    self._emit(Lost(Kind.ROUTE, routes=batch))
                ends = (columns.kinds == n.RTN_UNREACHABLE) & (
                    columns.metrics == UNREACHABLE_METRIC
                )
                if (ends & (columns.types == n.RTM_DELROUTE)).any():
                    self._emit(Lost(Kind.VRF))
        except DecodeError as error:
            log.warning("route notifications: %s", error)
            self._emit(Lost(Kind.ROUTE))


def _is_port(link: Link) -> bool:
    plumbing = link.kind == "veth" and link.name.startswith(marks.TWIN_PREFIX)
    return link.kind not in NO_PORTS and not link.loopback and not plumbing


def _overlay(link: Link | None) -> tuple[int, int] | None:
    return (link.vni, link.master) if link and link.vni else None


def _differs(old: Link, new: Link) -> bool:
    """Tell whether a device changed in what we set; carrier and counters are not that."""
    return (old.name, old.up, old.master, old.mtu, old.mac) != (
        new.name,
        new.up,
        new.master,
        new.mtu,
        new.mac,
    )
