"""The second feed: netlink of the control namespace, dumped once and then followed.

zebra writes devices, bridge entries, neighbors and nexthops into its own kernel, and only routes
into FPM. This module reads the kernel: a dump of everything, then notifications of changes.

The order is: empty the notification socket, dump, follow. Notifications that arrive during a dump
wait in the socket and are applied after the dump's rows. `dualpath.netlink.socket` explains why the
socket must be empty before a dump starts, and which alternatives were rejected.

A row that a dump does not repeat was deleted, but only if the dump was complete (see
`dualpath.netlink.reply`). After an incomplete dump nothing is withdrawn. The watch follows
notifications and repeats the dump, with back-off:

    dump     links: complete, bridge entries: ENOMEM   0.2 s   links, bridge entries, ...   end
    bridge   keeps all rows                                    keeps all rows               sweeps
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence

from dualpath.netlink import socket as netlink
from dualpath.netlink.message import DecodeError
from dualpath.netlink.numbers import (
    AF_BRIDGE,
    AF_INET,
    AF_INET6,
    RTNLGRP_LINK,
    RTNLGRP_NEIGH,
    RTNLGRP_NEXTHOP,
)
from dualpath.netlink.reply import IncompleteDump, InterruptedDump
from dualpath.netlink.socket import Notifications, Overrun, open_socket
from frr_bridge.recording import tape
from frr_bridge.recording.tape import Tape
from frr_bridge.rows import decode_datagrams, decode_rows
from frr_bridge.wire import dumps
from frr_bridge.wire.message import Other

log = logging.getLogger(__name__)

GROUPS = (RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_NEXTHOP)

_ANSWER_S = netlink.ANSWER_S
_BUFFER = 16 << 20
_FETCHED_MOST = 1 << 18  # datagrams that wait in this process, each about 200 bytes
_TOGETHER = 512  # read, and decoded, before the clock and the socket are looked at again
_SLICE_S = 0.02  # decode for this time, then let other tasks run
_RETRY_S = 0.2  # after an incomplete dump; doubled each time
_RETRY_MOST_S = 5.0
_INTERRUPTED_MOST = 5  # interrupted dumps of one kind in a row before the back-off

REQUESTS = (
    ("links", dumps.get_links()),
    ("bridge entries", dumps.get_neighbors(AF_BRIDGE)),
    ("IPv4 neighbors", dumps.get_neighbors(AF_INET)),
    ("IPv6 neighbors", dumps.get_neighbors(AF_INET6)),
    ("nexthops", dumps.get_nexthops()),
)


class Watch:
    """Calls `on_message` for each row of a dump, between `on_begin` and `on_end`, then for changes.

    `on_end` is called only after a complete dump of everything. `on_trouble` is called with a
    sentence when the control namespace cannot be read, and with "" when it can again.
    """

    def __init__(
        self,
        *,
        on_begin: Callable[[], None],
        on_message: Callable[[Other], None],
        on_end: Callable[[], None],
        on_trouble: Callable[[str], None] = lambda _: None,
        recording: Tape | None = None,
    ) -> None:
        self._on_begin = on_begin
        self._on_message = on_message
        self._on_end = on_end
        self._on_trouble = on_trouble
        self._tape = recording or Tape()
        self._notifications: Notifications | None = _listen()
        self._fetched: deque[bytes] = deque()  # read from the socket, not decoded yet
        self._going_on = False  # `_go_on` is scheduled
        self._dumping = False
        self._again = True
        self._wake = asyncio.Event()
        self._wake.set()
        self._trouble = ""
        self._caught_up = asyncio.Condition()
        self.on_news: Callable[[Other], None] | None = None
        """Called for notifications, after `on_message`; while it is set, those that wait before a
        dump are decoded, not dropped."""
        self.dumps = 0

    @property
    def whole(self) -> bool:
        """Whether the view is complete: no message was lost since the last complete dump."""
        return not self._again and not self._dumping

    async def run(self) -> None:
        """Dump, follow, and dump again whenever messages were lost."""
        self._follow()
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._catch_up()
            self.drain()
            async with self._caught_up:
                self._caught_up.notify_all()

    async def again(self) -> int:
        """Dump everything again, and process the notifications that arrived meanwhile.

        Return the number of dumps: above 1, notifications were lost in between.
        """
        await self._wait_until_whole()
        before = self.dumps
        self._again = True
        self._wake.set()
        await self._wait_until_whole()
        while not self.drain():  # noqa: ASYNC110  other tasks run, and the dump continues
            await asyncio.sleep(0)
        return self.dumps - before

    async def _wait_until_whole(self) -> None:
        async with self._caught_up:
            await self._caught_up.wait_for(lambda: self.whole)

    def close(self) -> None:
        if self._notifications is not None:
            asyncio.get_running_loop().remove_reader(self._notifications.fileno())
            self._notifications.close()

    def drain(self) -> bool:
        """Apply the notifications that wait; return True once none waits. Never blocks.

        zebra writes to the kernel before it writes to FPM. So call this before reading FPM: then
        every nexthop is known before the route that uses it.
        """
        if self._dumping:
            return True  # they come after the rows of the dump
        began = time.monotonic()
        while self._notifications is not None and time.monotonic() < began + _SLICE_S:
            try:
                self._fetch(self._notifications, began + _SLICE_S / 2)
            except OSError as error:
                self._failed(error)
            if not self._fetched:
                return True
            some = min(_TOGETHER, len(self._fetched))
            self._apply_notifications([self._fetched.popleft() for _ in range(some)])
        if self._fetched and not self._going_on:
            self._going_on = True
            asyncio.get_running_loop().call_soon(self._go_on)
        return self._notifications is None

    def _go_on(self) -> None:
        self._going_on = False
        self.drain()

    def _fetch(self, notifications: Notifications, until: float) -> None:
        """Read the socket before it is full: decoding takes ten times as long as reading."""
        while len(self._fetched) < _FETCHED_MOST and (some := notifications.datagrams(_TOGETHER)):
            self._fetched += some
            if time.monotonic() > until and len(self._fetched) >= _TOGETHER:
                return

    def _apply_notifications(self, datagrams: Sequence[bytes]) -> None:
        for datagram, rows in zip(datagrams, decode_datagrams(datagrams), strict=True):
            self._tape.netlink(datagram)
            try:
                for row in rows:
                    self._on_message(row)
                    if self.on_news:
                        self.on_news(row)
            except DecodeError as error:
                self._lost(f"a notification is malformed: {error}")

    def _failed(self, error: OSError) -> None:
        """Dump again after a failed read; open another socket unless it was an overrun."""
        if isinstance(error, Overrun):
            self._lost(f"notifications were lost ({error.strerror})")
            return
        self.close()
        self._notifications = None
        self._lost(f"the socket failed ({error})")

    def _lost(self, why: str) -> None:
        if not self._again:
            log.info("netlink: %s; dumping again", why)
            self._tape.mark(tape.LOST)
        self._again = True
        self._wake.set()

    async def _catch_up(self) -> None:
        """Repeat dumps until one was complete and no message was lost meanwhile."""
        wait_s = _RETRY_S
        while self._again:
            self._again = False
            if await self._dump():
                wait_s = _RETRY_S
                continue
            self._again = True
            await asyncio.sleep(wait_s)
            self.drain()  # else the next dump drops them, and may be refused too
            wait_s = min(2 * wait_s, _RETRY_MOST_S)

    async def _dump(self) -> bool:
        """Dump everything; return False, with nothing withdrawn, when a dump was incomplete."""
        self._dumping = True
        self.dumps += 1
        try:
            await self._empty()
            self._tape.mark(tape.DUMP_BEGIN)
            self._on_begin()
            for what, request in REQUESTS:
                await self._dump_one(what, request)
        except IncompleteDump as error:
            self._report(f"cannot read FRR's namespace ({error})")
            return False
        finally:
            self._dumping = False
        self._tape.mark(tape.DUMP_END)
        self._on_end()
        self._report("")
        return True

    async def _empty(self) -> None:
        """Read the socket until it is empty. Replace a lost socket.

        Drop the datagrams, because the dump that follows contains their changes.
        """
        fetched, self._fetched = self._fetched, deque()
        if self._notifications is None:
            self._notifications = _reopened()
            self._follow()
        elif self.on_news:
            while fetched:
                some = min(_TOGETHER, len(fetched))
                self._apply_notifications([fetched.popleft() for _ in range(some)])
        apply = (lambda datagram: self._apply_notifications([datagram])) if self.on_news else None
        try:
            await self._notifications.empty(apply)
        except OSError as error:
            self._failed(error)
            raise _incomplete("the socket failed", error) from error

    async def _dump_one(self, what: str, request: bytes) -> None:
        """Take one dump. Repeat an interrupted one at once: its rows may come twice."""
        for tries_left in reversed(range(_INTERRUPTED_MOST)):
            try:
                with _socket() as sock:
                    async for rows in netlink.dump(sock, request, timeout_s=_ANSWER_S):
                        self._tape.netlink(rows)
                        for row in decode_rows(rows):
                            self._on_message(row)
            except InterruptedDump as error:
                if not tries_left:
                    reason = f"{what}: {error}, {_INTERRUPTED_MOST} times"
                    raise IncompleteDump(error.errno or 0, reason) from error
                await asyncio.sleep(_RETRY_S)
            except OSError as error:
                raise _incomplete(what, error) from error
            else:
                return

    def _report(self, trouble: str) -> None:
        """Log an error once, not at each attempt; report each change."""
        before, self._trouble = self._trouble, trouble
        if trouble == before:
            return
        if not before:
            log.warning("netlink: %s; nothing is withdrawn; retrying", trouble)
        elif not trouble:
            log.info("netlink: FRR's namespace can be read again")
        self._on_trouble(trouble)

    def _follow(self) -> None:
        if self._notifications is not None:
            asyncio.get_running_loop().add_reader(self._notifications.fileno(), self.drain)


def _socket() -> socket.socket:
    return open_socket(receive_buffer=_BUFFER)


def _listen() -> Notifications:
    return Notifications(_socket(), GROUPS)


def _reopened() -> Notifications:
    try:
        return _listen()
    except OSError as error:
        raise _incomplete("no socket", error) from error


def _incomplete(what: str, error: OSError) -> IncompleteDump:
    return IncompleteDump(error.errno or 0, f"{what}: {error.strerror or error}")
