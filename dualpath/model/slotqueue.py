"""Slots of a table in the order in which they were queued, each entry a numpy array.

The queue never looks at the rows: whoever queues a slot marks its row, so that no slot is queued
twice. A million rows that one call queues are one array, and `take` cuts it without copying it.
Rejected: a list with `pop(0)`, which moves every remaining array.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from dualpath.model.table import Slots


class SlotQueue:
    """A first-in, first-out queue of slots; its length is the number of slots."""

    def __init__(self) -> None:
        self._chunks: deque[Slots] = deque()  # none of them empty
        self._length = 0

    def append(self, slots: Slots) -> None:
        """Queue `slots` behind all others. The caller must not change the array afterwards."""
        if len(slots):
            self._chunks.append(slots)
            self._length += len(slots)

    def take(self, limit: int) -> Slots:
        """Remove and return the first slots, at most `limit`; an empty array if none is left."""
        taken: list[Slots] = []
        room = limit
        while self._chunks and room > 0:
            chunk = self._chunks.popleft()
            if len(chunk) > room:
                self._chunks.appendleft(chunk[room:])
                chunk = chunk[:room]
            taken.append(chunk)
            room -= len(chunk)
        self._length -= limit - room
        return _joined(taken)

    def take_all(self) -> Slots:
        """Remove and return every slot."""
        taken = list(self._chunks)
        self.clear()
        return _joined(taken)

    def clear(self) -> None:
        self._chunks.clear()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Slots]:
        """Yield the arrays in order, to look at the slots without removing them."""
        return iter(self._chunks)


def _joined(chunks: list[Slots]) -> Slots:
    if len(chunks) == 1:
        return chunks[0]
    return np.concatenate(chunks) if chunks else np.empty(0, np.intp)
