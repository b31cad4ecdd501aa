"""One ZeroMQ socket in an event loop, for both ends of the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import zmq

SLICE_S = 0.01  # take messages for this time, then let other tasks run


class Endpoint:
    """Passes every message to `on_message`, and sends without blocking.

    ZeroMQ's file descriptor is edge-triggered and shows only that something changed. After a send
    or a receive, further messages may be queued without a new edge, so both schedule another read.
    """

    def __init__(self, socket: Any, on_message: Callable[[list[bytes]], None]) -> None:  # noqa: ANN401
        self._socket = socket
        self._on_message = on_message
        self._loop = asyncio.get_running_loop()
        self._fd: int = socket.getsockopt(zmq.FD)
        self._looking = False
        self._loop.add_reader(self._fd, self._look)
        self._look_soon()

    def send(self, *frames: bytes) -> bool:
        """Send one message; return False if no peer is connected, the queue is full, or closed."""
        if self._socket.closed:
            return False
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                return False
            raise
        finally:
            self._look_soon()
        return True

    def waiting(self) -> bool:
        """Report whether a received message is queued."""
        return self._ready(zmq.POLLIN)

    def connected(self) -> bool:
        """Report whether a message could be sent now."""
        return self._ready(zmq.POLLOUT)

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        self._socket.close(linger=200)

    def _ready(self, events: int) -> bool:
        if self._socket.closed:
            return False
        self._look_soon()  # reading the state consumes the edge
        return bool(self._socket.getsockopt(zmq.EVENTS) & events)

    def _look_soon(self) -> None:
        if not self._looking:
            self._looking = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        until_s = self._loop.time() + SLICE_S
        while self._loop.time() < until_s:
            if self._socket.closed or not self._socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
                return
            self._on_message(self._socket.recv_multipart(zmq.NOBLOCK))
        self._look_soon()
