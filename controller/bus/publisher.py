"""The bridge's end of the bus: one subscriber, credit, sequence numbers.

Nothing queues here. While the subscriber has no credit left, changes stay where they are, as
dirty keys of the tables, and ten flaps of a route are one row when credit comes.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from controller.bus import wire
from controller.bus.endpoint import Endpoint
from controller.model import events

log = logging.getLogger(__name__)

_QUEUE = 10_000  # messages ZeroMQ may hold; credit keeps us far below


class Publisher:
    """Talks to whoever subscribed last, once it listens."""

    def __init__(self, on_event: Callable[[events.FromController], None]) -> None:
        self.epoch = secrets.randbits(63)
        self.credit = 0
        self._on_event = on_event
        self._subscriber = b""
        self._sequence = 0
        self._endpoint: Endpoint | None = None

    def listen(self, address: str) -> None:
        """Bind `address` (ipc://PATH). Raises OSError when the path cannot be had.

        ZeroMQ takes the path from another process that has it: see that there is none.
        """
        socket: Any = zmq.Context.instance().socket(zmq.ROUTER)
        socket.setsockopt(zmq.SNDHWM, _QUEUE)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        path = address.removeprefix("ipc://")
        try:
            socket.bind(address)
        except zmq.ZMQError as error:
            socket.close()
            raise OSError(error.errno, error.strerror, path) from None
        Path(path).chmod(0o600)
        self._endpoint = Endpoint(socket, self._receive)

    @property
    def subscribed(self) -> bool:
        return bool(self._subscriber)

    def send(self, event: events.FromBridge) -> None:
        """Send to the subscriber; without one, or when it is gone, say nothing."""
        if not self._subscriber or self._endpoint is None:
            return
        self._sequence += 1
        if isinstance(event, events.Changed):
            self.credit -= 1
        data = wire.encode_from_bridge(event, epoch=self.epoch, sequence=self._sequence)
        if not self._endpoint.send(self._subscriber, data):
            log.warning("the controller went away")
            self._subscriber = b""
            self.credit = 0

    def close(self) -> None:
        if self._endpoint is not None:
            self._endpoint.close()
            self._endpoint = None

    def _receive(self, frames: list[bytes]) -> None:
        sender, data = frames[0], frames[-1]
        try:
            event = wire.decode_from_controller(data)
        except wire.BusError as error:
            log.warning("bus: %s; dropped", error)
            return
        if isinstance(event, events.Subscribe):
            self._subscriber, self._sequence, self.credit = sender, 0, event.credit
        elif sender != self._subscriber:
            return  # an earlier subscriber, or one that an earlier life of ours had
        elif isinstance(event, events.Credit) and event.epoch == self.epoch:
            self.credit += event.batches
        self._on_event(event)
