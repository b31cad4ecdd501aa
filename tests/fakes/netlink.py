"""A kernel that answers dumps and notifies, with the faults that netlink has."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence

from dualpath.netlink.message import NLMSGHDR, Message, attribute, header
from dualpath.netlink.neighborcolumns import NDMSG
from dualpath.netlink.numbers import (
    AF_BRIDGE,
    NDA_DST,
    NDA_LLADDR,
    NLM_F_MULTI,
    NLMSG_DONE,
    NLMSG_ERROR,
    NTF_EXT_LEARNED,
    NTF_SELF,
    NUD_REACHABLE,
    RTM_GETNEIGH,
    RTM_NEWNEIGH,
)
from dualpath.netlink.socket import Notifications

Faults = Callable[[Message, bytes], list[bytes] | None]
"""Given a dump request: the datagrams to send instead of the reply, or None for the reply."""


def mac(last: int) -> bytes:
    return bytes([2, 0, 0, 0, 0, last])


def mac_body(last: int, ifindex: int = 5) -> bytes:
    """Return the body of an FDB entry of a VXLAN device."""
    fixed = NDMSG.pack(AF_BRIDGE, 0, 0, ifindex, NUD_REACHABLE, NTF_SELF | NTF_EXT_LEARNED, 0)
    return fixed + attribute(NDA_LLADDR, mac(last)) + attribute(NDA_DST, bytes([100, 64, 0, 2]))


def reply(
    kind: int, sequence: int, body: bytes = b"", *, flags: int = NLM_F_MULTI, port: int = 0
) -> bytes:
    """Return one message of a reply."""
    return NLMSGHDR.pack(NLMSGHDR.size + len(body), kind, flags, sequence, port) + body


def row(sequence: int, last: int, *, flags: int = NLM_F_MULTI, port: int = 0) -> bytes:
    return reply(RTM_NEWNEIGH, sequence, mac_body(last), flags=flags, port=port)


def done(sequence: int, code: int = 0, *, flags: int = NLM_F_MULTI) -> bytes:
    return reply(NLMSG_DONE, sequence, struct.pack("=i", -code), flags=flags)


def refusal(wanted: bytes, code: int) -> bytes:
    sequence = header(wanted, 0, len(wanted)).sequence
    body = struct.pack("=i", -code) + wanted[: NLMSGHDR.size]
    return reply(NLMSG_ERROR, sequence, body, flags=0)


def is_fdb(asked: Message, wanted: bytes) -> bool:
    return asked.type == RTM_GETNEIGH and wanted[asked.payload] == AF_BRIDGE


class News(socket.socket):
    """A notification socket with a bounded queue; drops like af_netlink.c.

    When the queue is full it reports ENOBUFS once, and takes nothing more until it was read empty.
    """

    def __init__(self, room: int) -> None:
        ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        super().__init__(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=ours.detach())
        self.room = room
        self.queue: deque[bytes] = deque()
        self.errors: deque[OSError] = deque()
        self.congested = False

    def notify(self, datagram: bytes) -> None:
        if not self.congested and len(self.queue) < self.room:
            self.queue.append(datagram)
            return
        if not self.congested:
            self.errors.append(OSError(errno.ENOBUFS, "No buffer space available"))
        self.congested = True

    def recvmsg_into(  # type: ignore[override]  # as much of it as is used
        self, buffers: Sequence[memoryview]
    ) -> tuple[int, list[tuple[int, int, bytes]], int, tuple[int, int]]:
        if self.errors:
            raise self.errors.popleft()
        if not self.queue:
            raise BlockingIOError(errno.EAGAIN, "empty")
        datagram = self.queue.popleft()
        self.congested &= bool(self.queue)
        (room,) = buffers
        read = datagram[: len(room)]
        room[: len(read)] = read
        return len(read), [], socket.MSG_TRUNC if len(datagram) > len(room) else 0, (0, 0)

    def close(self) -> None:
        self._theirs.close()
        super().close()


class FakeKernel:
    """Holds FDB entries, answers dumps of them, and notifies one socket of changes."""

    def __init__(self, room: int = 1000) -> None:
        self.macs: set[int] = set()
        self.faults: Faults = lambda _asked, _wanted: None
        self.on_dumped: Callable[[], None] = lambda: None  # the FDB dump has passed by
        self.news: list[News] = []
        self.asked = 0
        self._room = room
        self._ends: list[socket.socket] = []

    def listen(self) -> Notifications:
        self.news.append(News(self._room))
        return Notifications(self.news[-1], ())

    def add(self, *lasts: int) -> None:
        for last in lasts:
            self.macs.add(last)
            self.news[-1].notify(reply(RTM_NEWNEIGH, 0, mac_body(last), flags=0))

    def open(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._ends.append(theirs)
        asyncio.get_running_loop().add_reader(theirs.fileno(), self._serve, theirs)
        return ours

    def close(self) -> None:
        for end in self._ends:
            asyncio.get_running_loop().remove_reader(end.fileno())
            end.close()
        self._ends.clear()

    def _serve(self, end: socket.socket) -> None:
        wanted = end.recv(4096)
        if not wanted:
            asyncio.get_running_loop().remove_reader(end.fileno())
            return
        self.asked += 1
        asked = header(wanted, 0, len(wanted))
        fault = self.faults(asked, wanted)
        if fault is None:
            rows = sorted(self.macs) if is_fdb(asked, wanted) else []
            for last in rows:
                end.send(row(asked.sequence, last))
            end.send(done(asked.sequence))
            if is_fdb(asked, wanted):
                self.on_dumped()
            return
        for datagram in fault:
            end.send(datagram)
        if not fault:  # the socket ends
            asyncio.get_running_loop().remove_reader(end.fileno())
            self._ends.remove(end)
            end.close()
