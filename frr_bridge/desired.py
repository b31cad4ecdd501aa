"""Every record that FRR desires. The overlay and the nexthops report their changes here.

Each withdrawal is applied or held here. A dying daemon withdraws everything it knew, and the rows
do not show the reason; so this module asks `obeying` before each withdrawal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment
from dualpath.model.records import Key, Record, RecordBatch
from frr_bridge.check import Check
from frr_bridge.records import Records

KINDS = (
    Kind.REMOTE_VTEP,
    Kind.FLOOD,
    Kind.ETHERNET_SEGMENT,
    Kind.MAC,
    Kind.NEIGHBOR,
    Kind.NEXTHOP,
    Kind.LSP,
)
"""In the order in which they are announced: what a record refers to comes first."""


class DesiredRecords:
    """Implements `overlay.sink.RecordSink`."""

    def __init__(self, obeying: Callable[[], bool]) -> None:
        self._obeying = obeying
        self._tables = {kind: Records(kind) for kind in KINDS}
        self._shrunk: dict[int, EthernetSegment] = {}  # as FRR has them; more VTEPs are held
        self.check: Check | None = None  # one that is in progress

    def __getitem__(self, kind: Kind) -> Records:
        return self._tables[kind]

    def __len__(self) -> int:
        return sum(map(len, self._tables.values()))

    @property
    def held(self) -> int:
        return sum(records.held for records in self._tables.values())

    def upsert(self, record: Record) -> None:
        if isinstance(record, EthernetSegment):
            record = self._with_held_vteps(record)
        if self._tables[record.kind].upsert(record) and self.check:
            self.check.upserted(record)

    def withdraw(self, kind: Kind, key: Key) -> None:
        self._note(self._tables[kind].withdraw(key, hold=not self._obeying()))

    def move(self, kind: Kind, key: Key) -> None:
        self._note(self._tables[kind].withdraw(key, hold=False))

    def drop(self, kind: Kind, key: Key) -> None:
        """Withdraw a record that no check can have missed: FRR's namespace has no row for it."""
        self._tables[kind].withdraw(key, hold=False)

    def sweep(self) -> int:
        """Withdraw the held records; return their number."""
        for segment in self._shrunk.values():
            self._tables[Kind.ETHERNET_SEGMENT].upsert_unless_held(segment)
        self._shrunk.clear()
        return sum(records.sweep() for records in self._tables.values())

    def repeat(self) -> None:
        for records in self._tables.values():
            records.repeat()

    def changes(self, limit: int) -> Iterator[RecordBatch]:
        for records in self._tables.values():
            yield from records.changes(limit)

    def _with_held_vteps(self, segment: EthernetSegment) -> EthernetSegment:
        """Return a segment, until the sweep with the VTEPs that a dead daemon removed from it."""
        self._shrunk.pop(segment.id, None)
        before = self._tables[Kind.ETHERNET_SEGMENT].get(segment.id)
        if not isinstance(before, EthernetSegment) or set(before.vteps) <= set(segment.vteps):
            return segment
        if self._obeying():
            return segment
        self._shrunk[segment.id] = segment
        return replace(segment, vteps=tuple(sorted({*before.vteps, *segment.vteps})))

    def _note(self, withdrawn: Record | None) -> None:
        if withdrawn and self.check:
            self.check.withdrawn(withdrawn)
