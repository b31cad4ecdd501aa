"""grout's UNIX socket: requests and responses, lists, and events.

This module knows ids, API versions, batches and lost connections, but not what the messages mean.

grout reads one request each time its socket becomes readable, so it stops within a batch until more
bytes arrive. So each batch ends with a GR_PING of 128 KiB, grout's whole buffer. The batch is done
when grout has answered the PING.

    4096 x GR_NH_ADD, GR_PING | 4096 x GR_NH_ADD, GR_PING | ...     two batches are in flight
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Self, TypeVar

import numpy as np

from datapaths.base import Unavailable, Unsupported
from datapaths.grout.wire.frames import REQUEST, Event, Framer, Run, request
from datapaths.grout.wire.numbers import GR_API_MAX_MSG_LEN
from datapaths.grout.wire.table import Api, DecodeError, Rows, api, versions
from dualpath.model.routes import U32

log = logging.getLogger(__name__)

T = TypeVar("T")

Request = tuple[str, bytes]
"""Message type by name, and payload."""

BATCH = 4096  # requests before a PING; larger ones gain nothing
IN_FLIGHT = 2  # batches: one that grout processes, and one queued behind it
LONE = 2  # up to this many requests are sent one by one, which is faster than a PING
ANSWER_S = 15.0  # for one response: grout answers at once unless it hangs
DEVICE_S = 120.0  # for a request in SLOW: creating a device takes seconds, or more
LIST_S = 300.0  # for a whole list
LIST_BYTES = 512 * 1024 * 1024  # of a whole list: 5 million routes of a VRF
STALL_S = 3.0  # a request that takes longer is logged: the shortest BGP hold time (RFC 4271)
SLOW = frozenset({"GR_IFACE_ADD", "GR_IFACE_SET", "GR_IFACE_DEL"})
READ_BYTES = 256 * 1024

PING = bytes(GR_API_MAX_MSG_LEN)


class Refused(Exception):
    """grout answered a request with an errno."""

    def __init__(self, type_: str, number: int) -> None:
        self.errno = number
        self.name = errno.errorcode.get(number, str(number))
        super().__init__(f"{type_}: {self.name}: {os.strerror(number)}")


class Connection:
    """A connected socket, after GR_HELLO."""

    def __init__(self, sock: socket.socket, api_: Api) -> None:
        self.api = api_
        self._socket = sock
        self._framer = Framer()
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._loop = asyncio.get_running_loop()
        self._next = 1

    @classmethod
    async def open(cls, path: str) -> Self:
        """Connect. Raises Unavailable, or Unsupported when grout's API version is unknown."""
        for version in versions():
            connection = cls(await _connect(path), api(version))
            try:
                hello = connection.api.pack("gr_hello_req", api_version=version)
                await connection.call("GR_HELLO", hello)
            except Refused:
                connection.close()
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        known = ", ".join(f"{api(v).release} (API {v})" for v in versions())
        raise Unsupported(
            f"the grout at {path} speaks another API version; known are grout {known}"
        )

    def close(self) -> None:
        self._socket.close()

    async def send(self, data: bytes | memoryview) -> None:
        try:
            await self._loop.sock_sendall(self._socket, data)
        except OSError as error:
            raise Unavailable(f"grout closed the connection: {error}") from error

    async def receive(self) -> None:
        """Wait for bytes and feed them to the framer. Raises Unavailable when grout closes."""
        try:
            count = await self._loop.sock_recv_into(self._socket, self._buffer)
        except OSError as error:
            raise Unavailable(f"grout closed the connection: {error}") from error
        if not count:
            raise Unavailable("grout closed the connection")
        self._framer.feed(self._buffer[:count])

    async def run(self, patience_s: float | None = None) -> Run:
        """Return the next responses. Raises Unavailable, also when they take too long."""
        patience_s = patience_s or ANSWER_S
        try:
            async with asyncio.timeout(patience_s):
                while (found := self._framer.run()) is None:
                    await self.receive()
        except TimeoutError:
            raise Unavailable(f"grout hangs: no answer for {patience_s:.0f} s") from None
        except DecodeError as error:
            raise Unavailable(f"cannot decode a response of grout: {error}") from error
        return found

    async def event(self) -> Event:
        """Wait for an event. Raises Unavailable."""
        try:
            while (found := self._framer.event()) is None:
                await self.receive()
        except DecodeError as error:
            raise Unavailable(f"cannot decode an event of grout: {error}") from error
        return found

    def events(self) -> list[Event]:
        """Return the events that have arrived already."""
        found: list[Event] = []
        with suppress(DecodeError):  # the next `event` raises it
            while one := self._framer.event():
                found.append(one)
        return found

    async def call(self, type_: str, payload: bytes = b"") -> bytes:
        """Send a request and return its response. Raises Refused and Unavailable."""
        id_, since = self.number(1), self._loop.time()
        await self.send(request(id_, self.api.types[type_], payload))
        answer = await self.run(DEVICE_S if type_ in SLOW else ANSWER_S)
        _expect(answer, id_, 1)
        if (took_s := self._loop.time() - since) >= STALL_S:
            # The same thread of grout answers ARP, and passes FRR's packets.
            log.warning("grout took %.1f s for %s; meanwhile it answered no ARP", took_s, type_)
        if answer.errnos[0]:
            raise Refused(type_, int(answer.errnos[0]))
        return bytes(answer.payloads[0])

    async def subscribe(self, type_: str) -> list[Event]:
        """Subscribe to a type of event. Returns the events that came before the response.

        Those are of types subscribed to earlier. No event's type is as small as the id of a request
        on this connection, which has few. Raises Refused and Unavailable.
        """
        number = self.api.types[type_]
        payload = self.api.pack("gr_event_subscribe_req", suppress_self_events=True, ev_type=number)
        id_ = self.number(1)
        await self.send(request(id_, self.api.types["GR_EVENT_SUBSCRIBE"], payload))
        early: list[Event] = []
        try:
            async with asyncio.timeout(ANSWER_S):
                while (first := self._framer.first_word()) != id_:
                    if first is None:
                        await self.receive()
                    else:
                        early.append(await self.event())
        except TimeoutError:
            raise Unavailable(f"grout hangs: no answer for {ANSWER_S:.0f} s") from None
        answer = await self.run()
        _expect(answer, id_, 1)
        if answer.errnos[0]:
            raise Refused(f"GR_EVENT_SUBSCRIBE to {type_}", int(answer.errnos[0]))
        return early

    def number(self, count: int) -> int:
        """Return the first of `count` consecutive ids that no request in flight has."""
        if self._next + count >= 1 << 32:
            self._next = 1
        first, self._next = self._next, self._next + count
        return first


