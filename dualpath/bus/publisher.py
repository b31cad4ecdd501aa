"""frr-bridge's end of the bus: one subscriber, its credit, sequence numbers.

It queues no messages. While the subscriber has no credit left, changes remain in the tables as
dirty rows. So ten flaps of a route are one row when new credit arrives.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from dualpath.bus import wire
from dualpath.bus.endpoint import Endpoint
from dualpath.model import events
from dualpath.rpc.socketname import SocketName

log = logging.getLogger(__name__)

MESSAGE_MAX = 64 << 20
"""In bytes; a batch of 4,096 rows has 200 kB. ZeroMQ disconnects a peer that announces more."""
_NAMES = 8
_QUEUE = 10_000  # messages in ZeroMQ's queue; credit keeps it much shorter


class Publisher:
    """Sends to the controller that subscribed last. Call `listen` first.

    A controller that gets no answer subscribes again. Of the requests that queued meanwhile, only
    the newest is answered: an answer contains all rows, so the others would only delay it further.
    """

    def __init__(self, on_event: Callable[[events.FromController], None]) -> None:
        self.epoch = secrets.randbits(63)
        self.credit = 0
        self._on_event = on_event
        self._subscriber = b""
        self._asked: tuple[bytes, events.Subscribe] | None = None  # not answered yet
        self._refused = b""  # the last controller of another version; each is logged once
        self._sequence = 0
        self._endpoint: Endpoint | None = None
        self._socket: Any = None
        self._name: SocketName | None = None
        self._names = 0  # sockets bound; somebody removed the files of all but the last

    def listen(self, address: str) -> None:
        """Bind `address` (ipc://PATH). Raises OSError if the path cannot be bound.

        It replaces another process's socket at that path, so check first that there is none.
        """
        self._socket = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.SNDHWM, _QUEUE)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_MAX)
        self._name = SocketName(Path(address.removeprefix("ipc://")), 0o600)
        try:
            self._bind(self._name)
        except OSError:
            self._socket.close()
            raise
        self._endpoint = Endpoint(self._socket, self._receive)

    def renew(self) -> bool:
        """Bind again if somebody removed the socket; return whether it was. Raises OSError.

        Existing connections continue. After many removals the old sockets are closed, and their
        connections with them.
        """
        if self._endpoint is None or self._name is None or not self._name.lost():
            return False
        if self._names >= _NAMES:
            self._socket.unbind(self._socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0"))  # all
            self._names = 0
        self._bind(self._name)
        return True

    def _bind(self, name: SocketName) -> None:
        with name.binding() as path:
            try:
                self._socket.bind(f"ipc://{path}")
            except zmq.ZMQError as error:
                raise OSError(error.errno, error.strerror, str(name.path)) from None
        self._names += 1

    @property
    def subscribed(self) -> bool:
        return bool(self._subscriber)

    def send(self, event: events.FromBridge) -> None:
        """Send to the subscriber. Drop the message if there is none, or if it has gone."""
        if not self._subscriber or self._endpoint is None:
            return
        self._sequence += 1
        if isinstance(event, events.Changed):
            self.credit -= 1
        data = wire.encode_from_bridge(event, epoch=self.epoch, sequence=self._sequence)
        if not self._endpoint.send(self._subscriber, data):
            log.warning("bus: the controller disconnected; waiting for a subscription")
            self._subscriber = b""
            self.credit = 0

    def close(self) -> None:
        if self._endpoint is not None:
            self._endpoint.close()
            self._endpoint = None
        if self._name is not None:
            self._name.remove()

    def _receive(self, frames: list[bytes]) -> None:
        sender = frames[0]
        event = self._decoded(sender, frames[-1])
        if isinstance(event, events.Subscribe):
            if self._asked and self._asked[0] != sender:
                self._subscribe()
            self._asked = sender, event
        elif event:
            self._subscribe()
            self._take(sender, event)
        if self._endpoint is None or not self._endpoint.waiting():
            self._subscribe()

    def _decoded(self, sender: bytes, data: bytes) -> events.FromController | None:
        """Return the event, None if it is not one of ours."""
        try:
            return wire.decode_from_controller(data)
        except wire.VersionError as error:
            if sender != self._refused:
                self._refused = sender
                log.warning("bus: %s; not answering, so that it replaces this frr-bridge", error)
        except wire.BusError as error:
            log.warning("bus: %s; dropped the message", error)
        return None

    def _subscribe(self) -> None:
        """Start the subscription that was requested last, if any."""
        if self._asked is None:
            return
        (self._subscriber, event), self._asked = self._asked, None
        self._sequence, self.credit = 0, event.credit
        self._on_event(event)

    def _take(self, sender: bytes, event: events.FromController) -> None:
        if sender != self._subscriber:
            return  # an earlier subscriber, or one of an earlier frr-bridge
        if isinstance(event, events.Credit) and event.epoch == self.epoch:
            self.credit += event.batches
        self._on_event(event)
