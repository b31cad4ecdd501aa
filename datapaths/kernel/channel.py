"""Netlink sockets of one namespace: requests with their answers, dumps, and notifications.

Knows sequence numbers, acknowledgements and overruns; knows nothing of what the messages mean.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from datapaths.base import Unavailable
from datapaths.linux.ear import attach_filter
from datapaths.linux.netns import entered
from datapaths.linux.replies import READ_BYTES, port_of, receive
from datapaths.linux.wire import numbers as n
from datapaths.linux.wire.message import NLMSGHDR, Answer, Message, answer, assemble, messages
from datapaths.linux.wire.reply import Interrupted, NotWhole, Reply

SEND_BUFFER = 1 << 20
RECEIVE_BUFFER = 8 << 20  # the kernel doubles it
ANSWER_BYTES = 1536  # of that buffer, what one refusal with its text takes up
INLINE_BYTES = 16 * 1024  # about 1 ms of the kernel's time: waking a thread costs 0.1 to 0.3 ms
LONE_BYTES = 1024  # so short that nobody need get a turn after it
ANSWER_S = 30.0  # the kernel answers before `send` returns; this is for what cannot happen
INTERRUPTED_DUMPS = 20  # retries

EMPTY_READS = 4096  # some milliseconds; then others have the event loop

SO_ATTACH_FILTER = 26  # asm-generic/socket.h

Stream = bytes | bytearray | memoryview


class Overrun(Exception):
    """Notifications were lost. Dump everything."""


class Channel:
    """One socket for requests, with its own sequence numbers; its users take turns.

    Large writes go through a thread, so that the event loop runs on while the kernel works.
    """

    def __init__(self, netns: str) -> None:
        self._socket = _open(netns)
        self._socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", int(ANSWER_S), 0)
        )
        self._next = 1
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "netlink")
        buffer = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self.most_rows = max(64, buffer // ANSWER_BYTES)
        """In one write: were all of them refused, the answers still fit."""
        self.busy_s = 0.0
        """CPU time of the last write, nearly all of it the kernel's."""

    @property
    def port_id(self) -> int:
        """The nlmsg_pid of notifications about what this socket did."""
        return int(self._socket.getsockname()[0])

    async def close(self) -> None:
        """Close once a write that is under way has its answer; later ones are Unavailable."""
        async with self._turn:
            self._thread.shutdown()
            self._socket.close()

    async def write(
        self, count: int, encode: Callable[[int], Stream]
    ) -> Sequence[tuple[int, Answer]]:
        """Send `count` requests; return (position, answer) of those that were refused.

        `encode` makes them, numbered from the number it is given, the last with NLM_F_ACK.
        Raises Unavailable when the answers do not tell.
        """
        async with self._turn:
            if self._socket.fileno() < 0:
                raise Unavailable("netlink: the socket of this namespace is closed")
            if self._next + count >= 1 << 32:
                self._next = 1
            first, self._next = self._next, self._next + count
            stream = encode(first)
            if len(stream) <= INLINE_BYTES:
                refused = self._exchange(stream, first, count)
                if len(stream) > LONE_BYTES:
                    await asyncio.sleep(0)
                return refused
            loop = asyncio.get_running_loop()
            sent = loop.run_in_executor(self._thread, self._exchange, stream, first, count)
            try:
                return await asyncio.shield(sent)
            except asyncio.CancelledError:
                await asyncio.wait([sent])  # the buffer is in use until then
                raise

    async def send(self, requests: Sequence[bytes]) -> Sequence[tuple[int, Answer]]:
        """Send requests of any shape, in writes of a sensible size."""
        refused: list[tuple[int, Answer]] = []
        for start, stop in _slices(requests, self.most_rows):
            part = requests[start:stop]
            answers = await self.write(len(part), lambda first, part=part: assemble(part, first))  # type: ignore[misc]
            refused += [(start + at, said) for at, said in answers]
        return refused

    def _exchange(self, stream: Stream, first: int, count: int) -> list[tuple[int, Answer]]:
        refused: list[tuple[int, Answer]] = []
        start = time.thread_time()
        try:
            self._socket.send(stream)
            while True:
                for message in messages(self._socket.recv(READ_BYTES)):
                    at = message.seq - first
                    if message.type != n.NLMSG_ERROR or not 0 <= at < count:
                        continue
                    said = answer(message)
                    if said.errno:
                        refused.append((at, said))
                    if at == count - 1:
                        self.busy_s = time.thread_time() - start
                        return refused
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "error")
            raise Unavailable(f"netlink: {name} on a write of {count} requests") from error


async def dump(netns: str, request: bytes) -> AsyncIterator[bytes]:
    """Yield the answer to a dump request, piece by piece, whole messages each.

    Raises Unavailable when the kernel refuses or breaks off, and Interrupted at the end: whoever
    takes what is absent for gone waits for the end.
    """
    asked = assemble([request], 1)
    with _open(netns) as sock:
        sock.settimeout(ANSWER_S)
        reply = Reply(asked, port_of(sock))
        try:
            _ask(sock, asked)
            while not reply.ended:
                if data := reply.rows(receive(sock)):
                    yield data
                await asyncio.sleep(0)
        except Interrupted:
            raise
        except NotWhole as error:
            raise Unavailable(f"netlink: {error}") from error


def _ask(sock: socket.socket, asked: bytearray) -> None:
    try:
        sock.send(asked)
    except OSError as error:
        raise Unavailable(f"netlink: cannot ask for a dump: {error}") from error


