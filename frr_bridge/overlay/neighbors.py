"""zebra's neighbor rows on the shadow bridges: remote hosts, and the VTEPs of L3VNIs.

A row is zebra's when it is NTF_EXT_LEARNED. It contains only "this address has this MAC". Its
meaning follows from the MAC's place (`macs.py`):

    10.110.0.10 lladdr 02:..:0a dev br110   MAC behind VTEP 100.64.0.2   Neighbor(vni 110, ...)
    100.64.0.2  lladdr aa:..:02 dev br100   MAC behind VTEP 100.64.0.2   RemoteVtep(vni 100, ...)
    10.110.0.11 lladdr 02:..:0b dev br110   MAC not remote               no record

The second row's address is its own MAC's VTEP: so aa:..:02 is that VTEP's router MAC. zebra writes
such a row twice, for 100.64.0.2 and for ::ffff:100.64.0.2; both give the same record.
"""

from __future__ import annotations

from collections import defaultdict

from dualpath.model.layer2 import Neighbor, RemoteVtep
from dualpath.model.nexthops import V4_MAPPED
from dualpath.netlink.numbers import NTF_ROUTER
from frr_bridge.overlay.macs import RemoteMacs
from frr_bridge.overlay.rowtable import RowTable
from frr_bridge.overlay.sink import RecordSink, RowKey
from frr_bridge.wire.neighbor import NeighborMessage


class RemoteNeighbors:
    """zebra's neighbor rows by (bridge, address), and the records that follow from them."""

    def __init__(self, macs: RemoteMacs, sink: RecordSink) -> None:
        self._macs = macs
        self._sink = sink
        self._rows = RowTable[NeighborMessage]()
        self._records: dict[RowKey, RemoteVtep | Neighbor] = {}
        self._addresses_of: dict[RowKey, set[bytes]] = defaultdict(set)  # (bridge, MAC)
        self._unseen: dict[RowKey, None] = {}  # rows not yet repeated by a dump

    def is_remote(self, bridge: int, address: bytes) -> bool:
        """Report whether zebra wrote a neighbor, and its MAC is remote."""
        return (bridge, address) in self._records

    def learn(self, row: NeighborMessage) -> None:
        key = row.ifindex, row.dst
        self._unseen.pop(key, None)
        self._forget_mac_of(key)
        self._rows[key] = row
        self._addresses_of[row.ifindex, row.lladdr].add(row.dst)
        self._update(key)

    def forget(self, key: RowKey) -> None:
        self._forget_mac_of(key)
        if self._rows.pop(key):
            self._update(key)

    def mac_changed(self, mac: RowKey) -> None:
        """Update the neighbors of a MAC that changed its place."""
        for address in list(self._addresses_of.get(mac, ())):
            self._update((mac[0], address))

    def bridge_changed(self, bridge: int) -> None:
        """Update the neighbors on a bridge that got or lost its VXLAN device."""
        for key in self._rows.of(bridge):
            self._update(key)

    def begin_dump(self) -> None:
        self._unseen = dict.fromkeys(self._rows)

    def end_dump(self) -> None:
        unseen, self._unseen = list(self._unseen), {}
        for key in unseen:
            self.forget(key)

    def _forget_mac_of(self, key: RowKey) -> None:
        if old := self._rows.get(key):
            mac = old.ifindex, old.lladdr
            self._addresses_of[mac].discard(old.dst)
            if not self._addresses_of[mac]:
                del self._addresses_of[mac]

    def _update(self, key: RowKey) -> None:
        before, now = self._records.get(key), self._record(key)
        if now:
            self._records[key] = now
            self._sink.upsert(now)
        else:
            self._records.pop(key, None)
        if before and (now is None or (before.kind, before.key) != (now.kind, now.key)):
            self._withdraw(key[0], before)
        for record in (before, now):
            if isinstance(record, RemoteVtep):
                self._macs.mark_router((key[0], record.mac))

    def _withdraw(self, bridge: int, before: RemoteVtep | Neighbor) -> None:
        """Withdraw a record; for a VTEP, wait until both of its rows are gone."""
        if isinstance(before, RemoteVtep):
            forms = (before.vtep, V4_MAPPED + before.vtep)
            if any(self._records.get((bridge, form)) == before for form in forms):
                return
        self._sink.withdraw(before.kind, before.key)

    def _record(self, key: RowKey) -> RemoteVtep | Neighbor | None:
        bridge, address = key
        row = self._rows.get(key)
        mac = self._macs.get((bridge, row.lladdr)) if row else None
        if row is None or mac is None:
            return None
        plain = address.removeprefix(V4_MAPPED) if len(address) == 16 else address
        if plain == mac.vtep:
            return RemoteVtep(mac.vni, plain, row.lladdr)
        return Neighbor(mac.vni, address, row.lladdr, bool(row.flags & NTF_ROUTER))
