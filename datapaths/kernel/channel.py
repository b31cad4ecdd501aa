"""Netlink sockets of the forwarding namespace, for a driver that runs in an event loop.

`dualpath.netlink.socket` has the request loop. This module adds a namespace, turns, a thread and
`Unavailable`. It knows nothing of what the messages mean.

A write of 256 KiB takes the kernel some 10 ms, during which `send` does not return. So a long write
goes through a thread, and a short one does not, because waking a thread costs 0.1 to 0.3 ms:

    1 route         60 bytes       sent by the event loop
    100 routes      6 KB           sent by the event loop; then other tasks run
    4096 routes     250 KB         sent by the thread

Only the last request of a write requests an acknowledgement, and the kernel answers in order. So
that acknowledgement shows that all requests are done; refusals arrive before it.
Rejected: an acknowledgement for each route, which doubles the kernel's time.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from datapaths.base import Unavailable
from datapaths.linux.neighborsocket import attach_filter
from datapaths.linux.netns import entered
from dualpath.model.words import errno_name
from dualpath.netlink import numbers as n
from dualpath.netlink import socket as netlink
from dualpath.netlink.message import NLMSGHDR, Answer, Message, assemble, messages
from dualpath.netlink.reply import IncompleteDump, InterruptedDump
from dualpath.netlink.socket import (
    INTERRUPTED_DUMPS,
    RECEIVE_BUFFER,
    Notifications,
    Requests,
    Stream,
    open_socket,
)

ANSWER_BYTES = 1536  # of the receive buffer, for one refusal with its text
INLINE_BYTES = 16 * 1024  # longest write without the thread: about 1 ms of the kernel's time
LONE_BYTES = 1024  # longest write after which no other task gets a turn


class Channel:
    """One socket for requests; its users take turns."""

    def __init__(self, netns: str) -> None:
        self._requests = Requests(_open(netns))
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "netlink")
        self.most_rows = max(64, self._requests.receive_buffer // ANSWER_BYTES)
        """Most rows of one write: all their refusals fit the receive buffer."""
        self.busy_s = 0.0
        """CPU time of the last write, nearly all of it the kernel's."""

    @property
    def port_id(self) -> int:
        """The nlmsg_pid of notifications that this socket's requests cause."""
        return self._requests.port

    async def close(self) -> None:
        """Wait for the answer to the current write, then close. Later writes raise Unavailable."""
        async with self._turn:
            self._thread.shutdown()
            self._requests.close()

    async def write(
        self, count: int, encode: Callable[[int], Stream]
    ) -> Sequence[tuple[int, Answer]]:
        """Send `count` requests; return (position, answer) of each refused one.

        `encode` gets the first sequence number, and returns the requests, the last with NLM_F_ACK.
        Raises Unavailable if the answers do not arrive; some requests may be done.
        """
        async with self._turn:
            if self._requests.closed:
                raise Unavailable("netlink: the socket of this namespace is closed")
            first = self._requests.reserve(count)
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
        """Send requests of any type and length, in writes of at most INLINE_BYTES."""
        refused: list[tuple[int, Answer]] = []
        for start, stop in _slices(requests, self.most_rows):
            part = requests[start:stop]
            answers = await self.write(len(part), lambda first, part=part: assemble(part, first))  # type: ignore[misc]
            refused += [(start + at, answer) for at, answer in answers]
        return refused

    def _exchange(self, stream: Stream, first: int, count: int) -> list[tuple[int, Answer]]:
        start = time.thread_time()
        try:
            refused = self._requests.exchange(stream, first, count)
        except OSError as error:
            name = errno_name(error.errno or 0)
            raise Unavailable(f"netlink: {name} on a write of {count} requests") from error
        self.busy_s = time.thread_time() - start
        return refused


async def dump(netns: str, request: bytes) -> AsyncIterator[bytes]:
    """Yield the reply to a dump request, piece by piece, whole messages each.

    Raises Unavailable when the dump is incomplete, and InterruptedDump at the end: a caller that
    removes what a dump does not show must wait for the end.
    """
    with _open(netns) as sock:
        try:
            async for rows in netlink.dump(sock, request):
                yield rows
        except InterruptedDump:
            raise
        except IncompleteDump as error:
            raise Unavailable(f"netlink: {error}") from error


async def collect(netns: str, request: bytes) -> list[Message]:
    """Return a complete dump of a small table; repeat it while it is interrupted."""
    pieces = await collect_pieces(netns, request)
    return [message for data in pieces for message in messages(data)]


async def collect_pieces(netns: str, request: bytes) -> list[bytes]:
    """Return a complete dump as pieces of whole messages, of at most 32 KiB; see `collect`."""
    for _ in range(INTERRUPTED_DUMPS):
        with suppress(InterruptedDump):
            return [data async for data in dump(netns, request)]
    raise Unavailable(f"netlink: the table changed in each of {INTERRUPTED_DUMPS} dumps")


def ask(netns: str, request: bytes) -> Message:
    """Send one cheap request, and return its reply. Blocks. Raises OSError, also on a refusal."""
    with Requests(_open(netns)) as requests:
        return requests.ask(request)


class Monitor(Notifications):
    """One socket for notifications.

    A filter in the kernel drops those of routes that `port_id` writes: a million of our own routes
    cost nothing here.
    """

    def __init__(self, netns: str, port_id: int, groups: Iterable[int]) -> None:
        sock = _open(netns)
        attach_filter(sock, _filter(port_id))
        super().__init__(sock, groups)


def _open(netns: str) -> socket.socket:
    try:
        with entered(netns):
            return open_socket(receive_buffer=RECEIVE_BUFFER)
    except FileNotFoundError:
        raise Unavailable(f"no network namespace {netns}") from None


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

    All notifications pass except those of routes. Of these pass, unless we caused them: routes of
    our protocol, routes of the protocols that NICs come with, replacements of any route, and
    unreachable routes (the default routes of VRF tables). BPF loads in network byte order, hence
    `_swapped`.
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
