"""Events for one listener: bounded, and only the last event of each key."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from datapaths.base import (
    CaughtUp,
    Learned,
    LearnedMac,
    LearnedNeighbor,
    Lost,
    PortChanged,
)
from dualpath.model.kinds import Kind

MOST_LOST = 4096  # events with details; beyond that, one event means every row of the kind


class Inbox:
    """Keeps events until the listener fetches them. Drops them while there is no listener."""

    def __init__(self) -> None:
        self._events: dict[Hashable, Learned] = {}
        self._lost: dict[Kind, list[Lost]] = {}
        self._more = asyncio.Event()
        self._reader = 0  # counts listeners; the newest one gets the events
        self._error: BaseException | None = None
        self._closed = False

    def open(self) -> int:
        """Start to listen, in place of an earlier listener; return a number for `get`."""
        self._reader += 1
        self._events.clear()
        self._lost.clear()
        self._error = None
        self._more.set()
        return self._reader

    def put(self, event: Learned) -> None:
        if not self._reader:
            return
        match event:
            case LearnedMac():
                self._events["mac", event.vni, event.mac] = event
            case LearnedNeighbor():
                self._events["neighbor", event.vni, event.address] = event
            case PortChanged():
                self._events["port", event.name] = event
            case CaughtUp():
                self._events["caught up"] = event
            case Lost():
                self._put_lost(event)
        self._more.set()

    def _put_lost(self, event: Lost) -> None:
        waiting = self._lost.setdefault(event.kind, [])
        if any(not lost.records and lost.routes is None for lost in waiting[:1]):
            return
        if len(waiting) >= MOST_LOST or (not event.records and event.routes is None):
            self._lost[event.kind] = [Lost(event.kind)]
        else:
            waiting.append(event)

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._more.set()

    def close(self) -> None:
        self._closed = True
        self._more.set()

    async def get(self, reader: int) -> list[Learned]:
        """Wait for events and return them; [] is the end. Raises the error passed to `fail`."""
        while reader == self._reader and not self._closed:
            if self._error:
                raise self._error
            if self._events or self._lost:
                # Losses in the order of programming: that is the order of their repair.
                lost = [one for kind in sorted(self._lost) for one in self._lost[kind]]
                found = [*lost, *self._events.values()]
                self._events, self._lost = {}, {}
                return found
            self._more.clear()
            await self._more.wait()
        return []
