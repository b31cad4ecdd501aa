"""The picture: our copy of the kernel's rows, and whether it can be trusted now.

A batch is compared with the picture: only rows that differ are sent. Dumps and notifications keep
the picture, including the notifications of our own writes. It has three problems to solve:

*Who caused a notification?* For bridges and VXLAN devices it names no sender. If we caused it,
nothing was lost. So a write takes the turn and pauses the reader: notifications stay queued in the
socket, and `catch_up` reads them in two portions.

    turn      no other task plans or writes
    pause     the event loop stops reading the socket; notifications queue up in the kernel
    catch_up()            notifications 1-3: by other programs, from before our write
    send 2 requests       the kernel queues notifications 4-6
    catch_up(own={...})   4 and 6 are about keys that we wrote: applied, and no loss is reported
                          5 is about another key: applied, and reported as Lost
    resume    the event loop reads again

If another program changes a key in the moment in which we write it, the change counts as ours. A
later audit finds it; for devices, `building.py` compares after each build.

*Is the picture complete?* When the socket overruns (ENOBUFS), the kernel drops notifications. The
picture is then `stale`: nothing is planned, and callers get Unavailable unless a reload succeeds. A
reload first reads the socket until it is empty, because the kernel drops further notifications
without an error until then. After the dumps it reports every kind as lost.

*Does the kernel report every change?* No. When a device goes down, the kernel deletes the nexthops
that use it without a notification (nexthop_flush_dev in net/ipv4/nexthop.c). The nexthop table is
then `doubtful`, and is dumped before the next plan, or by a task of its own.

Routes are not in the picture: the controller has them, and a second copy of a million would cost
30 MB. They are written without a comparison, and only notifications by other programs are read.

Rejected: a dump before each batch (100,000 MACs take a second or more). The port id in
notifications: it names the sender for some kinds only. A turn without a pause: the event loop could
read the notification of a write before its keys are known.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from datapaths.base import Learned, Unavailable
from datapaths.kernel.channel import Channel, Monitor, collect, collect_pieces
from datapaths.kernel.observe import Observer
from datapaths.kernel.plan import Touched
from datapaths.kernel.tasks import Tasks
from datapaths.kernel.wire import neighbors, nexthops
from datapaths.linux.wire.links import addresses_request, dump_request
from dualpath.model.kinds import Kind
from dualpath.model.records import Record
from dualpath.netlink.message import DecodeError
from dualpath.netlink.socket import Overrun

log = logging.getLogger(__name__)

READS = 256  # notifications per call; then other tasks run
LAYER2_KINDS = frozenset({Kind.REMOTE_VTEP, Kind.MAC, Kind.NEIGHBOR, Kind.FLOOD})
LOADED = (Kind.PORT, Kind.NEXTHOP, Kind.MAC)  # one kind for each of the dumps


class Picture:
    """Keeps the observer's tables equal to one namespace. Plans and writes hold its `turn`."""

    def __init__(
        self,
        netns: str,
        emit: Callable[[Learned], None],
        fail: Callable[[BaseException], None],
        tasks: Tasks,
    ) -> None:
        self._netns = netns
        self._fail = fail
        self._tasks = tasks
        self._monitor: Monitor | None = None
        self._turn = asyncio.Lock()
        self._paused = False
        self._stale = False
        self._layer2_until_s = 0.0  # monotonic; until then the last dump is good enough
        self._reloading: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None
        self.observer = Observer(emit)

    # -- the socket of notifications ------------------------------------------------------

    def attach(self, monitor: Monitor) -> None:
        """Read notifications from `monitor` from now on."""
        self._layer2_until_s = 0.0
        self._monitor = monitor
        self._resume(monitor)

    def detach(self) -> None:
        """Read no more notifications."""
        if self._monitor:
            asyncio.get_running_loop().remove_reader(self._monitor.fileno())
        self._monitor = None

    @asynccontextmanager
    async def turn(self, *, pause: bool = True) -> AsyncIterator[None]:
        """Keep other tasks from planning and writing, and leave notifications in the socket."""
        async with self._turn:
            if not pause:
                yield
                return
            with self._pause():
                yield

    @contextmanager
    def _pause(self) -> Iterator[None]:
        monitor = self._monitor
        if not monitor:  # the namespace was just left
            yield
            return
        self._paused = True
        asyncio.get_running_loop().remove_reader(monitor.fileno())
        try:
            yield
        finally:
            self._paused = False
            if self._monitor is monitor:
                self._resume(monitor)

    def _resume(self, monitor: Monitor) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(monitor.fileno(), lambda: self._read(monitor))

    # -- bringing the picture up to date --------------------------------------------------

    def catch_up(self, own: Iterable[Touched] = (), *, built: Collection[str] = ()) -> None:
        """Apply every notification that is queued in the socket.

        Report no loss of keys in `own`, nor of devices in `built`: we changed those.
        """
        keys = frozenset(own)
        monitor = self._monitor
        while monitor and not self._stale and self._read(monitor, keys, built=built):
            pass

    def look(self) -> None:
        """Catch up, unless a write is in progress: it catches up itself."""
        if not self._paused:
            self.catch_up()

    async def ensure_fresh(self) -> None:
        """Reload a stale picture. Raises Unavailable when that fails."""
        if self._stale:
            await asyncio.shield(self._reload_once())
            if self._stale:
                raise Unavailable("cannot dump the kernel's rows; the log has the reason")

    async def settle_nexthops(self) -> None:
        """Dump the nexthops if the kernel may have deleted some silently. Raises Unavailable."""
        if self.observer.doubtful:
            await self.load(Kind.NEXTHOP)

    async def load_all(self) -> None:
        """Dump everything that is in the picture. Raises Unavailable."""
        for kind in LOADED:
            await self.load(kind)

    async def load(self, kind: Kind) -> None:
        """Dump the part of the picture that holds `kind`. Raises Unavailable.

        FDBs and neighbors are one part for four kinds. A dump of it counts as current for as long
        as the dump took: a caller that compares one kind after the other needs only one dump, and
        the dump of a small table is new each time.
        """
        layer2 = kind in LAYER2_KINDS
        started_s = time.monotonic()
        if layer2 and started_s < self._layer2_until_s and not self.observer.skipped:
            return
        try:
            await self._dump(kind)
        except DecodeError as error:
            raise Unavailable(f"netlink: cannot decode a dump: {error}") from error
        if layer2:
            ended_s = time.monotonic()
            self._layer2_until_s = ended_s + (ended_s - started_s)

    async def _dump(self, kind: Kind) -> None:
        observer, netns = self.observer, self._netns
        if kind is Kind.PORT:
            observer.load_links(await collect(netns, dump_request()))
            observer.load_addresses(await collect(netns, addresses_request()))
        elif kind in (Kind.NEXTHOP, Kind.ETHERNET_SEGMENT):
            observer.load_nexthops(await collect(netns, nexthops.dump_request()))
        else:
            pieces: list[bytes] = []
            for family in (socket.AF_BRIDGE, socket.AF_INET, socket.AF_INET6):
                pieces += await collect_pieces(netns, neighbors.dump_request(family))
            await observer.load_layer2(pieces)

    def records(self, kind: Kind) -> Iterator[Record]:
        """Yield the complete records of a kind in the kernel. Not for devices and routes."""
        observer = self.observer
        if kind is Kind.NEXTHOP:
            yield from observer.nexthops
        elif kind is Kind.ETHERNET_SEGMENT:
            yield from observer.segments
        else:
            for vni in observer.links.vnis():
                if vxlan := observer.links.vxlan(vni):
                    yield from observer.remote.all(vxlan)[kind]

    async def write(
        self, monitor: Monitor, channel: Channel, requests: Callable[[], Sequence[bytes]]
    ) -> None:
        """Bring the picture up to date, then call `requests` and send what it returns."""
        async with self.turn():
            if self._monitor is not monitor:
                return  # that namespace was just left
            self.catch_up()
            await channel.send(requests())
            self.catch_up()

    def _read(
        self,
        monitor: Monitor,
        own: frozenset[Touched] = frozenset(),
        *,
        built: Collection[str] = (),
    ) -> bool:
        """Apply some notifications; return whether there were any."""
        try:
            data = monitor.read(READS)
            if data:
                self.observer.feed(data, own, built=built)
        except (Overrun, DecodeError) as error:
            log.warning("notifications of the kernel were lost (%s); dumping all rows", error)
            self._stale = True
            self._layer2_until_s = 0.0
            self._reload_once()
            return False
        if self.observer.doubtful and (not self._checking or self._checking.done()):
            self._checking = self._tasks.spawn(self._check_nexthops())
        return bool(data)

    async def _check_nexthops(self) -> None:
        async with self.turn():
            try:
                await self.settle_nexthops()
            except Unavailable as error:
                self._stale = True
                self._fail(error)

    def _reload_once(self) -> asyncio.Task[None]:
        """Start a reload, or return the one that runs."""
        if not self._reloading or self._reloading.done():
            self._reloading = self._tasks.spawn(self._reload())
        return self._reloading

    async def _reload(self) -> None:
        async with self.turn():
            if self._monitor:
                await self._monitor.empty()
            self._stale = False
            try:
                await self.load_all()
            except Unavailable as error:
                self._stale = True
                self._fail(error)
                return
        self.observer.lost_everything()
