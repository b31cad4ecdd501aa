"""Sends what the subscriber does not have yet, as far as its credit allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from dualpath.model import events
from dualpath.model.records import RecordBatch
from dualpath.model.routes import RouteBatch


class Bus(Protocol):
    """Where events go: the publisher."""

    credit: int

    @property
    def subscribed(self) -> bool: ...

    def send(self, event: events.FromBridge) -> None: ...


class Announcer:
    """Sends the session when it changed, then changes, then once Synced.

    `session` returns the session to show. `changes` yields pending batches; a batch that is not
    fetched stays pending. `complete` reports whether everything that FRR desires has been learned.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        session: Callable[[], events.SessionChanged],
        changes: Callable[[], Iterator[RouteBatch | RecordBatch]],
        complete: Callable[[], bool],
    ) -> None:
        self._bus = bus
        self._session = session
        self._changes = changes
        self._complete = complete
        self._synced = False  # sent since the subscription
        self._announced: events.SessionChanged | None = None

    def restart(self) -> None:
        """Start again for a new subscriber."""
        self._synced = False
        self._announced = None

    def flush(self) -> None:
        if not self._bus.subscribed:
            return
        session = self._session()
        if session != self._announced:
            self._announced = session
            self._bus.send(session)
        changes = self._changes()
        while self._bus.credit > 0:
            batch = next(changes, None)
            if batch is None:
                self._send_synced()
                return
            self._bus.send(events.Changed(batch))

    def _send_synced(self) -> None:
        if not self._synced and self._complete():
            self._synced = True
            self._bus.send(events.Synced())