class Channel:
    """Sends requests over one connection, one exchange at a time.

    The channel finishes every exchange, even if the caller is cancelled. After a failed exchange,
    close the channel and open another.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()
        self.broken = ""  # why, "" while it works
        self.used_at = 0.0  # by the loop's clock

    @classmethod
    async def open(cls, path: str) -> Self:
        """Connect. Raises Unavailable, or Unsupported when grout's API version is unknown."""
        return cls(await Connection.open(path))

    @property
    def api(self) -> Api:
        return self._connection.api

    def close(self, why: str = "it was closed") -> None:
        self.broken = self.broken or why
        for task in self._running:
            task.cancel()
        self._connection.close()

    async def call(self, type_: str, payload: bytes = b"") -> bytes:
        """Send a request and return its response. Raises Refused and Unavailable."""
        return await self._exchange(self._connection.call(type_, payload))

    async def send(self, requests: Sequence[Request]) -> list[tuple[int, int]]:
        """Send requests in order; return position and errno of each that grout refused."""
        if not requests:
            return []
        return await self._exchange(self._send(requests))

    async def write(self, rows: Rows) -> U32:
        """Send requests of one type, one per row; return an errno for each.

        A row is a whole frame: the header `frames.REQUEST`, whose `id` is set here, and a struct.
        """
        return await self._exchange(self._write(rows))

    async def collect(self, type_: str, payload: bytes = b"") -> list[Run]:
        """Send a *_LIST request; return the whole list. Raises Refused and Unavailable."""
        return await self._exchange(self._collect(type_, payload))

    async def each(self, type_: str, payload: bytes = b"") -> AsyncIterator[bytes]:
        """Yield the payloads of a list one by one, for short lists."""
        for run in await self.collect(type_, payload):
            for row in run.payloads:
                yield row.tobytes()

    async def _exchange(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._running.add(task)
        task.add_done_callback(self._ended)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if task.cancelled() and not (caller and caller.cancelling()):
                raise Unavailable(self.broken) from None
            await asyncio.wait([task])
            raise

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # the caller may be cancelled: then no other task retrieves it

    async def _guarded(self, work: Coroutine[Any, Any, T]) -> T:
        async with self._turn:
            if self.broken:
                work.close()
                raise Unavailable(self.broken)
            try:
                return await work
            except Refused:
                raise
            except BaseException as error:
                self.broken = str(error) or type(error).__name__
                raise
            finally:
                self.used_at = asyncio.get_running_loop().time()

    async def _send(self, requests: Sequence[Request]) -> list[tuple[int, int]]:
        if len(requests) <= LONE:
            refused = []
            for at, (type_, payload) in enumerate(requests):
                try:
                    await self._connection.call(type_, payload)
                except Refused as error:
                    refused.append((at, error.errno))
            return refused
        count = len(requests)
        first = self._connection.number(count)
        types = self.api.types
        frames = [request(first + i, types[name], data) for i, (name, data) in enumerate(requests)]
        batches = [b"".join(frames[at : at + BATCH]) for at in range(0, count, BATCH)]
        errnos = await self._pipeline(batches, first, count)
        return [(int(at), int(errnos[at])) for at in np.flatnonzero(errnos)]

    async def _write(self, rows: Rows) -> U32:
        count = len(rows)
        first = self._connection.number(count)
        rows["id"] = np.arange(first, first + count, dtype=np.uint32)
        data = memoryview(rows.view(np.uint8).data)
        size = rows.dtype.itemsize
        batches = [data[at * size : (at + BATCH) * size] for at in range(0, count, BATCH)]
        return await self._pipeline(batches, first, count)

    async def _pipeline(self, batches: Sequence[bytes | memoryview], first: int, count: int) -> U32:
        """Write batches, each with a PING at its end, and read their responses meanwhile."""
        errnos = np.zeros(count, np.uint32)
        credit = asyncio.Semaphore(IN_FLIGHT)
        ping = self._connection.number(1)
        loop = asyncio.get_running_loop()
        writer = loop.create_task(self._write_batches(batches, ping, credit))
        try:
            pings = answered = 0
            while pings < len(batches):
                run = await self._connection.run()
                if (run.ids == ping).all():
                    pings += len(run)
                    for _ in range(len(run)):
                        credit.release()
                    continue
                # The response to the PING may have the same length as the others, and be in their
                # run.
                mine = run.ids != ping
                at = run.ids[mine].astype(np.int64) - first
                if len(at) and (at.min() < 0 or at.max() >= count):
                    raise Unavailable("grout sent a response to no request")
                errnos[at] = run.errnos[mine]
                answered += len(at)
                if answered > count:
                    raise Unavailable("grout sent more responses than requests")
                pings += (closed := int((~mine).sum()))
                for _ in range(closed):
                    credit.release()
        finally:
            writer.cancel()
            with suppress(asyncio.CancelledError, Unavailable):
                await writer
        if answered != count:
            raise Unavailable(f"grout answered {answered} of {count} requests")
        return errnos

    async def _write_batches(
        self, batches: Sequence[bytes | memoryview], ping: int, credit: asyncio.Semaphore
    ) -> None:
        flush = REQUEST.pack(ping, self.api.types["GR_PING"], len(PING)) + PING
        for batch in batches:
            await credit.acquire()
            await self._connection.send(batch)
            await self._connection.send(flush)

    async def _collect(self, type_: str, payload: bytes) -> list[Run]:
        id_ = self._connection.number(1)
        await self._connection.send(request(id_, self.api.types[type_], payload))
        runs: list[Run] = []
        size = 0
        try:
            async with asyncio.timeout(LIST_S):
                while (run := await self._listed(type_, id_)).payloads.shape[1]:
                    size += run.payloads.size
                    if size > LIST_BYTES:
                        raise Unavailable(f"{type_}: grout lists more than {LIST_BYTES} bytes")
                    runs.append(run)
        except TimeoutError:
            raise Unavailable(f"{type_}: no end of the list after {LIST_S:g} s") from None
        return runs

    async def _listed(self, type_: str, id_: int) -> Run:
        """Return the next part of a list; the part that ends it has no payload."""
        run = await self._connection.run()
        _expect(run, id_)
        if run.errnos.any():
            raise Refused(type_, int(run.errnos[0]))
        return run


class EventStream:
    """A separate connection for events: an event has no id to tell it from a response."""

    def __init__(self, connection: Connection, early: list[Event]) -> None:
        self._connection = connection
        self._early = early  # arrived between the subscriptions

    @classmethod
    async def open(cls, path: str, types: Sequence[str]) -> Self:
        """Connect and subscribe, but not to events that this process causes."""
        connection = await Connection.open(path)
        early: list[Event] = []
        try:
            for type_ in types:
                early += await connection.subscribe(type_)
        except Refused as error:
            connection.close()
            raise Unavailable(str(error)) from error
        except BaseException:
            connection.close()
            raise
        return cls(connection, early)

    def close(self) -> None:
        self._connection.close()

    async def read(self) -> list[Event]:
        """Wait for events; return all that have arrived. Raises Unavailable when grout closes."""
        found, self._early = self._early, []
        return [*(found or [await self._connection.event()]), *self._connection.events()]


async def _connect(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await asyncio.get_running_loop().sock_connect(sock, path)
    except OSError as error:
        sock.close()
        reason = error.strerror or str(error)
        raise Unavailable(f"cannot connect to grout at {path}: {reason}; is it running?") from error
    return sock


def _expect(run: Run, id_: int, count: int = 0) -> None:
    if (run.ids != id_).any() or (count and len(run) != count):
        raise Unavailable("grout sent a response to no request")
