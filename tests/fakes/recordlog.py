"""A record sink that keeps the records, and the reason for each removal."""

from __future__ import annotations

from dualpath.model.kinds import Kind
from dualpath.model.records import Key, Record


class RecordLog:
    """Implements `frr_bridge.overlay.sink.RecordSink`."""

    def __init__(self) -> None:
        self.records: dict[tuple[Kind, Key], Record] = {}
        self.changes = 0  # upserts that changed something
        self.withdrawn: list[tuple[Kind, Key]] = []
        self.moved: list[tuple[Kind, Key]] = []

    def upsert(self, record: Record) -> None:
        self.changes += self.records.get((record.kind, record.key)) != record
        self.records[record.kind, record.key] = record

    def withdraw(self, kind: Kind, key: Key) -> None:
        del self.records[kind, key]  # a KeyError is a withdrawal of an unknown record
        self.withdrawn.append((kind, key))

    def move(self, kind: Kind, key: Key) -> None:
        del self.records[kind, key]
        self.moved.append((kind, key))
