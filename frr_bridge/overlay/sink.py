"""Where the parts of the overlay report their records."""

from __future__ import annotations

from typing import Protocol

from dualpath.model.kinds import Kind
from dualpath.model.records import Key, Record

RowKey = tuple[int, bytes]
"""(interface index, MAC or address): what identifies a row of the kernel's."""


class RecordSink(Protocol):
    """Receives every change of a record."""

    def upsert(self, record: Record) -> None:
        """Note a record; it may equal the previous one."""

    def withdraw(self, kind: Kind, key: Key) -> None:
        """Drop a record whose rows are gone. A dying daemon causes the same, so it may be held."""

    def move(self, kind: Kind, key: Key) -> None:
        """Drop a record that zebra replaced: the MAC is local now, or a router's. Never hold it."""
