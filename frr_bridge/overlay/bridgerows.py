"""The rows of the shadow bridges: the port of each MAC.

zebra writes remote MACs, on the VXLAN device; the mirror writes local ones, on the silent access
port (`mirror.py`). The kernel replaces a MAC's row when the MAC changes its port.
"""

from __future__ import annotations

from collections.abc import Iterator

from dualpath.netlink.numbers import NTF_EXT_LEARNED, NUD_PERMANENT
from frr_bridge.overlay.devices import ShadowDevices
from frr_bridge.overlay.rowtable import RowTable
from frr_bridge.overlay.sink import RowKey
from frr_bridge.wire.neighbor import NeighborMessage


class BridgeRows:
    """One row per bridge and MAC."""

    def __init__(self, devices: ShadowDevices) -> None:
        self._devices = devices
        self._rows = RowTable[NeighborMessage]()  # by (bridge, MAC)
        self._touched: dict[RowKey, None] = {}  # mirrored MACs that were added or removed
        self._unseen: dict[RowKey, None] = {}  # not yet repeated by a dump

    def get(self, key: RowKey) -> NeighborMessage | None:
        return self._rows.get(key)

    def of_bridge(self, bridge: int) -> list[RowKey]:
        return self._rows.of(bridge)

    def remote(self, key: RowKey) -> NeighborMessage | None:
        """Return a MAC's row if it is on the VXLAN device; a permanent row is the device's own."""
        row, vxlan = self._rows.get(key), self._devices.vxlan(key[0])
        if row is None or vxlan is None or row.ifindex != vxlan or row.state & NUD_PERMANENT:
            return None
        return row

    def is_local(self, key: RowKey) -> bool:
        """Report whether a MAC is on another port than its bridge's VXLAN device."""
        row, vxlan = self._rows.get(key), self._devices.vxlan(key[0])
        return row is not None and vxlan is not None and row.ifindex != vxlan

    def is_mirrored(self, key: RowKey) -> bool:
        """Report whether a MAC is on a silent access port."""
        row = self._rows.get(key)
        return row is not None and self._devices.is_access_port(row.ifindex)

    def written_by_zebra(self) -> Iterator[RowKey]:
        """Yield the MACs that zebra put behind a VXLAN device."""
        for key in self._rows:
            row = self.remote(key)
            if row and row.flags & NTF_EXT_LEARNED:
                yield key

    def learn(self, row: NeighborMessage) -> bool:
        """Note a row, or its deletion; False when it changes nothing.

        The deletion of a MAC's old port may come after the row of its new one.
        """
        key = row.master, row.lladdr
        if row.deleted:
            if key not in self._rows or self._rows[key].ifindex != row.ifindex:
                return False
            self.forget(key)
            return True
        self._unseen.pop(key, None)
        self._rows[key] = row
        if row.flags & NTF_EXT_LEARNED and self._devices.is_access_port(row.ifindex):
            self._touched[key] = None
        return True

    def forget(self, key: RowKey) -> None:
        gone = self._rows.pop(key)
        if gone and self._devices.is_access_port(gone.ifindex):
            self._touched[key] = None

    def take_touched(self) -> list[RowKey]:
        """Return the mirrored MACs whose rows were added or removed since the last call."""
        touched, self._touched = list(self._touched), {}
        return touched

    def begin_dump(self) -> None:
        self._unseen = dict.fromkeys(self._rows)

    def take_unseen(self) -> list[RowKey]:
        """End a dump; return the rows that it did not repeat."""
        unseen, self._unseen = list(self._unseen), {}
        return unseen
