"""The records of one kind that FRR desires, and those that the subscriber does not have yet.

As with routes (`zebratable.py`), pending work is a set of keys and not a queue of operations: a
record that flaps ten times before the subscriber has credit is announced once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from dualpath.model.kinds import Kind
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.records import Key, Record, RecordBatch


class Records:
    """Desired records by key. A withdrawal can be held: then the record stays until a sweep."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._desired: dict[Key, Record] = {}
        self._withdrawn: dict[Key, Record] = {}  # whose withdrawal is not announced yet
        self._dirty: dict[Key, None] = {}  # to be announced, in order
        self._held: set[Key] = set()

    def __len__(self) -> int:
        return len(self._desired)

    @property
    def held(self) -> int:
        return len(self._held)

    def get(self, key: Key) -> Record | None:
        return self._desired.get(key)

    def upsert(self, record: Record) -> bool:
        """Note a desired record; True when it is new, changed, or was held."""
        key = record.key
        changed = self._desired.get(key) != record
        news = key in self._held or changed
        self._held.discard(key)
        self._withdrawn.pop(key, None)
        if changed:
            self._desired[key] = record
            self._dirty[key] = None
        return news

    def upsert_unless_held(self, record: Record) -> None:
        if record.key not in self._held:
            self.upsert(record)

    def withdraw(self, key: Key, *, hold: bool) -> Record | None:
        """Withdraw a record, or hold it. Return the record unless it was absent or held already."""
        record = self._desired.get(key)
        if record is None:
            return None
        if hold:
            news = key not in self._held
            self._held.add(key)
            return record if news else None
        self._held.discard(key)
        self._withdrawn[key] = self._desired.pop(key)
        self._dirty[key] = None
        return record

    def sweep(self) -> int:
        """Withdraw the held records; return how many."""
        held = list(self._held)
        for key in held:
            self.withdraw(key, hold=False)
        return len(held)

    def repeat(self) -> None:
        """Announce every record again, but no withdrawals: a new subscriber has no rows."""
        self._withdrawn.clear()
        self._dirty = dict.fromkeys(self._desired)

    def changes(self, limit: int) -> Iterator[RecordBatch]:
        """Yield what to announce, at most `limit` records in a batch."""
        if self.kind is Kind.NEXTHOP:  # groups last: the subscriber must know their members
            self._dirty = dict.fromkeys(sorted(self._dirty, key=self._is_group))
        while self._dirty:
            keys = list(islice(self._dirty, limit))
            upserts = tuple(self._desired[key] for key in keys if key in self._desired)
            gone = tuple(self._withdrawn.pop(key) for key in keys if key in self._withdrawn)
            if len(keys) == len(self._dirty):
                self._dirty = {}  # visiting an emptied set still costs its former size
            else:
                for key in keys:
                    del self._dirty[key]
            yield RecordBatch(self.kind, upserts, gone)

    def _is_group(self, key: Key) -> bool:
        nexthop = self._desired.get(key)
        return isinstance(nexthop, Nexthop) and nexthop.type is NexthopType.GROUP
