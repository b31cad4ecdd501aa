"""Slots of a table that wait to be processed, as numpy arrays.

The queue never looks at the rows: the caller marks the row of each queued slot, so that no slot is
queued twice. A million rows queued by one call are one array, and `take` cuts it without a copy.
Rejected: a list with `pop(0)`, which moves every remaining array.

*Spread.* zebra sends routes by ascending prefix, for Linux the most expensive order. Linux keeps
IPv4 routes in a trie: additions from one end resize its nodes over and over, and a deletion
searches the children of its node from the lowest on for a remaining one. A queue that spreads takes
everything queued, up to 262,144 slots (a *generation*), and returns the slots by their place with
its bits reversed, as far apart as possible (decision 0109):

    queued      0 1 2 3 4 5 6 7
    returned    0 4 2 6 1 5 3 7

A slot that is queued later belongs to a later generation, so none waits for ever. `seal` ends a
generation for a caller that depends on the slots queued so far. Few slots keep their order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from dualpath.model.table import Slots

GENERATION = 262_144
"""Most slots that are put in order at once: about a millisecond."""

FEW = 4096
"""Slots of a generation that keep their order: so few are no dearer than others."""


class SlotQueue:
    """A first-in, first-out queue of slots, or of generations if it spreads.

    Its length is the number of slots.
    """

    def __init__(self, *, spread: bool = False) -> None:
        self._spread = spread
        self._front = _NONE  # the rest of the generation that is being returned, in its order
        self._sealed: deque[Slots] = deque()  # none of the arrays is empty
        self._chunks: deque[Slots] = deque()  # the same, queued since `seal`
        self._length = 0

    def append(self, slots: Slots) -> None:
        """Queue `slots` behind all others. The caller must not change the array afterwards."""
        if len(slots):
            self._chunks.append(slots)
            self._length += len(slots)

    def seal(self) -> int:
        """Let slots that are queued later follow those queued now; return how many these are."""
        self._sealed.extend(self._chunks)
        self._chunks.clear()
        return self._length

    def take(self, limit: int) -> Slots:
        """Remove and return the next slots, at most `limit`; an empty array if none is left."""
        taken: list[Slots] = []
        room = limit
        while self._length and room > 0:
            if not len(self._front):
                self._front = self._next_generation(room)
            some, self._front = self._front[:room], self._front[room:]
            taken.append(some)
            room -= len(some)
            self._length -= len(some)
        return _joined(taken)

    def _next_generation(self, room: int) -> Slots:
        queued = self._sealed or self._chunks
        return _apart(_cut(queued, GENERATION)) if self._spread else _cut(queued, room)

    def take_all(self) -> Slots:
        """Remove and return every slot."""
        taken = list(self)
        self.clear()
        return _joined(taken)

    def clear(self) -> None:
        self._front = _NONE
        self._sealed.clear()
        self._chunks.clear()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Slots]:
        """Yield arrays of slots, without removing them."""
        if len(self._front):
            yield self._front
        yield from self._sealed
        yield from self._chunks


_NONE: Slots = np.empty(0, np.intp)


def _cut(chunks: deque[Slots], limit: int) -> Slots:
    """Remove and return the first slots, at most `limit`."""
    taken: list[Slots] = []
    room = limit
    while chunks and room > 0:
        chunk = chunks.popleft()
        if len(chunk) > room:
            chunks.appendleft(chunk[room:])
            chunk = chunk[:room]
        taken.append(chunk)
        room -= len(chunk)
    return _joined(taken)


def _apart(slots: Slots) -> Slots:
    if len(slots) <= FEW:
        return slots
    places: Slots = np.zeros(1, np.intp)
    while len(places) < len(slots):  # bits of one digit more, reversed
        places = np.concatenate([2 * places, 2 * places + 1])
    return slots[places[places < len(slots)]]


def _joined(chunks: list[Slots]) -> Slots:
    if len(chunks) == 1:
        return chunks[0]
    return np.concatenate(chunks) if chunks else _NONE
