"""The other feed: netlink of the control namespace, dumped once and then followed.

Notifications that the kernel had to drop (ENOBUFS) cost nothing but another dump.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Callable, Iterator

from frr_bridge.errors import DecodeError
from frr_bridge.wire import request
from frr_bridge.wire.message import Other, decode_message
from frr_bridge.wire.netlink import (
    AF_BRIDGE,
    AF_INET,
    AF_INET6,
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
    Message,
)
from frr_bridge.wire.route import ZebraRoute

log = logging.getLogger(__name__)

RTNLGRP_LINK = 1  # enum rtnetlink_groups in linux/rtnetlink.h
RTNLGRP_NEIGH = 3
RTNLGRP_NEXTHOP = 32

_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_SO_RCVBUFFORCE = 33
_BUFFER = 16 << 20
_DATAGRAM = 1 << 17
_SLICE_S = 0.02  # decode for so long, then let others have the loop
_RETRY_S = 0.2


class Watch:
    """Calls `on_message` for all there is, framed by `on_begin` and `on_end`, then for changes."""

    def __init__(
        self,
        *,
        on_begin: Callable[[], None],
        on_message: Callable[[Other], None],
        on_end: Callable[[], None],
    ) -> None:
        self._on_begin = on_begin
        self._on_message = on_message
        self._on_end = on_end
        self._news = _socket()
        for group in (RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_NEXTHOP):
            self._news.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
        self._dumping = False
        self._again = True
        self._wake = asyncio.Event()
        self._wake.set()
        self.dumps = 0

    async def run(self) -> None:
        """Dump, follow, and dump again whenever something was lost."""
        asyncio.get_running_loop().add_reader(self._news.fileno(), self.drain)
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._again:
                self._again = False
                await self._dump()
            self.drain()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._news.fileno())
        self._news.close()

    def drain(self) -> None:
        """Take what has been notified until now. Never blocks.

        zebra writes to the kernel before it writes to FPM: who calls this before looking at FPM's
        bytes never sees a route before the news of its nexthop, if that came first.
        """
        if self._dumping:
            return  # in order: they come after the rows of the dump
        until = time.monotonic() + _SLICE_S
        while time.monotonic() < until:
            try:
                datagram = self._news.recv(_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                log.info("netlink: notifications were lost; dumping again")
                self._again = True
                self._wake.set()
                continue
            for message in _split(datagram):
                self._take(datagram, message)

    async def _dump(self) -> None:
        self._dumping = True
        self.dumps += 1
        try:
            self._on_begin()
            requests = (
                request.get_links(1),
                request.get_neighbors(2, AF_BRIDGE),
                request.get_neighbors(3, AF_INET),
                request.get_neighbors(4, AF_INET6),
                request.get_nexthops(5),
            )
            for wanted in requests:
                await self._dump_one(wanted)
            self._on_end()
        finally:
            self._dumping = False

    async def _dump_one(self, wanted: bytes) -> None:
        """Take one dump. A dump that changed under way is taken again: its rows may repeat."""
        while True:
            interrupted = False
            with _socket() as answers:
                answers.send(wanted)
                done = False
                while not done:
                    datagram = await asyncio.get_running_loop().sock_recv(answers, _DATAGRAM)
                    for message in _split(datagram):
                        interrupted |= bool(message.flags & NLM_F_DUMP_INTR)
                        if message.type in {NLMSG_DONE, NLMSG_ERROR}:
                            done = True
                        else:
                            self._take(datagram, message)
                    await asyncio.sleep(0)
            if not interrupted:
                return
            await asyncio.sleep(_RETRY_S)

    def _take(self, datagram: bytes, message: Message) -> None:
        try:
            said = decode_message(datagram, message)
        except DecodeError as error:
            log.debug("netlink: %s", error)  # kinds of entries that say nothing to us
            return
        if said is not None and not isinstance(said, ZebraRoute):
            self._on_message(said)


def _socket() -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    opened.bind((0, 0))
    opened.setblocking(False)
    return opened


def _split(datagram: bytes) -> Iterator[Message]:
    """Yield a datagram's messages; the kernel's own are well formed."""
    try:
        yield from request.split(datagram)
    except DecodeError as error:
        log.warning("netlink: %s", error)
