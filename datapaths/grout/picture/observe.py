"""Apply grout's events to the picture, and report what they mean. Pure: no sockets.

grout sends events about what traffic and other programs change, and none about what this process
changes (suppress_self_events). So three things keep the picture of interfaces, nexthops and layer
2: dumps at the start and after every change of devices, events, and our own writes. Our routes are
not kept: a million would be a second copy of grout's table. Those of other programs are (`routes`).

    event FDB_DEL 02:..:aa, entry EXTERN   the picture had it: report Lost(MAC, that record)
    event NEXTHOP_NEW 10.110.0.11 ..:aa    local by its MAC: report LearnedNeighbor
    event IFACE_POST_RECONFIG br110        differs from the picture: report Lost(VNI)
    an event that cannot be decoded        report everything as lost: the controller compares

Rejected: a picture from events alone. A changed description causes no event (decision 0012).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from datapaths.base import CaughtUp, Learned, Lost, PortChanged
from datapaths.grout.picture import ids
from datapaths.grout.picture.bridges import BridgeTable
from datapaths.grout.picture.hops import HopTable, hop_of
from datapaths.grout.picture.interfaces import IfaceTable
from datapaths.grout.picture.learning import Learning
from datapaths.grout.picture.routes import Others, batch_of, columns_of
from datapaths.grout.picture.takeovers import Takeovers
from datapaths.grout.wire import addresses, bridges, ifaces, nexthops, routes
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.frames import Event
from datapaths.grout.wire.ifaces import Iface
from datapaths.grout.wire.table import Api, DecodeError
from datapaths.linux import marks
from datapaths.linux.subnets import Subnets
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood
from dualpath.model.records import Record
from dualpath.model.routes import Family, Op

log = logging.getLogger(__name__)

EVENTS = (
    *("GR_EVENT_IFACE_POST_ADD", "GR_EVENT_IFACE_REMOVE", "GR_EVENT_IFACE_POST_RECONFIG"),
    *("GR_EVENT_IFACE_STATUS_UP", "GR_EVENT_IFACE_STATUS_DOWN"),
    *("GR_EVENT_NEXTHOP_NEW", "GR_EVENT_NEXTHOP_DELETE", "GR_EVENT_NEXTHOP_UPDATE"),
    *("GR_EVENT_IP_ADDR_ADD", "GR_EVENT_IP_ADDR_DEL"),
    *("GR_EVENT_IP6_ADDR_ADD", "GR_EVENT_IP6_ADDR_DEL"),
    *("GR_EVENT_IP_ROUTE_ADD", "GR_EVENT_IP_ROUTE_DEL"),
    *("GR_EVENT_IP6_ROUTE_ADD", "GR_EVENT_IP6_ROUTE_DEL"),
    *("GR_EVENT_FDB_ADD", "GR_EVENT_FDB_DEL", "GR_EVENT_FDB_UPDATE"),
    *("GR_EVENT_FLOOD_ADD", "GR_EVENT_FLOOD_DEL"),
)
GONE = ("_DEL", "_REMOVE", "_DELETE")
KIND_OF_MARK = {"vrf": Kind.VRF, "vni": Kind.VNI, "vxlan": Kind.VNI}  # other marks: Kind.PORT
WATCHED = tuple(kind for kind in Kind if kind not in (Kind.LSP, Kind.ETHERNET_SEGMENT))


class Observer:
    """Keeps the picture, and emits learned and lost rows."""

    def __init__(self, emit: Callable[[Learned], None]) -> None:
        self._emit = emit
        self.ifaces = IfaceTable()
        self.hops = HopTable(self.ifaces)
        self.bridges = BridgeTable(self.ifaces)
        self.others = Others()
        self.subnets = Subnets()
        self.learning = Learning(self.ifaces, self.bridges, self.subnets, emit)
        self.takeovers = Takeovers(
            self.ifaces, self.hops, self.bridges, self.learning, self.subnets
        )
        self.arrived: Callable[[bridges.FdbEntry], None] = lambda _: None
        """Called when grout has learned a MAC that was behind a VTEP before."""
        self._ports: dict[str, bool] = {}
        self._names: dict[int, str] = {}

    def replay(self) -> None:
        """Emit the present state: ports, local MACs and neighbors."""
        for name, up in self._ports.items():
            self._emit(PortChanged(name, up))
        self.learning.replay()
        self._emit(CaughtUp())

    def lost_everything(self) -> None:
        for kind in WATCHED:
            self._emit(Lost(kind))

    def on_devices(self) -> set[Record]:
        """Return the records that grout removes together with their device."""
        hops = self.hops
        held: set[Record] = {*hops.remote_vteps(), *hops.neighbors(), *hops.records.values()}
        return held.union(self.bridges.floods, self.bridges.macs())

    def return_unconfirmed(self) -> None:
        """Report as lost the remote neighbors whose takeover no local host confirmed."""
        if records := tuple(self.takeovers.unconfirmed()):
            self._emit(Lost(Kind.NEIGHBOR, records))

    def report_losses(self, before: set[Record]) -> None:
        """Report records that are missing since `before`: grout sends no event for our changes."""
        lost = before - self.on_devices()
        for kind in WATCHED:
            if records := tuple(record for record in lost if record.kind is kind):
                self._emit(Lost(kind, records))

    def ports_changed(self) -> None:
        """Report ports that changed since the last call, after a dump of interfaces."""
        now = {i.name: i.running for i in self.ifaces if i.type == n.GR_IFACE_TYPE_PORT}
        for name in self._ports.keys() - now.keys():
            self._port(name, None)
        for name, up in now.items():
            self._port(name, up)

    def compare(self, found: Sequence[Iface], own: Collection[str] = ()) -> None:
        """Compare a dump of all interfaces with the picture: some changes cause no event.

        We ourselves changed those named in `own`, so their changes are not reported.
        """
        there = {iface.id for iface in found}
        for iface in [*(i for i in self.ifaces if i.id not in there), *found]:
            gone = iface.id not in there
            if iface.name not in own:
                self._apply_iface(iface, gone)
            elif gone:
                self.ifaces.pop(iface.id)
            else:
                self.ifaces.put(iface)

    def forget_local(self) -> None:
        """Forget the addresses of interfaces, before a dump of them."""
        self.others.clear_local()
        self.subnets.clear()

    def load_local(self, api: Api, family: Family, payload: bytes) -> None:
        """Note one interface address of a dump."""
        self._apply_address(api, family, payload, gone=False)

    def feed(self, api: Api, event: Event) -> None:
        """Apply one event to the picture."""
        name = self._name(api, event.type)
        try:
            self._apply(api, name, event.payload)
        except DecodeError as error:
            text = "cannot decode event %s of grout (%s): %s; comparing all rows"
            log.warning(text, name or event.type, error, event.payload[:64].hex())
            self.lost_everything()

    def _name(self, api: Api, type_: int) -> str:
        if not self._names:
            self._names = {api.types[name]: name for name in EVENTS}
        return self._names.get(type_, "")

    def _apply(self, api: Api, name: str, payload: bytes) -> None:
        gone = name.endswith(GONE)
        family = Family.INET6 if "_IP6_" in name else Family.INET
        if "_IFACE_" in name:
            self._apply_iface(ifaces.decode(api, payload), gone)
        elif "_NEXTHOP_" in name:
            self._apply_nexthop(nexthops.decode(api, payload), gone)
        elif "_ADDR_" in name:
            self._apply_address(api, family, payload, gone=gone)
        elif "_ROUTE_" in name:
            self._apply_route(api, family, payload, gone)
        elif "_FDB_" in name:
            self._apply_fdb(bridges.decode_fdb(api, payload), gone)
        elif "_FLOOD_" in name:
            self._apply_flood(bridges.decode_flood(api, payload), gone)

    def _apply_iface(self, iface: Iface, gone: bool) -> None:
        old = self.ifaces.get(iface.id)
        if gone:
            self.ifaces.pop(iface.id)
            self.subnets.forget(iface.id)
        else:
            self.ifaces.put(iface)
        if old and (gone or _differs(old, iface)):
            mark = marks.decode(old.description)
            if mark:
                self._emit(Lost(KIND_OF_MARK.get(mark.what, Kind.PORT)))
        if old and old.name != iface.name:
            self._port(old.name, None)
        if iface.type == n.GR_IFACE_TYPE_PORT:
            self._port(iface.name, None if gone else iface.running)

    def _port(self, name: str, up: bool | None) -> None:
        before = self._ports.pop(name, None)
        if up is not None:
            self._ports[name] = up
        if before is not up and not (up is None and not before):
            self._emit(PortChanged(name, bool(up)))

    def _apply_nexthop(self, nexthop: nexthops.Nexthop, gone: bool) -> None:
        if isinstance(nexthop.info, nexthops.L3) and nexthop.info.address:
            self._apply_hop(nexthop, nexthop.info, gone)
        elif nexthop.origin == ids.ORIGIN and (gone or ids.is_group(nexthop.id)):
            self._emit(Lost(Kind.NEXTHOP))  # a deletion event does not name the id

    def _apply_hop(self, nexthop: nexthops.Nexthop, info: nexthops.L3, gone: bool) -> None:
        held = self.hops.at(nexthop.vrf, info.address, nexthop.iface)
        now = hop_of(nexthop)
        if held and now and (gone or (nexthop.id, now) != (held.id, held)):
            self._lost_hop(held.id)
        self.learning.neighbor_changed(nexthop.iface, info, gone)

    def _lost_hop(self, hop_id: int) -> None:
        hop = self.hops.forget(hop_id)
        if not hop:
            return
        if vtep := self.hops.vtep_of(hop):
            self._emit(Lost(Kind.REMOTE_VTEP, (vtep,)))
        if neighbor := self.hops.neighbor_of(hop):
            self._emit(Lost(Kind.NEIGHBOR, (neighbor,)))
        used = tuple(self.hops.records[user] for user in sorted(self.hops.users(hop_id)))
        for record in used:
            self.hops.drop_members(record.id)
        if used:
            self._emit(Lost(Kind.NEXTHOP, used))

    def _apply_address(self, api: Api, family: Family, payload: bytes, *, gone: bool) -> None:
        owner, address = addresses.decode(api, family, payload)
        iface = self.ifaces.get(owner)
        vrf = (iface.vrf if iface else 0) or n.GR_VRF_DEFAULT_ID
        (self.subnets.drop if gone else self.subnets.put)(owner, address.ip, address.length)
        self.learning.subnets_changed(owner)
        if gone:
            self.others.drop_local(vrf, address.ip)
            if iface and (mark := marks.decode(iface.description)):
                self._emit(Lost(KIND_OF_MARK.get(mark.what, Kind.PORT)))
        else:
            self.others.put_local(vrf, address.ip)

    def _apply_route(self, api: Api, family: Family, payload: bytes, gone: bool) -> None:
        columns = routes.decode(api, family, columns_of(payload))
        vrf = routes.decode_vrf(api, family, payload)
        prefix = routes.masked(columns.prefixes, columns.lengths)[0].tobytes()
        key = prefix, int(columns.lengths[0])
        ours = int(columns.origins[0]) == ids.ORIGIN
        if not ours:
            (self.others.drop_route if gone else self.others.put_route)(vrf, key)
        name = self.ifaces.vrf_name(vrf)
        if name and ours == gone:  # ours was removed, or another program's may have replaced it
            self._emit(Lost(Kind.ROUTE, routes=batch_of(name, family, columns, Op.WITHDRAW)))

    def _apply_fdb(self, entry: bridges.FdbEntry, gone: bool) -> None:
        held = self.bridges.get(entry.bridge, entry.mac)
        lost = self.bridges.mac_of(held) if held and (gone or held != entry) else None
        if gone:
            self.bridges.pop(entry.bridge, entry.mac)
        else:
            arrived = self.bridges.is_awaited(entry.bridge, entry.mac)
            self.bridges.put(entry)
            if arrived:
                self.arrived(entry)
        if lost:
            self._emit(Lost(Kind.MAC, (lost,)))
        self.learning.mac_changed(entry.bridge, entry.mac)

    def _apply_flood(self, entry: bridges.FloodEntry, gone: bool) -> None:
        flood = Flood(entry.vni, entry.vtep)
        if not gone:
            self.bridges.floods.add(flood)
        elif flood in self.bridges.floods:
            self.bridges.floods.discard(flood)
            self._emit(Lost(Kind.FLOOD, (flood,)))


def _differs(old: Iface, new: Iface) -> bool:
    """Return whether an interface differs, apart from its state and its members."""

    def essence(iface: Iface) -> object:
        info = iface.info
        if isinstance(info, ifaces.BridgeInfo):
            info = replace(info, members=())
        flags = iface.flags & (n.GR_IFACE_F_UP | n.GR_IFACE_F_NEIGH_SNOOP)
        place = iface.mode, iface.vrf, iface.domain
        return iface.name, flags, place, iface.mtu, iface.description, info

    return essence(old) != essence(new)
