"""Few-hundred-thousand things at most, by kind and key, with what is still to be said of them."""

from __future__ import annotations

from collections.abc import Iterator

from dualpath.model.kinds import Kind
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.records import Key, Record, RecordBatch


class Records:
    """What FRR wants of one kind. A withdrawal can be held: the record then stays."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._wanted: dict[Key, Record] = {}
        self._gone: dict[Key, Record] = {}  # withdrawn, to be said
        self._dirty: dict[Key, None] = {}  # to be said, in order
        self._held: set[Key] = set()

    def __len__(self) -> int:
        return len(self._wanted)

    @property
    def held(self) -> int:
        return len(self._held)

    def wanted(self, key: Key) -> Record | None:
        return self._wanted.get(key)

    def shrink(self, record: Record) -> None:
        """Want a record as it is, unless its withdrawal is held."""
        if record.key not in self._held:
            self.want(record)

    def want(self, record: Record) -> bool:
        """Want a record; say whether that is news."""
        key = record.key
        news = key in self._held or self._wanted.get(key) != record
        self._held.discard(key)
        self._gone.pop(key, None)
        if self._wanted.get(key) != record:
            self._wanted[key] = record
            self._dirty[key] = None
        return news

    def withdraw(self, key: Key, *, hold: bool) -> Record | None:
        """Note that a record is no longer wanted; with `hold`, keep it all the same.

        Return it when that is news.
        """
        record = self._wanted.get(key)
        if record is None:
            return None
        if hold:
            news = key not in self._held
            self._held.add(key)
            return record if news else None
        self._held.discard(key)
        self._gone[key] = self._wanted.pop(key)
        self._dirty[key] = None
        return record

    def sweep(self) -> int:
        """Withdraw what is held; return how many."""
        held = list(self._held)
        for key in held:
            self.withdraw(key, hold=False)
        return len(held)

    def repeat(self) -> None:
        """Everything is to be said again, and withdrawals need not be: a snapshot has none."""
        self._gone.clear()
        self._dirty = dict.fromkeys(self._wanted)

    def take(self, limit: int) -> Iterator[RecordBatch]:
        """Yield changes to say, at most `limit` records in a batch."""
        if self.kind is Kind.NEXTHOP:  # groups last: who listens must know their members
            self._dirty = dict.fromkeys(sorted(self._dirty, key=self._is_group))
        while self._dirty:
            keys = [key for key, _ in zip(self._dirty, range(limit), strict=False)]
            upserts = tuple(self._wanted[key] for key in keys if key in self._wanted)
            withdrawals = tuple(self._gone.pop(key) for key in keys if key in self._gone)
            for key in keys:
                del self._dirty[key]
            yield RecordBatch(self.kind, upserts, withdrawals)

    def _is_group(self, key: Key) -> bool:
        nexthop = self._wanted.get(key)
        return isinstance(nexthop, Nexthop) and nexthop.type is NexthopType.GROUP
