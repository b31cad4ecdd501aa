"""grout's forwarding entries and flood lists, and which of them FRR wants. Pure.

A remote MAC that appears on a local port is *moved*: its entry was removed from grout, so that
grout can learn the host, but it still counts as programmed until FRR withdraws it.
"""

from __future__ import annotations

from collections.abc import Iterator

from datapaths.grout.picture.interfaces import IfaceTable
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.bridges import FdbEntry, FloodEntry
from dualpath.model.layer2 import Flood, Mac

REMOTE = n.GR_FDB_F_EXTERN | n.GR_FDB_F_STATIC  # does not age
STICKY = REMOTE


class BridgeTable:
    """Entries by bridge and MAC."""

    def __init__(self, ifaces: IfaceTable) -> None:
        self._ifaces = ifaces
        self._entries: dict[tuple[int, bytes], FdbEntry] = {}
        self._moved: dict[tuple[int, bytes], FdbEntry] = {}
        self._seen: dict[tuple[int, bytes], int] = {}
        self.floods: set[Flood] = set()

    def load(self, entries: list[FdbEntry], floods: list[FloodEntry]) -> None:
        """Replace the table by dumps of both."""
        self._entries = {(entry.bridge, entry.mac): entry for entry in entries}
        self._moved = {k: v for k, v in self._moved.items() if not self.is_remote_entry(*k)}
        self.floods = {Flood(entry.vni, entry.vtep) for entry in floods}

    def clear(self) -> None:
        self._entries.clear()
        self._moved.clear()
        self._seen.clear()
        self.floods.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[FdbEntry]:
        return iter(list(self._entries.values()))

    def get(self, bridge: int, mac: bytes) -> FdbEntry | None:
        return self._entries.get((bridge, mac))

    def put(self, entry: FdbEntry) -> FdbEntry | None:
        """Note an entry from an event; return the entry before."""
        key = entry.bridge, entry.mac
        old = self._entries.get(key)
        self._entries[key] = entry
        return old

    def pop(self, bridge: int, mac: bytes) -> FdbEntry | None:
        return self._entries.pop((bridge, mac), None)

    def wrote(self, entry: FdbEntry) -> None:
        """Note an entry that we wrote."""
        key = entry.bridge, entry.mac
        self._entries[key] = entry
        self._moved.pop(key, None)
        self._seen.pop(key, None)

    def dropped(self, bridge: int, mac: bytes) -> None:
        """Note that a remote MAC was withdrawn."""
        key = bridge, mac
        if self.is_remote_entry(bridge, mac):
            self._entries.pop(key, None)
        self._moved.pop(key, None)
        self._seen.pop(key, None)

    def is_remote_entry(self, bridge: int, mac: bytes) -> bool:
        entry = self._entries.get((bridge, mac))
        return entry is not None and bool(entry.flags & n.GR_FDB_F_EXTERN)

    def is_remote(self, bridge: int, mac: bytes) -> bool:
        """Return whether FRR wants a MAC behind a VTEP, even if the host has moved here."""
        return self.is_remote_entry(bridge, mac) or (bridge, mac) in self._moved

    def is_local(self, bridge: int, mac: bytes) -> bool:
        entry = self._entries.get((bridge, mac))
        return entry is not None and bool(entry.flags & n.GR_FDB_F_LEARN) and not entry.vtep

    def is_awaited(self, bridge: int, mac: bytes) -> bool:
        """Return whether a remote MAC moved here, and grout has not learned it yet."""
        return (bridge, mac) in self._moved and (bridge, mac) not in self._entries

    def turned_up(self, entries: list[FdbEntry]) -> list[FdbEntry]:
        """Return the remote MACs from which a local port received a packet since the last call.

        grout never moves an EXTERN entry, and updates its `last_seen` for local packets only.
        """
        found: list[FdbEntry] = []
        for entry in entries:
            key = entry.bridge, entry.mac
            if not self.is_remote_entry(*key) or not entry.flags & n.GR_FDB_F_EXTERN:
                continue
            before = self._seen.get(key)
            self._seen[key] = entry.last_seen
            if before is not None and entry.last_seen > before:
                found.append(entry)
        return found

    def move(self, entry: FdbEntry) -> None:
        """Note that a remote MAC was removed because it appeared here.

        It counts as programmed until FRR withdraws it.
        """
        key = entry.bridge, entry.mac
        if (held := self._entries.pop(key, None)) is not None:
            self._moved[key] = held
        self._seen.pop(key, None)

    def macs(self) -> Iterator[Mac]:
        for entry in [*self._entries.values(), *self._moved.values()]:
            if record := self.mac_of(entry):
                yield record

    def mac_of(self, entry: FdbEntry) -> Mac | None:
        vni = self._ifaces.vni_of(entry.bridge) if entry.flags & n.GR_FDB_F_EXTERN else 0
        return Mac(vni, entry.mac, entry.vtep) if vni else None
