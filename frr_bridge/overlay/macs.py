"""Remote MACs: the join of a bridge's row and a VXLAN device's row.

zebra writes a remote MAC as two rows. The kernel reports them one after the other, in any order.
Only both together show where the MAC is:

    bridge row   02:00:00:00:00:0a dev vx110 master br110     port: the VXLAN device, so remote
    VXLAN row    02:00:00:00:00:0a dev vx110 dst 100.64.0.2   tunnel: to that VTEP
    record       Mac(vni 110, 02:00:00:00:00:0a, vtep 100.64.0.2)

The bridge row decides whether a MAC is remote. When the host moves here, the mirror's row on ac110
replaces the bridge row, and the VXLAN row stays behind with the old VTEP. Rejected: the VXLAN row
alone, which would keep such a MAC remote for ever.

How a MAC disappears matters, because a dying bgpd withdraws everything it knew:

    bridge row now on ac110    the MAC moved here: `move`, effective at once
    bridge or VXLAN row gone   `withdraw`, held while withdrawals are held

A multihomed MAC's VXLAN row names a nexthop group (NDA_NH_ID) in place of a VTEP; its record names
that group as its segment, and a VTEP that leaves the segment changes one record, not one per MAC.

A router MAC (RFC 9135) has the same two rows as a host's. Only a neighbor row tells them apart
(`neighbors.py`), and it may arrive later: then the Mac record is moved into a RemoteVtep. A router
MAC remains one as long as it is remote: zebra may delete the neighbor row first, and the MAC must
not appear as a host's MAC in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac
from dualpath.netlink.numbers import NTF_STICKY
from frr_bridge.overlay.bridgerows import BridgeRows
from frr_bridge.overlay.devices import ShadowDevices
from frr_bridge.overlay.segments import Segments
from frr_bridge.overlay.sink import RecordSink, RowKey
from frr_bridge.wire.neighbor import NeighborMessage


class RemoteMacs:
    """The MACs that are behind VTEPs, by (bridge, MAC).

    `on_change` is called with the key of a MAC that became remote, moved, or stopped being remote.
    The call comes before its record is reported, because neighbors follow their MAC.
    """

    def __init__(
        self,
        devices: ShadowDevices,
        rows: BridgeRows,
        segments: Segments,
        sink: RecordSink,
        on_change: Callable[[RowKey], None],
    ) -> None:
        self._devices = devices
        self._rows = rows
        self._segments = segments
        self._sink = sink
        self._on_change = on_change
        self._tunnels: dict[RowKey, bytes | int] = {}  # (VXLAN device, MAC) -> VTEP or group
        self._behind: dict[int, set[RowKey]] = {}  # group -> the keys of `_tunnels` that name it
        self._macs: dict[RowKey, Mac] = {}  # (bridge, MAC)
        self._routers: set[RowKey] = set()  # those of `_macs` that are routers'
        self._reported: dict[RowKey, Mac] = {}  # those of `_macs` that were reported to the sink
        self._unseen: dict[RowKey, None] = {}  # VXLAN rows not yet repeated by a dump

    def get(self, key: RowKey) -> Mac | None:
        return self._macs.get(key)

    def stranded(self) -> Iterator[Mac]:
        """Yield MACs that a bridge has behind its VXLAN device, and that device sends to no VTEP.

        zebra writes both rows. The VXLAN row is missing when the kernel refused it: Linux 7.2
        takes no dynamic FDB entry with a nexthop group, and zebra (FRR 10.7) writes such for MACs
        behind an Ethernet segment.
        """
        for key in self._rows.written_by_zebra():
            if key not in self._macs:
                yield Mac(self._devices.vni(key[0]), key[1])

    # -- rows -----------------------------------------------------------------------------

    def learn_bridge_row(self, row: NeighborMessage) -> None:
        if self._rows.learn(row):
            self._join((row.master, row.lladdr))

    def learn_vxlan_row(self, row: NeighborMessage) -> None:
        key = row.ifindex, row.lladdr
        if row.deleted or not (row.dst or row.nexthop_id):
            self.forget_vxlan_row(key)
            return
        self._unseen.pop(key, None)
        self._set_tunnel(key, row.dst or row.nexthop_id)
        self._join_tunnel(key)

    def forget_bridge_row(self, key: RowKey) -> None:
        self._rows.forget(key)
        self._join(key)

    def forget_vxlan_row(self, key: RowKey) -> None:
        self._set_tunnel(key, None)
        self._join_tunnel(key)

    def bridge_changed(self, bridge: int) -> None:
        """Join again the MACs of a bridge that got or lost its VXLAN device."""
        for key in self._rows.of_bridge(bridge):
            self._join(key)

    def segment_changed(self, identity: int) -> None:
        """Join again the MACs behind an Ethernet segment that was added, changed or removed."""
        for key in sorted(self._behind.get(identity, ())):
            self._join_tunnel(key)

    def mark_router(self, key: RowKey) -> None:
        """Note that a neighbor row showed a MAC to be a router's, or look at a router MAC again."""
        self._routers.add(key)
        self._report(key)

    def begin_dump(self) -> None:
        self._rows.begin_dump()
        self._unseen = dict.fromkeys(self._tunnels)

    def end_dump(self) -> None:
        for key in self._rows.take_unseen():
            self.forget_bridge_row(key)
        unseen, self._unseen = list(self._unseen), {}
        for key in unseen:
            self.forget_vxlan_row(key)

    def _set_tunnel(self, key: RowKey, to: bytes | int | None) -> None:
        before = self._tunnels.pop(key, None)
        if isinstance(before, int):
            self._behind[before].discard(key)
            if not self._behind[before]:
                del self._behind[before]
        if to is not None:
            self._tunnels[key] = to
        if isinstance(to, int):
            self._behind.setdefault(to, set()).add(key)

    # -- the join -------------------------------------------------------------------------

    def _join_tunnel(self, key: RowKey) -> None:
        index, mac = key
        link = self._devices.links.get(index)
        if link and link.master:
            self._join((link.master, mac))

    def _join(self, key: RowKey) -> None:
        now = self._joined(key)
        if self._macs.get(key) == now:
            return
        if now:
            self._macs[key] = now
        else:
            del self._macs[key]
        self._on_change(key)
        self._report(key)

    def _joined(self, key: RowKey) -> Mac | None:
        bridge, mac = key
        row = self._rows.remote(key)
        to = self._tunnels.get((row.ifindex, mac)) if row else None
        if row is None or to is None:
            return None
        sticky = bool(row.flags & NTF_STICKY)
        if isinstance(to, bytes):
            return Mac(self._devices.vni(bridge), mac, to, sticky)
        if not self._segments.vteps(to):
            return None
        return Mac(self._devices.vni(bridge), mac, sticky=sticky, segment=to)

    def _report(self, key: RowKey) -> None:
        """Report a MAC's record; a router MAC has none, as its RemoteVtep carries it."""
        router = self._is_router(key)
        before, now = self._reported.get(key), None if router else self._macs.get(key)
        if before == now:
            return
        if now:
            self._reported[key] = now
            self._sink.upsert(now)
        else:
            del self._reported[key]
        if before and (now is None or now.key != before.key):
            if router or self._rows.is_local(key):
                self._sink.move(Kind.MAC, before.key)
            else:
                self._sink.withdraw(Kind.MAC, before.key)

    def _is_router(self, key: RowKey) -> bool:
        if key not in self._macs:
            self._routers.discard(key)
        return key in self._routers
