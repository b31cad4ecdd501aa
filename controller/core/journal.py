"""The latest changes, for `watch`: kept as batches, expanded only for a reader."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from dualpath.model.records import RecordBatch
from dualpath.model.routes import RouteBatch
from dualpath.model.view import Change

ROWS = 100_000
"""The most rows that the journal holds; it drops the oldest batches first."""

ENTRIES = 20_000
"""The most batches that it holds: one of a single row takes about 1 kB."""

Batch = RouteBatch | RecordBatch


@dataclass(frozen=True, slots=True)
class Entry:
    """One batch that was applied, or one of unmanaged rows."""

    first: int  # sequence of its first row
    at: float  # seconds since the epoch
    batch: Batch
    failures: dict[int, str]  # row -> reason
    unmanaged: bool = False

    @property
    def following(self) -> int:
        return self.first + len(self.batch)


Expand = Callable[[Entry], Iterator[Change]]


class Journal:
    """A bounded number of last changes, and a way to wait for the next one."""

    def __init__(self, expand: Expand) -> None:
        self._expand = expand
        self._entries: deque[Entry] = deque()
        self._rows = 0
        self._next = 1
        self._news = asyncio.Event()

    def add(
        self, batch: Batch, failures: dict[int, str], at: float, *, unmanaged: bool = False
    ) -> None:
        if not len(batch):
            return
        self._entries.append(Entry(self._next, at, batch, failures, unmanaged))
        self._next += len(batch)
        self._rows += len(batch)
        while len(self._entries) > 1 and (self._rows > ROWS or len(self._entries) > ENTRIES):
            self._rows -= len(self._entries.popleft().batch)
        self._news.set()

    @property
    def sequence(self) -> int:
        """The number of the last change; 0 before the first."""
        return self._next - 1

    async def changes(self, after: int) -> AsyncIterator[Change]:
        """Yield changes with a sequence above `after`, then each new one.

        Raises LookupError if the journal has dropped such a change, or never had `after`.
        """
        at = after + 1
        while True:
            for entry in self._since(at):
                if entry.first > at:
                    raise LookupError(f"the journal begins at {entry.first}")
                for change in self._expand(entry):
                    if change.sequence >= at:
                        yield change
                at = entry.following
            if at > self._next:
                raise LookupError(f"the journal ends at {self._next - 1}")
            if at == self._next:
                self._news = self._news if not self._news.is_set() else asyncio.Event()
                await self._news.wait()

    def _since(self, at: int) -> list[Entry]:
        """Return the entries with rows from `at` on, searched from the end: most need few."""
        newest_first = takewhile(lambda entry: entry.following > at, reversed(self._entries))
        return list(newest_first)[::-1]
