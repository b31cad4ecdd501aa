"""Netlink sockets: requests with their answers, dumps, and notifications.

A socket belongs to the network namespace of the thread that opens it. There are three uses, with a
socket for each:

    Requests        blocks; requests and small dumps, from a thread or where the kernel is quick
    dump            one large dump, a piece at a time, without blocking the event loop
    Notifications   never blocks; joins multicast groups

All three read through `receive`, so they agree on the possible errors:

    the buffer was full (ENOBUFS)         Overrun
    a datagram was truncated (MSG_TRUNC)  Overrun
    a datagram of another process         skipped
    the socket was closed, or failed      OSError
    no answer in ANSWER_S                 OSError (ETIMEDOUT)
    bytes that are no netlink message     OSError (EBADMSG) for an answer, IncompleteDump for a dump

For requests, a refusal is data (`Answer`), because one of many requests may be refused. For a dump
it is IncompleteDump. Both are OSError: a caller that does not distinguish them catches that.

The kernel reports an overrun once. Then it drops everything silently until the socket has been read
empty (netlink_overrun, netlink_rcv_wake in af_netlink.c). So a dump that begins earlier misses rows
that are dropped after the dump passed their place:

    recv: ENOBUFS   dump begins   MAC 7 added (dropped)   dump ends   socket empty   MAC 8 arrives
                                  ^ no dump and no notification shows MAC 7

Hence `Notifications.empty`: read until nothing waits, then dump. Rejected: a larger buffer, which
only moves the limit; a second dump after a quiet second, which never comes under steady churn.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Self

from dualpath.model.words import errno_name
from dualpath.netlink import numbers as n
from dualpath.netlink.message import (
    Answer,
    DecodeError,
    Message,
    answer,
    assemble,
    messages,
)
from dualpath.netlink.reply import IncompleteDump, InterruptedDump, Reply

READ_BYTES = 256 * 1024  # the kernel sends dumps in pieces of at most 32 KiB
SEND_BUFFER = 1 << 20
RECEIVE_BUFFER = 8 << 20  # bytes; the kernel doubles it
ANSWER_S = 30.0  # the kernel answers before `send` returns; this limit is never reached
INTERRUPTED_DUMPS = 20  # tries
SLICE_S = 0.02  # read for this time, then let other tasks run

SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33  # asm-generic/socket.h

_TRUNCATED = int(socket.MSG_TRUNC)  # an enumeration takes a microsecond for each `&`

Stream = bytes | bytearray | memoryview


class Overrun(OSError):
    """The kernel dropped messages for this socket. Read it empty, then dump everything."""


class _Buffer(threading.local):
    """Room for one datagram, for each thread.

    Rejected: a new buffer for each read. The C library maps and unmaps READ_BYTES each time, which
    takes 25 us; the notification of a MAC is read in 3.
    """

    def __init__(self) -> None:
        self.octets = memoryview(bytearray(READ_BYTES))


_buffer = _Buffer()


def open_socket(*, receive_buffer: int = RECEIVE_BUFFER) -> socket.socket:
    """Open a bound socket in the network namespace of this thread. Raises OSError."""
    sock = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    )
    try:
        _enlarge(sock, socket.SO_SNDBUF, SO_SNDBUFFORCE, SEND_BUFFER)
        _enlarge(sock, socket.SO_RCVBUF, SO_RCVBUFFORCE, receive_buffer)
        # Short answers, with a text; and the kernel applies a dump's filter instead of ignoring
        # it.
        for option in (n.NETLINK_CAP_ACK, n.NETLINK_EXT_ACK, n.NETLINK_GET_STRICT_CHK):
            sock.setsockopt(n.SOL_NETLINK, option, 1)
        sock.bind((0, 0))
    except OSError:
        sock.close()
        raise
    return sock


def _enlarge(sock: socket.socket, polite: int, force: int, size: int) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, force, size)
    except PermissionError:  # in a user namespace: as far as net.core.*mem_max allows
        sock.setsockopt(socket.SOL_SOCKET, polite, size)


def receive(sock: socket.socket) -> bytes:
    """Return the next datagram that the kernel sent.

    Raises Overrun, BlockingIOError when nothing came in time, and any OSError of a lost socket.
    """
    octets = _buffer.octets
    while True:
        try:
            size, _, flags, sender = sock.recvmsg_into([octets])
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                raise Overrun(errno.ENOBUFS, "the socket's buffer was full") from error
            raise
        if flags & _TRUNCATED:
            raise Overrun(errno.EMSGSIZE, f"a datagram was longer than {READ_BYTES} bytes")
        if not size:
            raise ConnectionResetError(errno.ECONNRESET, "the socket was closed")
        if not sender or sender[0] == 0:
            return bytes(octets[:size])


def port_of(sock: socket.socket) -> int:
    """Return the port id that the kernel answers to: nlmsg_pid of what this socket causes."""
    return int(sock.getsockname()[0]) if sock.family == socket.AF_NETLINK else 0


class Requests:
    """One socket for requests, with its own sequence numbers. Blocks; one user at a time."""

    def __init__(self, sock: socket.socket, *, timeout_s: float = ANSWER_S) -> None:
        seconds, rest = divmod(timeout_s, 1)
        limit = struct.pack("@ll", int(seconds), int(rest * 1e6))
        sock.setblocking(True)
        # Rather than settimeout(): that costs a poll() before every read.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._socket = sock
        self._timeout_s = timeout_s
        self._next = 1
        self.port = port_of(sock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    @property
    def closed(self) -> bool:
        return self._socket.fileno() < 0

    @property
    def receive_buffer(self) -> int:
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def reserve(self, count: int) -> int:
        """Return the first of `count` unused sequence numbers."""
        if self._next + count >= 1 << 32:
            self._next = 1
        first, self._next = self._next, self._next + count
        return first

    def exchange(self, stream: Stream, first: int, count: int) -> list[tuple[int, Answer]]:
        """Send requests numbered from `first`; return (position, answer) of each refused one.

        The last has NLM_F_ACK set, as `assemble` does: its answer ends the exchange. Raises OSError
        when the answers do not arrive: then it is unknown how many requests were carried out.
        """
        self._socket.send(stream)
        refused: list[tuple[int, Answer]] = []
        while True:
            try:
                for message in messages(self._receive()):
                    at = message.sequence - first
                    if message.type != n.NLMSG_ERROR or not 0 <= at < count:
                        continue
                    if message.port != self.port:
                        continue
                    reply = answer(message)
                    if reply.errno:
                        refused.append((at, reply))
                    if at == count - 1:
                        return refused
            except DecodeError as error:
                raise OSError(errno.EBADMSG, f"malformed answer: {error}") from error

    def send(self, requests: Sequence[bytes]) -> list[tuple[int, Answer]]:
        """Send a few requests; return (position, answer) of each refused one. Raises OSError."""
        if not requests:
            return []
        first = self.reserve(len(requests))
        return self.exchange(assemble(requests, first), first, len(requests))

    def errno_of(self, request: bytes) -> int:
        """Send one request; return its errno, 0 when the kernel did it. Raises OSError."""
        return next((reply.errno for _, reply in self.send([request])), 0)

    def ask(self, request: bytes) -> Message:
        """Send a request that has one answer; return that. Raises OSError, also on a refusal."""
        first = self.reserve(1)
        question = bytearray(request)
        struct.pack_into("=I", question, 8, first)
        self._socket.send(question)
        try:
            while True:
                for message in messages(self._receive()):
                    if (message.sequence, message.port) != (first, self.port):
                        continue
                    if message.type == n.NLMSG_ERROR and (code := answer(message).errno):
                        raise OSError(code, os.strerror(code))
                    return message
        except DecodeError as error:
            raise OSError(errno.EBADMSG, f"malformed answer: {error}") from error

    def dump(self, request: bytes) -> list[Message]:
        """Return a complete dump of a small table. Raises IncompleteDump."""
        for _ in range(INTERRUPTED_DUMPS):
            with suppress(InterruptedDump):
                return self._dump(request)
        raise IncompleteDump(errno.EAGAIN, f"the table changed in {INTERRUPTED_DUMPS} dumps")

    def _dump(self, request: bytes) -> list[Message]:
        numbered = assemble([request], self.reserve(1))
        reply = Reply(numbered, self.port)
        found: list[Message] = []
        try:
            self._socket.send(numbered)
            while not reply.ended:
                found += messages(reply.rows(self._receive()))
        except IncompleteDump:
            raise
        except OSError as error:
            raise _broken_off(error) from error
        return found

    def _receive(self) -> bytes:
        try:
            return receive(self._socket)
        except BlockingIOError:
            raise _no_answer(self._timeout_s) from None


async def dump(
    sock: socket.socket, request: bytes, *, timeout_s: float = ANSWER_S
) -> AsyncIterator[bytes]:
    """Yield the reply to a dump request, piece by piece, whole messages each.

    Use the socket for this dump only. Raises IncompleteDump, at the end when it was interrupted: so
    a caller that removes absent rows must wait for the end.
    """
    sock.setblocking(False)
    numbered = assemble([request], 1)
    reply = Reply(numbered, port_of(sock))
    try:
        sock.send(numbered)
        while not reply.ended:
            if rows := reply.rows(await _receive(sock, timeout_s)):
                yield rows
            await asyncio.sleep(0)
    except IncompleteDump:
        raise
    except OSError as error:
        raise _broken_off(error) from error


async def _receive(sock: socket.socket, timeout_s: float) -> bytes:
    while True:
        try:
            return receive(sock)
        except BlockingIOError:
            await _readable(sock, timeout_s)


async def _readable(sock: socket.socket, timeout_s: float) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(sock.fileno(), ready.set)
    try:
        async with asyncio.timeout(timeout_s):
            await ready.wait()
    except TimeoutError:
        raise _no_answer(timeout_s) from None
    finally:
        loop.remove_reader(sock.fileno())


def _no_answer(timeout_s: float) -> TimeoutError:
    return TimeoutError(errno.ETIMEDOUT, f"the kernel did not answer for {timeout_s:g} s")


def _broken_off(error: OSError) -> IncompleteDump:
    code = error.errno or errno.EIO
    return IncompleteDump(code, f"the dump broke off: {error.strerror or errno_name(code)}")


class Notifications:
    """One socket that follows multicast groups. Never blocks."""

    def __init__(self, sock: socket.socket, groups: Iterable[int]) -> None:
        sock.setblocking(False)
        # Bound before: a bind leaves all groups, and an unbound socket receives nothing.
        for group in groups:
            sock.setsockopt(n.SOL_NETLINK, n.NETLINK_ADD_MEMBERSHIP, group)
        self._socket = sock

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def read(self, limit: int = 1) -> bytes:
        """Return the contents of at most `limit` datagrams, b"" when none waits. Raises Overrun."""
        return b"".join(self.datagrams(limit))

    def datagrams(self, limit: int) -> list[bytes]:
        """Return at most `limit` datagrams, [] when none waits. Raises Overrun."""
        found: list[bytes] = []
        with suppress(BlockingIOError):
            while len(found) < limit:
                found.append(receive(self._socket))
        return found

    async def empty(self, on_datagram: Callable[[bytes], object] | None = None) -> None:
        """Read until nothing waits; drop the datagrams or pass them on. Do this before a dump.

        After an Overrun the kernel notifies again only from then on: see above. Raises OSError.
        """
        until = time.monotonic() + SLICE_S
        while True:
            try:
                datagram = receive(self._socket)
                if on_datagram:
                    on_datagram(datagram)
            except BlockingIOError:
                return
            except Overrun:
                pass
            if time.monotonic() >= until:
                await asyncio.sleep(0)
                until = time.monotonic() + SLICE_S
