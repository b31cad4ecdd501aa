"""Turn the kernel's dumps and notifications into the picture's tables, and into events. Pure.

`picture.py` explains when they are read, and why our own changes cause no event.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Collection, Iterable

from datapaths.base import Learned, Lost, PortChanged
from datapaths.kernel.layer2 import Layer2
from datapaths.kernel.learning import Learning
from datapaths.kernel.linktable import LinkTable
from datapaths.kernel.nexthoptable import NexthopTable
from datapaths.kernel.plan import Touched
from datapaths.kernel.remote import RemoteRecords
from datapaths.kernel.routelosses import losses
from datapaths.kernel.segmenttable import SegmentTable, group_of
from datapaths.kernel.wire import links, neighbors, nexthops
from datapaths.kernel.wire.links import Link
from datapaths.kernel.wire.neighbors import Entry
from datapaths.linux import marks
from datapaths.linux.subnets import Subnets
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Mac
from dualpath.model.records import Record
from dualpath.netlink import numbers as n
from dualpath.netlink.message import DecodeError, Message, cut, messages

log = logging.getLogger(__name__)

NO_PORTS = frozenset({"bridge", "vxlan", "vrf"})
KIND_OF_MARK = {"vrf": Kind.VRF, "vni": Kind.VNI, "vxlan": Kind.VNI}  # others: Kind.PORT
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
    """Keeps the picture's tables; emits learned and lost rows."""

    def __init__(self, emit: Callable[[Learned], None]) -> None:
        self._emit = emit
        self.links = LinkTable()
        self.layer2 = Layer2(self.links)
        self.remote = RemoteRecords(self.links, self.layer2)
        self.nexthops = NexthopTable(self.links)
        self.segments = SegmentTable()
        self.subnets = Subnets()
        self._learning = Learning(self.links, self.layer2, self.subnets, emit)
        self._ports: dict[str, bool] = {}
        self._own: frozenset[Touched] | set[Touched] = frozenset()
        self._built: Collection[str] = ()  # devices that we have just built
        self.skipped = False
        """A notification could not be decoded since the last dump of FDBs and neighbors."""
        self.doubtful = False
        """A device that nexthops use went down: the kernel deleted them without a notification.

        Dump the nexthops and call `load_nexthops`.
        """

    def replay(self) -> None:
        """Emit the present state: ports, local MACs and neighbors."""
        for name, up in self._ports.items():
            self._emit(PortChanged(name, up))
        self._learning.replay()

    def load_links(self, dumped: Iterable[Message]) -> None:
        """Replace the links by a dump. Load links first: other rows refer to them."""
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

    async def load_layer2(self, dumped: Iterable[bytes]) -> None:
        """Replace FDBs and neighbors by a dump of AF_BRIDGE, AF_INET and AF_INET6, in pieces.

        Other tasks run meanwhile, and see the former rows; feed nothing until it is done.
        """
        found = Layer2(self.links)
        for piece in dumped:
            entries = neighbors.decode_all(piece, cut(piece))
            for entry in entries or map(neighbors.decode, messages(piece)):
                found.put(entry)
            await asyncio.sleep(0)
        self.layer2.replace(found)
        self.skipped = False
        self._learning.rescan()

    def load_nexthops(self, dumped: Iterable[Message]) -> None:
        """Replace the nexthops by a dump; emit those of ours that are missing or changed."""
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
        """Emit that rows of every kind may be lost."""
        for kind in WATCHED:
            self._emit(Lost(kind))

    def feed(
        self,
        data: bytes,
        own: frozenset[Touched] | set[Touched] = frozenset(),
        *,
        built: Collection[str] = (),
    ) -> None:
        """Apply notifications. Emit no loss of keys in `own`, nor of devices in `built`."""
        self._own, self._built = own, built
        if entries := neighbors.decode_all(data, cut(data)):
            for entry in entries:
                self._learn_entry(entry)
            return
        routes = False
        for message in messages(data):
            if message.type in (n.RTM_NEWROUTE, n.RTM_DELROUTE):
                routes = True
                continue
            try:
                self._learn(message)
            except DecodeError as error:
                self._skip(message, error)
        if routes:
            self._learn_routes(data)

    def _skip(self, message: Message, error: DecodeError) -> None:
        text = "cannot decode notification %d (%s): %s; comparing everything"
        log.warning(text, message.type, error, message.body[:64].hex())
        self.skipped = True
        self.lost_everything()

    def _learn_routes(self, data: bytes) -> None:
        try:
            for lost in losses(data, self.links):
                self._emit(lost)
        except DecodeError as error:
            log.warning("cannot decode route notifications (%s); comparing all routes", error)
            self._emit(Lost(Kind.ROUTE))

    def _learn(self, message: Message) -> None:
        match message.type:
            case n.RTM_NEWLINK | n.RTM_DELLINK:
                if link := links.decode(message):
                    self._learn_link(link, message.type == n.RTM_DELLINK)
            case n.RTM_NEWNEIGH | n.RTM_DELNEIGH:
                self._learn_entry(neighbors.decode(message))
            case n.RTM_NEWNEXTHOP | n.RTM_DELNEXTHOP:
                self._learn_nexthop(nexthops.decode(message))
            case n.RTM_NEWADDR | n.RTM_DELADDR:
                self._learn_address(message, gone=message.type == n.RTM_DELADDR)
            case n.RTM_NEWRULE | n.RTM_DELRULE:
                self._learn_rule(*links.decode_rule(message), added=message.type == n.RTM_NEWRULE)
            case _:
                pass

    def _learn_address(self, message: Message, *, gone: bool) -> None:
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
        """Return how many announced addresses are not learned, by VNI."""
        return self._learning.off_subnet()

    def _learn_rule(self, device: str, priority: int, *, added: bool) -> None:
        """Emit a loss for a changed routing rule, of a bridge or for all tables.

        Not if we build now: the first build adds the rules for all tables, and removes the kernel's
        rule with priority 0.
        """
        if device in self._built or (self._built and not device and (added or not priority)):
            return
        self._emit(Lost(Kind.VRF))
        self._emit(Lost(Kind.VNI))

    def _learn_link(self, link: Link, gone: bool) -> None:
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
            self._learning.vnis_changed({it.vni for it in (old, link) if it} - {0})
        if old and old.name != link.name:
            self._port_changed(old.name, False, gone=True)
        if _is_port(link):
            self._port_changed(link.name, not gone and link.up and link.carrier, gone=gone)

    def _overlay_records(self, link: Link) -> dict[Kind, tuple[Record, ...]]:
        """Return the complete records of a VXLAN device and its bridge, which are lost together.

        The kernel reports the single rows later, when VXLAN device and bridge are not joined any
        more.
        """
        if not link.vni or not link.master:
            return {}
        found = {kind: tuple(records) for kind, records in self.remote.all(link).items()}
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
        """Emit a lost segment. The kernel deletes the FDB entries of a deleted group as well."""
        now = self.segments.get(group_of(before.id))
        if now == before:
            return
        self._emit(Lost(Kind.ETHERNET_SEGMENT, (before,)))
        if now:
            return
        for index, mac in self.layer2.flush(group_of(before.id)):
            if link := self.links.get(index):
                self._emit(Lost(Kind.MAC, (Mac(link.vni, mac, segment=before.id),)))

    def _learn_nexthop(self, new: nexthops.Object) -> None:
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

    def _learn_entry(self, entry: Entry) -> None:
        ours = bool(self._own) and self.remote.key_of(entry) in self._own
        before = None if ours else self.remote.of(entry)
        self.layer2.put(entry)
        if before and self.remote.of(entry) != before:
            self._emit(Lost(before.kind, (before,)))
        if entry.master:
            self._learning.mac_changed(entry.master, entry.mac)
        elif entry.family != socket.AF_BRIDGE:
            self._learning.neighbor_changed(entry.ifindex, entry.destination)


def _is_port(link: Link) -> bool:
    plumbing = link.kind == "veth" and link.name.startswith(marks.TWIN_PREFIX)
    return link.kind not in NO_PORTS and not link.loopback and not plumbing


def _overlay(link: Link | None) -> tuple[int, int] | None:
    return (link.vni, link.master) if link and link.vni else None


def _differs(old: Link, new: Link) -> bool:
    """Return whether a device changed in an attribute that we set (not its carrier)."""
    return (old.name, old.up, old.master, old.mtu, old.mac) != (
        new.name,
        new.up,
        new.master,
        new.mtu,
        new.mac,
    )
