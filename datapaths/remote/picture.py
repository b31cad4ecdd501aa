"""The learned state that a datapath reported, over streams that break. No I/O.

A stream that breaks leaves two gaps: missed changes, and MACs and neighbors that were removed
meanwhile. The picture fills both, so that its reader sees one stream:

    stream 1   MAC a, MAC b, CaughtUp                      -> MAC a, MAC b, CaughtUp
    (breaks)
    stream 2   MAC a                                       -> Lost(VRF), Lost(VNI), ... of all kinds
               CaughtUp                                    -> MAC b is gone
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace

from datapaths.base import CaughtUp, Learned, LearnedMac, LearnedNeighbor, Lost, PortChanged
from datapaths.remote.bounds import MOST_LEARNED, OutOfBounds
from dualpath.model.kinds import Kind

LOSABLE = tuple(kind for kind in Kind if kind is not Kind.LSP)


class Picture:
    """Joins several streams into one; state that a later stream does not repeat is gone."""

    def __init__(self) -> None:
        self._known: dict[Hashable, LearnedMac | LearnedNeighbor] = {}
        self._unrepeated: set[Hashable] = set()
        self._begun = False  # a first stream has begun
        self._running = False
        self._caught_up = False

    def __len__(self) -> int:
        return len(self._known)

    def interrupted(self) -> bool:
        """Note that the stream ended; return whether one was running."""
        was, self._running = self._running, False
        return was

    def apply(self, event: Learned) -> Iterator[Learned]:
        """Yield the events for the reader that follow from an event of the current stream."""
        if not self._running:
            yield from self._begin()
        match event:
            case LearnedMac(vni, mac, gone):
                yield from self._learn(("mac", vni, mac), event, gone)
            case LearnedNeighbor(vni, address, _, gone):
                yield from self._learn(("neighbor", vni, address), event, gone)
            case CaughtUp():
                yield from self._end()
            case PortChanged() | Lost():
                yield event

    def _begin(self) -> Iterator[Learned]:
        """Begin a stream. If it is not the first, changes of any kind may have been missed."""
        self._running = True
        self._unrepeated = set(self._known)
        if self._begun:
            yield from map(Lost, LOSABLE)
        self._begun = True

    def _learn(
        self, key: Hashable, event: LearnedMac | LearnedNeighbor, gone: bool
    ) -> Iterator[Learned]:
        self._unrepeated.discard(key)
        if gone:
            self._known.pop(key, None)
            yield event
        elif self._known.get(key) != event:
            if key not in self._known and len(self._known) >= MOST_LEARNED:
                yield from self._make_room()
            self._known[key] = event
            yield event

    def _make_room(self) -> Iterator[Learned]:
        """Withdraw the state that the previous stream reported and this one has not repeated."""
        if not self._unrepeated:
            raise OutOfBounds(f"reports more than {MOST_LEARNED} MACs and neighbors")
        yield from self._drop_unrepeated()

    def _end(self) -> Iterator[Learned]:
        yield from self._drop_unrepeated()
        if not self._caught_up:
            self._caught_up = True
            yield CaughtUp()

    def _drop_unrepeated(self) -> Iterator[Learned]:
        for key in sorted(self._unrepeated, key=repr):
            yield replace(self._known.pop(key), gone=True)
        self._unrepeated.clear()
