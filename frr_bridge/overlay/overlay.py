"""The overlay rows in the kernel of FRR's namespace, and the records derived from them.

zebra writes remote MACs, neighbors and flood entries on the shadow devices. Their rows arrive as
netlink messages, in a dump or as notifications. Rows depend on one another in a chain. When one
part changes, the next part looks at its own rows again:

    link           devices    index 5 is vx110: VNI 110, in bridge 4
    nexthop        segments   group 536870913 is VTEPs 100.64.0.2 and 100.64.0.3
    bridge row     bridgerows MAC 02:..:0a is on port 5 of bridge 4
    VXLAN row      macs       joined with the bridge row: Mac(110, 02:..:0a, 100.64.0.2)
    neighbor row   neighbors  its MAC is remote: Neighbor(110, 10.110.0.10, 02:..:0a)
    flood row      floods     Flood(110, 100.64.0.3)

So the records are the same in whatever order the rows arrive. Rejected: a queue per kind for rows
that wait for another row, because every pair of rows would need its own rule for removal. No
interface index leaves this package.
"""

from __future__ import annotations

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment
from dualpath.model.routes import RTPROT_DUALPATH
from dualpath.netlink.numbers import AF_BRIDGE, NTF_EXT_LEARNED, NTF_SELF
from frr_bridge.overlay.bridgerows import BridgeRows
from frr_bridge.overlay.devices import Effect, ShadowDevices
from frr_bridge.overlay.floods import FLOOD_MAC, Floods
from frr_bridge.overlay.macs import RemoteMacs
from frr_bridge.overlay.mirrored import MirroredRows
from frr_bridge.overlay.neighbors import RemoteNeighbors
from frr_bridge.overlay.segments import Segments
from frr_bridge.overlay.sink import RecordSink, RowKey
from frr_bridge.wire.link import LinkMessage
from frr_bridge.wire.neighbor import NeighborMessage
from frr_bridge.wire.nexthop import ZebraNexthop


class Overlay:
    """Passes each netlink message to the part that keeps its row."""

    def __init__(self, sink: RecordSink) -> None:
        self._sink = sink
        self.devices = ShadowDevices()
        self.segments = Segments(self._segment_changed)
        rows = BridgeRows(self.devices)
        self.macs = RemoteMacs(self.devices, rows, self.segments, sink, self._mac_changed)
        self.neighbors = RemoteNeighbors(self.macs, sink)
        self.floods = Floods(self.devices, sink)
        self.mirrored = MirroredRows(self.devices, rows)

    def link(self, message: LinkMessage) -> set[int]:
        """Process a link; return the devices over which nexthops may resolve to something else."""
        return self._device_changed(message.index, self.devices.learn(message))

    def nexthop(self, nexthop: ZebraNexthop) -> bool:
        """Process a nexthop of bridge rows; return False for a nexthop of routes."""
        return self.segments.learn(nexthop)

    def neighbor(self, row: NeighborMessage) -> None:
        """Process a row of a bridge, of a VXLAN device or of an IP neighbor."""
        if row.family != AF_BRIDGE:
            self._ip_neighbor(row)
        elif row.lladdr == FLOOD_MAC:
            self.floods.learn(row)
        elif row.flags & NTF_SELF:
            self.macs.learn_vxlan_row(row)
        elif row.master and not row.vlan:  # the kernel repeats rows for a bridge's default VLAN
            self.macs.learn_bridge_row(row)

    def begin_dump(self) -> None:
        """Start a dump of everything: `end_dump` removes the rows that it does not repeat."""
        self.devices.begin_dump()
        self.segments.begin_dump()
        self.macs.begin_dump()
        self.neighbors.begin_dump()
        self.floods.begin_dump()
        self.mirrored.begin_dump()

    def end_dump(self) -> set[int]:
        """Remove the rows that the dump did not repeat, starting with those that depend on others.

        Return the devices over which nexthops may resolve to something else.
        """
        self.neighbors.end_dump()
        self.mirrored.end_dump()
        self.floods.end_dump()
        self.macs.end_dump()
        changed = set(self.devices.links)
        for index in self.devices.take_unseen():
            changed |= self._device_changed(index, self.devices.forget(index))
        self.segments.end_dump()
        return changed

    def _device_changed(self, index: int, effect: Effect) -> set[int]:
        for bridge in effect.bridges:
            self.macs.bridge_changed(bridge)
            self.neighbors.bridge_changed(bridge)
        if effect.vxlan:
            self.floods.device_changed(effect.vxlan)
        return {index, *effect.bridges} if effect.resolves else set()

    def _mac_changed(self, key: RowKey) -> None:
        self.neighbors.mac_changed(key)

    def _segment_changed(self, identity: int, vteps: tuple[bytes, ...]) -> None:
        """Report a segment before its first MAC, and withdraw it after its last."""
        if vteps:
            self._sink.upsert(EthernetSegment(identity, vteps))
        self.macs.segment_changed(identity)
        if not vteps:
            self._sink.withdraw(Kind.ETHERNET_SEGMENT, identity)

    def _ip_neighbor(self, row: NeighborMessage) -> None:
        """Pass on a neighbor row of zebra's or the mirror's; any other replaced or deleted it."""
        key = row.ifindex, row.dst
        if row.deleted or not row.flags & NTF_EXT_LEARNED or not row.lladdr:
            self.mirrored.forget(key)
            self.neighbors.forget(key)
        elif row.protocol == RTPROT_DUALPATH:
            self.mirrored.learn(row)
            self.neighbors.forget(key)
        else:
            self.mirrored.replaced_by_zebra(key)
            self.neighbors.learn(row)
