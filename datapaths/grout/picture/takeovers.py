"""Which announcements of local hosts override what FRR placed behind a VTEP. Pure.

grout moves neither a remote neighbour nor a remote MAC because a local host says that it has them.
So announcements are heard on the near ends of host legs. Where one names an address whose neighbour
is remote, that neighbour is taken out, and the frame is sent into the port once more: with nothing
in the way, grout learns the host from it.

    neighbour of ours:   10.110.0.5  ..:bb  REMOTE
    host says:           10.110.0.5 is at ..:aa, on the leg `pe-b`
    afterwards:          10.110.0.5  ..:aa  as grout learnt it, and FRR is told

Until FRR withdraws the remote one it counts as programmed (`HopTable.taken_over`), as with MACs. If
grout did not learn the host, or lost it, the remote one is told as lost, and so returns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from datapaths.grout.picture.bridges import BridgeTable
from datapaths.grout.picture.hops import HOST, KINDS, HopKey, HopTable
from datapaths.grout.picture.interfaces import IfaceTable
from datapaths.grout.picture.learning import Learning
from datapaths.grout.ports.devargs import Meeting, complete, parse
from datapaths.grout.ports.names import device_of
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.bridges import FdbEntry
from datapaths.grout.wire.ifaces import BridgeInfo, Iface, PortInfo
from datapaths.linux.subnets import Subnets
from datapaths.linux.wire.announcements import Announcement
from dualpath.model.layer2 import Neighbor


class Takeover(NamedTuple):
    """What is to be taken out for a host to be learnt."""

    wire: str  # the device by which its frame is repeated, "" when a driver has none
    neighbor: Neighbor | None
    entry: FdbEntry | None  # of its MAC


class Takeovers:
    """Decides which announcements change something; nearly none does."""

    def __init__(
        self,
        ifaces: IfaceTable,
        hops: HopTable,
        bridges: BridgeTable,
        learning: Learning,
        subnets: Subnets,
    ) -> None:
        self._ifaces = ifaces
        self._hops = hops
        self._bridges = bridges
        self._learning = learning
        self._subnets = subnets
        self._waiting: set[HopKey] = set()  # taken_over at the last look, and not learnt

    def find(self, device: str, said: Announcement) -> Takeover | None:
        """Return what an announcement on a kernel device is in conflict with."""
        port = self._port(device)
        bridge = self._ifaces.get(port.domain) if port else None
        if not port or not bridge or _mac_of(bridge) == said.mac:
            return None
        neighbor = self._neighbor(bridge, said)
        entry = self._bridges.get(bridge.id, said.mac)
        if entry and not entry.flags & n.GR_FDB_F_EXTERN:
            entry = None
        return Takeover(_wire_of(port), neighbor, entry) if neighbor or entry else None

    def unconfirmed(self) -> Iterator[Neighbor]:
        """Yield taken_over neighbours that grout has not learnt between two looks; they return."""
        unlearnt: set[HopKey] = set()
        for place, hop in list(self._hops.taken_over.items()):
            record = self._hops.neighbor_of(hop)
            if record and self._learning.is_local(hop.iface, hop.address):
                continue
            if record and place not in self._waiting:
                unlearnt.add(place)
                continue
            del self._hops.taken_over[place]
            if record:
                yield record
        self._waiting = unlearnt

    def _port(self, device: str) -> Iface | None:
        for iface in self._ifaces:
            bridged = iface.mode == n.GR_IFACE_MODE_BRIDGE and isinstance(iface.info, PortInfo)
            if bridged and device_of(iface.name) == device:
                return iface
        return None

    def _neighbor(self, bridge: Iface, said: Announcement) -> Neighbor | None:
        hop = self._hops.at(bridge.vrf, said.address, bridge.id)
        if not hop or hop.iface != bridge.id or hop.flags & KINDS != HOST or hop.mac == said.mac:
            return None
        if len(said.address) == 16 and not said.gratuitous:
            return None  # grout learns no host from a solicitation that is not for itself
        if not self._subnets.takes(bridge.id, said.address):
            return None  # it would not be advertised either
        return self._hops.neighbor_of(hop)


def _mac_of(bridge: Iface) -> bytes:
    return bridge.info.mac if isinstance(bridge.info, BridgeInfo) else b""


def _wire_of(port: Iface) -> str:
    devargs = port.info.devargs if isinstance(port.info, PortInfo) else ""
    made = complete(parse(devargs), port.name, bytes(6))
    return made.get("iface") if made.meeting is Meeting.WIRE else ""
