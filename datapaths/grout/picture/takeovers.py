"""Takeovers: local hosts that announce an address or a MAC that FRR has behind a VTEP. Pure.

grout never replaces a remote neighbor or a remote MAC because a local host announces it. So
Dualpath receives announcements on the near ends of host legs. If one has the address of a remote
neighbor, Dualpath removes that neighbor and repeats the frame into the port. Then grout learns the
host from it, and FRR advertises it (decision 0074).

    before         neighbor 10.110.0.5 ..:bb REMOTE, from FRR
    announcement   10.110.0.5 is at ..:aa, on the host leg `pe-b`
    after          neighbor 10.110.0.5 ..:aa, learned by grout

Until FRR withdraws the remote neighbor, it counts as programmed (`HopTable.taken_over`), like a
moved MAC. If grout did not learn the local host, or lost it, the remote neighbor is reported as
lost, and the controller programs it again.
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
    """What to remove so that grout learns a host, and where to repeat the host's frame."""

    wire: str  # send the frame again out of this device; "" when the driver has no wire
    neighbor: Neighbor | None
    entry: FdbEntry | None  # of the host's MAC


class Takeovers:
    """Finds announcements that conflict with a remote neighbor or MAC; nearly none does."""

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
        self._waiting: set[HopKey] = set()  # not learned at the last look

    def find(self, device: str, heard: Announcement) -> Takeover | None:
        """Return the takeover that an announcement on a kernel device asks for, if any."""
        port = self._port(device)
        bridge = self._ifaces.get(port.domain) if port else None
        if not port or not bridge or _mac_of(bridge) == heard.mac:
            return None
        neighbor = self._neighbor(bridge, heard)
        entry = self._bridges.get(bridge.id, heard.mac)
        if entry and not entry.flags & n.GR_FDB_F_EXTERN:
            entry = None
        if not neighbor and not entry and not self._bridges.is_awaited(bridge.id, heard.mac):
            return None
        return Takeover(_wire_of(port), neighbor, entry)

    def answered(self, device: str, heard: Announcement) -> str:
        """Return the port out of which grout's ARP suppression answers an announcement, or "".

        It answers a gratuitous request for a remote neighbor, also if that is the host itself.
        """
        port = self._port(device) if heard.gratuitous and len(heard.address) == 4 else None
        bridge = self._ifaces.get(port.domain) if port else None
        if not port or not bridge:
            return ""
        hop = self._hops.at(bridge.vrf, heard.address, bridge.id)
        own = hop and hop.iface == bridge.id and hop.flags & KINDS == HOST and hop.mac == heard.mac
        return port.name if own else ""

    def unconfirmed(self) -> Iterator[Neighbor]:
        """Yield the remote neighbors whose local hosts grout did not learn between two looks."""
        unlearned: set[HopKey] = set()
        for key, hop in list(self._hops.taken_over.items()):
            record = self._hops.neighbor_of(hop)
            if record and self._learning.is_local(hop.iface, hop.address):
                continue
            if record and key not in self._waiting:
                unlearned.add(key)
                continue
            del self._hops.taken_over[key]
            if record:
                yield record
        self._waiting = unlearned

    def _port(self, device: str) -> Iface | None:
        for iface in self._ifaces:
            bridged = iface.mode == n.GR_IFACE_MODE_BRIDGE and isinstance(iface.info, PortInfo)
            if bridged and device_of(iface.name) == device:
                return iface
        return None

    def _neighbor(self, bridge: Iface, heard: Announcement) -> Neighbor | None:
        hop = self._hops.at(bridge.vrf, heard.address, bridge.id)
        if not hop or hop.iface != bridge.id or hop.flags & KINDS != HOST or hop.mac == heard.mac:
            return None
        if len(heard.address) == 16 and not heard.gratuitous:
            return None  # grout learns nothing from a solicitation for another address
        if not self._subnets.may_contain(bridge.id, heard.address):
            return None  # outside the bridge's subnets: FRR would not get it either
        return self._hops.neighbor_of(hop)


def _mac_of(bridge: Iface) -> bytes:
    return bridge.info.mac if isinstance(bridge.info, BridgeInfo) else b""


def _wire_of(port: Iface) -> str:
    devargs = port.info.devargs if isinstance(port.info, PortInfo) else ""
    made = complete(parse(devargs), port.name, bytes(6))
    return made.get("iface") if made.meeting is Meeting.WIRE else ""