async def collect(netns: str, request: bytes) -> list[Message]:
    """Return a whole dump, of what there is little of; again while it is interrupted."""
    for _ in range(INTERRUPTED_DUMPS):
        found: list[Message] = []
        with suppress(Interrupted):
            async for data in dump(netns, request):
                found += messages(data)
            return found
    raise Unavailable("netlink: what is dumped changes all the time")


def ask(netns: str, request: bytes) -> Message:
    """Return the one answer to a question that costs the kernel nothing. Raises OSError."""
    with _open(netns) as sock:
        sock.settimeout(ANSWER_S)
        sock.send(request)
        said = next(messages(sock.recv(READ_BYTES)))
    if said.type == n.NLMSG_ERROR and (code := answer(said).errno):
        raise OSError(code, os.strerror(code))
    return said


class Monitor:
    """One socket for notifications. Those about routes that `port_id` writes never leave the
    kernel, so that a million of our own cost nothing here."""

    def __init__(self, netns: str, port_id: int, groups: Iterable[int]) -> None:
        self._socket = _open(netns)
        self._socket.setblocking(False)
        attach_filter(self._socket, _filter(port_id))
        for group in groups:
            self._socket.setsockopt(n.SOL_NETLINK, n.NETLINK_ADD_MEMBERSHIP, group)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def read(self, limit: int) -> bytes:
        """Return what `limit` reads give, b"" when there is nothing. Raises Overrun."""
        parts: list[bytes] = []
        try:
            while len(parts) < limit:
                parts.append(self._socket.recv(READ_BYTES))
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            raise Overrun from error
        return b"".join(parts)

    async def empty(self) -> None:
        """Read and drop until nothing waits. Do this before a dump that follows an Overrun.

        The kernel reports an overrun once. Until the socket has been read empty it then drops
        every notification (netlink_rcv_wake in af_netlink.c): those of what changes behind the
        back of a dump that has begun would be lost for good.
        """
        for reads in itertools.count(1):
            try:
                self._socket.recv(READ_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
            if reads % EMPTY_READS == 0:
                await asyncio.sleep(0)


def _open(netns: str) -> socket.socket:
    try:
        with entered(netns):
            sock = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
            )
    except FileNotFoundError:
        raise Unavailable(f"there is no network namespace {netns}") from None
    _enlarge(sock, socket.SO_SNDBUF, SO_SNDBUFFORCE, SEND_BUFFER)
    _enlarge(sock, socket.SO_RCVBUF, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    for option in (n.NETLINK_CAP_ACK, n.NETLINK_EXT_ACK, n.NETLINK_GET_STRICT_CHK):
        sock.setsockopt(n.SOL_NETLINK, option, 1)
    sock.bind((0, 0))
    return sock


SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33  # asm-generic/socket.h


def _enlarge(sock: socket.socket, polite: int, force: int, size: int) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, force, size)
    except PermissionError:  # in a user namespace: as far as net.core.*mem_max lets us
        sock.setsockopt(socket.SOL_SOCKET, polite, size)


def _slices(requests: Sequence[bytes], most: int) -> Iterable[tuple[int, int]]:
    """Yield (start, stop) of parts of at most `most` requests and INLINE_BYTES."""
    start = size = 0
    for i, request in enumerate(requests):
        if i > start and (i - start == most or size + len(request) > INLINE_BYTES):
            yield start, i
            start, size = i, 0
        size += len(request)
    if start < len(requests):
        yield start, len(requests)


def _filter(port_id: int) -> list[tuple[int, int, int, int]]:
    """Return a socket filter: (code, jump if true, jump if false, k), linux/filter.h.

    Of route notifications it lets through what others did to routes of our protocol or of those
    that NICs bring along, what replaced a route of any, and unreachable routes, which end VRFs'
    tables. Loads are in network order whatever the machine's, hence `_swapped`.
    """
    load_u32, load_u16, load_u8 = 0x20, 0x28, 0x30  # BPF_LD | BPF_W, H, B | BPF_ABS
    equal, has, give = 0x15, 0x45, 0x06  # BPF_JMP | BPF_JEQ, JSET; BPF_RET
    replace_at = 7 if sys.byteorder == "little" else 6  # the flags' byte with NLM_F_REPLACE
    protocol_at, type_at = NLMSGHDR.size + 5, NLMSGHDR.size + 7  # rtm_protocol, rtm_type
    return [
        (load_u16, 0, 0, 4),  # nlmsg_type
        (equal, 2, 0, _swapped("H", n.RTM_NEWROUTE)),
        (equal, 1, 0, _swapped("H", n.RTM_DELROUTE)),
        (give, 0, 0, 0xFFFF_FFFF),
        (load_u32, 0, 0, 12),  # nlmsg_pid
        (equal, 11, 0, _swapped("I", port_id)),
        (load_u8, 0, 0, protocol_at),
        (equal, 8, 0, n.RTPROT_DUALPATH),
        (equal, 7, 0, n.RTPROT_BOOT),
        (equal, 6, 0, n.RTPROT_STATIC),
        (equal, 5, 0, n.RTPROT_RA),
        (equal, 4, 0, n.RTPROT_DHCP),
        (load_u8, 0, 0, replace_at),
        (has, 2, 0, n.NLM_F_REPLACE >> 8),
        (load_u8, 0, 0, type_at),
        (equal, 0, 1, n.RTN_UNREACHABLE),
        (give, 0, 0, 0xFFFF_FFFF),
        (give, 0, 0, 0),
    ]


def _swapped(layout: str, value: int) -> int:
    (swapped,) = struct.unpack(f"!{layout}", struct.pack(f"={layout}", value))
    return int(swapped)
