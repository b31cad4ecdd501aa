"""The rows that the mirror wrote itself: local hosts, for zebra to advertise.

A mirrored MAC is a bridge row on the silent access port; a mirrored neighbor carries protocol 68
(NDA_PROTOCOL). This module reads both back, so that the mirror restores a row that another program
removed, and removes a row that an earlier bridge left. They become no records, because they are
local.
"""

from __future__ import annotations

from collections.abc import Iterator

from dualpath.model.layer2 import Mac, Neighbor
from frr_bridge.overlay.bridgerows import BridgeRows
from frr_bridge.overlay.devices import ShadowDevices
from frr_bridge.overlay.sink import RowKey
from frr_bridge.wire.neighbor import NeighborMessage


class MirroredRows:
    """The mirrored neighbors by (bridge, address), and which mirrored hosts changed."""

    def __init__(self, devices: ShadowDevices, macs: BridgeRows) -> None:
        self._devices = devices
        self._macs = macs
        self._neighbors: dict[RowKey, bytes] = {}  # -> MAC
        self._touched: dict[RowKey, None] = {}  # neighbors whose rows were added or removed
        self._unseen: dict[RowKey, None] = {}  # rows not yet repeated by a dump

    def learn(self, row: NeighborMessage) -> None:
        key = row.ifindex, row.dst
        self._unseen.pop(key, None)
        self._neighbors[key] = row.lladdr
        self._touched[key] = None

    def forget(self, key: RowKey) -> None:
        if self._neighbors.pop(key, None):
            self._touched[key] = None

    def replaced_by_zebra(self, key: RowKey) -> None:
        """Drop a row that zebra replaced: the host is remote, and the mirror restores nothing."""
        self._neighbors.pop(key, None)

    def changes(self) -> Iterator[tuple[Mac | Neighbor, bool]]:
        """Yield the hosts whose mirrored rows were added or removed since the last call.

        The flag reports whether the row exists now. Hosts on a bridge without a VNI are left out:
        their rows were removed with the devices, or return with them (`ShadowDevices.renewed`).
        """
        for key in self._macs.take_touched():
            if vni := self._devices.vni(key[0]):
                yield Mac(vni, key[1]), self._macs.is_mirrored(key)
        touched, self._touched = self._touched, {}
        for key in touched:
            if vni := self._devices.vni(key[0]):
                mac = self._neighbors.get(key)
                yield Neighbor(vni, key[1], mac or bytes(6)), mac is not None

    def begin_dump(self) -> None:
        self._unseen = dict.fromkeys(self._neighbors)

    def end_dump(self) -> None:
        unseen, self._unseen = list(self._unseen), {}
        for key in unseen:
            self.forget(key)
