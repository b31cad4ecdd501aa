"""The flood rows of VXLAN devices: to which VTEPs a VNI's BUM frames go (RFC 7432 type 3).

zebra writes one all-zero MAC per VTEP: `bridge fdb append 00:00:00:00:00:00 dev vx110 dst VTEP`.
"""

from __future__ import annotations

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood
from dualpath.netlink.numbers import NTF_SELF
from frr_bridge.overlay.devices import ShadowDevices
from frr_bridge.overlay.rowtable import RowTable
from frr_bridge.overlay.sink import RecordSink, RowKey
from frr_bridge.wire.neighbor import NeighborMessage

FLOOD_MAC = bytes(6)


class Floods:
    """The flood rows by (VXLAN device, VTEP), and the record of each."""

    def __init__(self, devices: ShadowDevices, sink: RecordSink) -> None:
        self._devices = devices
        self._sink = sink
        self._records = RowTable[Flood | None]()  # None: the device's VNI is unknown
        self._unseen: dict[RowKey, None] = {}  # rows not yet repeated by a dump

    def learn(self, row: NeighborMessage) -> None:
        if not row.flags & NTF_SELF or not row.dst:
            return
        key = row.ifindex, row.dst
        if row.deleted:
            self.forget(key)
            return
        self._unseen.pop(key, None)
        if key not in self._records:
            self._records[key] = None
        self._update(key)

    def forget(self, key: RowKey) -> None:
        if flood := self._records.pop(key):
            self._sink.withdraw(Kind.FLOOD, flood.key)

    def device_changed(self, vxlan: int) -> None:
        """Update the rows of a new or changed VXLAN device; drop those of a deleted one."""
        update = self._update if vxlan in self._devices.links else self.forget
        for key in self._records.of(vxlan):
            update(key)

    def begin_dump(self) -> None:
        self._unseen = dict.fromkeys(self._records)

    def end_dump(self) -> None:
        unseen, self._unseen = list(self._unseen), {}
        for key in unseen:
            self.forget(key)

    def _update(self, key: RowKey) -> None:
        index, vtep = key
        link = self._devices.links.get(index)
        now = Flood(link.vxlan_id, vtep) if link and link.vxlan_id else None
        before = self._records[key]
        if before and before != now:
            self._sink.withdraw(Kind.FLOOD, before.key)
        if now and before != now:
            self._sink.upsert(now)
        self._records[key] = now
