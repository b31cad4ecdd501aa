"""The other feed: netlink of the control namespace, dumped once and then followed.

The kernel drops notifications when our socket is full. It reports ENOBUFS once, and then drops in
silence until the socket has been read *empty* (netlink_overrun, netlink_rcv_wake in af_netlink.c).
A dump that starts earlier misses what is dropped after it passed by:

    recv: ENOBUFS   dump begins   MAC 7 added (dropped)   dump ends   socket empty   MAC 8 arrives
                                  ^ nobody ever hears of MAC 7

So: empty the socket, then dump, then follow. Rejected: a larger buffer, which moves the limit; a
second dump after a quiet second, which never comes under steady churn.

What a dump does not repeat is gone, but only if the dump was whole (see `dump`). One that was not
is taken again, with back-off; meanwhile notifications are followed and nothing else is withdrawn.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Callable

from frr_bridge.dump import DATAGRAM, DumpError, Interrupted, dump
from frr_bridge.errors import DecodeError
from frr_bridge.wire import request
from frr_bridge.wire.message import Other, decode_message
from frr_bridge.wire.netlink import AF_BRIDGE, AF_INET, AF_INET6, Message
from frr_bridge.wire.route import ZebraRoute

log = logging.getLogger(__name__)

RTNLGRP_LINK = 1  # enum rtnetlink_groups in linux/rtnetlink.h
RTNLGRP_NEIGH = 3
RTNLGRP_NEXTHOP = 32

_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_SO_RCVBUFFORCE = 33
_BUFFER = 16 << 20
_SLICE_S = 0.02  # decode for so long, then let others have the loop
_RETRY_S = 0.2  # after a dump that was not whole; doubled each time
_RETRY_MOST_S = 5.0
_INTERRUPTED_MOST = 5  # interrupted dumps of one kind in a row before the back-off

REQUESTS = (
    ("links", request.get_links(1)),
    ("bridge entries", request.get_neighbors(2, AF_BRIDGE)),
    ("IPv4 neighbors", request.get_neighbors(3, AF_INET)),
    ("IPv6 neighbors", request.get_neighbors(4, AF_INET6)),
    ("nexthops", request.get_nexthops(5)),
)


class Watch:
    """Calls `on_message` for all there is, framed by `on_begin` and `on_end`, then for changes.

    `on_end` is called only after a whole dump of everything. `on_trouble` is called with a
    sentence when FRR's namespace cannot be read, and with "" when it can again.
    """

    def __init__(
        self,
        *,
        on_begin: Callable[[], None],
        on_message: Callable[[Other], None],
        on_end: Callable[[], None],
        on_trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._on_begin = on_begin
        self._on_message = on_message
        self._on_end = on_end
        self._on_trouble = on_trouble
        self._news: socket.socket | None = _listen()
        self._dumping = False
        self._again = True
        self._wake = asyncio.Event()
        self._wake.set()
        self._trouble = ""
        self._caught_up = asyncio.Condition()
        self.on_news: Callable[[Other], None] | None = None
        """Told of notifications, beside `on_message`; none is dropped then before a dump."""
        self.dumps = 0

    @property
    def whole(self) -> bool:
        """Whether all that FRR's namespace holds is known: nothing was lost since the last dump."""
        return not self._again and not self._dumping

    async def run(self) -> None:
        """Dump, follow, and dump again whenever something was lost."""
        self._follow()
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._catch_up()
            self.drain()
            async with self._caught_up:
                self._caught_up.notify_all()

    async def again(self) -> int:
        """Dump everything once more, and read what was notified meanwhile; return the dumps taken.

        More than one: notifications were lost in between.
        """
        await self._wait_until_whole()
        before = self.dumps
        self._again = True
        self._wake.set()
        await self._wait_until_whole()
        while not self.drain():  # noqa: ASYNC110  others get a turn, and it goes on
            await asyncio.sleep(0)
        return self.dumps - before

    async def _wait_until_whole(self) -> None:
        async with self._caught_up:
            await self._caught_up.wait_for(lambda: self.whole)

    def close(self) -> None:
        if self._news is not None:
            asyncio.get_running_loop().remove_reader(self._news.fileno())
            self._news.close()

    def drain(self) -> bool:
        """Take what has been notified until now; True once nothing waits. Never blocks.

        zebra writes to the kernel before it writes to FPM: who calls this before looking at FPM's
        bytes never sees a route before the news of its nexthop, if that came first.
        """
        if self._dumping:
            return True  # in order: they come after the rows of the dump
        until = time.monotonic() + _SLICE_S
        while self._news is not None and time.monotonic() < until:
            try:
                datagram = _read(self._news)
            except BlockingIOError:
                return True
            except OSError as error:
                self._failed(error)
                continue
            self._take_news(datagram)
        return self._news is None

    def _take_news(self, datagram: bytes) -> None:
        if len(datagram) >= DATAGRAM:
            self._lost("a notification was cut")
        try:
            for message in request.split(datagram):
                said = self._take(datagram, message)
                if said and self.on_news:
                    self.on_news(said)
        except DecodeError as error:
            self._lost(f"a notification makes no sense: {error}")

    def _failed(self, error: OSError) -> None:
        """Take a failed read: notifications were lost, or the socket itself is."""
        if error.errno == errno.ENOBUFS:
            self._lost("notifications were lost")
            return
        self.close()
        self._news = None
        self._lost(f"the socket failed ({error})")

    def _lost(self, why: str) -> None:
        if not self._again:
            log.info("netlink: %s; dumping again", why)
        self._again = True
        self._wake.set()

    async def _catch_up(self) -> None:
        """Dump until a dump was whole and nothing was lost meanwhile."""
        wait_s = _RETRY_S
        while self._again:
            self._again = False
            if await self._dump():
                wait_s = _RETRY_S
                continue
            self._again = True
            await asyncio.sleep(wait_s)
            self.drain()  # else the next dump drops it, and may be refused too
            wait_s = min(2 * wait_s, _RETRY_MOST_S)

    async def _dump(self) -> bool:
        """Take a dump of everything; False, with nothing withdrawn, when it was not whole."""
        self._dumping = True
        self.dumps += 1
        try:
            await self._empty()
            self._on_begin()
            for what, wanted in REQUESTS:
                await self._dump_one(what, wanted)
        except DumpError as error:
            self._tell(f"cannot read FRR's namespace ({error})")
            return False
        finally:
            self._dumping = False
        self._on_end()
        self._tell("")
        return True

    async def _empty(self) -> None:
        """Read the socket until it is empty: only then does the kernel notify again.

        What is read is dropped, because the dump that follows holds it. A lost socket is replaced.
        """
        if self._news is None:
            self._news = _reopened()
            self._follow()
        until = time.monotonic() + _SLICE_S
        while True:
            try:
                datagram = _read(self._news)
                if self.on_news:
                    self._take_news(datagram)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    self._failed(error)
                    raise DumpError(f"the socket failed: {error}") from error
            if time.monotonic() >= until:
                await asyncio.sleep(0)
                until = time.monotonic() + _SLICE_S

    async def _dump_one(self, what: str, wanted: bytes) -> None:
        """Take one dump. One that changed under way is taken again: its rows may repeat."""
        for tries_left in reversed(range(_INTERRUPTED_MOST)):
            try:
                with _socket() as asking:
                    await dump(asking, wanted, self._take)
            except Interrupted as error:
                if not tries_left:
                    raise DumpError(f"{what}: {error} {_INTERRUPTED_MOST} times") from error
                await asyncio.sleep(_RETRY_S)
            except OSError as error:
                raise DumpError(f"{what}: {error}") from error
            except DumpError as error:
                raise DumpError(f"{what}: {error}") from error
            else:
                return

    def _tell(self, trouble: str) -> None:
        """Log what is wrong once, not at each attempt; pass on each change."""
        before, self._trouble = self._trouble, trouble
        if trouble == before:
            return
        if not before:
            log.warning("netlink: %s; nothing is withdrawn; retrying", trouble)
        elif not trouble:
            log.info("netlink: FRR's namespace can be read again")
        self._on_trouble(trouble)

    def _take(self, datagram: bytes, message: Message) -> Other | None:
        try:
            said = decode_message(datagram, message)
        except DecodeError as error:
            log.debug("netlink: %s", error)  # kinds of entries that say nothing to us
            return None
        if said is None or isinstance(said, ZebraRoute):
            return None
        self._on_message(said)
        return said

    def _follow(self) -> None:
        if self._news is not None:
            asyncio.get_running_loop().add_reader(self._news.fileno(), self.drain)


def _read(news: socket.socket) -> bytes:
    """Return one datagram. Raises BlockingIOError, ENOBUFS, or any OSError of a lost socket."""
    datagram = news.recv(DATAGRAM)
    if not datagram:
        raise ConnectionResetError(errno.ECONNRESET, "closed")
    return datagram


def _socket() -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    opened.bind((0, 0))
    opened.setblocking(False)
    return opened


def _listen() -> socket.socket:
    opened = _socket()
    for group in (RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_NEXTHOP):
        opened.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
    return opened


def _reopened() -> socket.socket:
    try:
        return _listen()
    except OSError as error:
        raise DumpError(f"no socket: {error}") from error
