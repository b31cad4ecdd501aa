"""Datapath for the kernel: one forwarding namespace, driven by netlink.

Routes, nexthops and layer 2 go through messages of our own, in batches; VRFs, VNIs and ports go to
the layout. What is ours in the kernel has RTPROT_DUALPATH, or is an entry that can only be an
overlay's. Deleting a nexthop makes the kernel delete the routes that use it, silently: whoever
withdraws one has withdrawn those before.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice

from datapaths.base import (
    Batch,
    Capabilities,
    CaughtUp,
    Facts,
    Found,
    Learned,
    Lost,
    PortState,
    RowFailure,
    Unavailable,
    Unsupported,
)
from datapaths.inbox import Inbox
from datapaths.kernel.building import Builder, Devices
from datapaths.kernel.channel import Channel, Monitor, collect
from datapaths.kernel.hosts import LocalHosts
from datapaths.kernel.layout import Layout
from datapaths.kernel.lookup import lookup
from datapaths.kernel.observe import Observer
from datapaths.kernel.plan import Planner, Touched
from datapaths.kernel.routes import ABSENT, RouteWriter, dump_routes, failure
from datapaths.kernel.wire import links, neighbours, nexthops
from datapaths.linux import netns
from dualpath.model.kinds import Kind
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import RouteBatch
from dualpath.netlink import numbers as n
from dualpath.netlink.message import Answer, DecodeError, Message, is_deletion
from dualpath.netlink.socket import Overrun

log = logging.getLogger(__name__)

LAYOUT_KINDS = frozenset({Kind.VRF, Kind.VNI, Kind.PORT})
KINDS = frozenset(Kind) - {Kind.LSP}
GROUPS = (
    n.RTNLGRP_LINK,
    n.RTNLGRP_NEIGH,
    n.RTNLGRP_IPV4_IFADDR,
    n.RTNLGRP_IPV6_IFADDR,
    n.RTNLGRP_IPV4_ROUTE,
    n.RTNLGRP_IPV6_ROUTE,
    n.RTNLGRP_IPV4_RULE,
    n.RTNLGRP_IPV6_RULE,
    n.RTNLGRP_NEXTHOP,
)
READS = 256  # notifications at once, before the event loop gets its turn
DUMP_ROWS = 4096  # records in a batch
FOLLOW_S = 0.2
PROBES = 1000  # hosts asked in a round


@dataclass(frozen=True, slots=True)
class _Sockets:
    channel: Channel
    monitor: Monitor
    routes: RouteWriter
    held: int  # a descriptor of the namespace that they are in
    identity: netns.Identity


class KernelDatapath:
    """Datapath of one forwarding namespace, given by name or path; it has to exist.

    `host_netns` is where "" leads in a record. `devices` stands in for the layout in tests.
    """

    name = "kernel"

    def __init__(self, netns: str, host_netns: str = "", devices: Devices | None = None) -> None:
        self._netns = netns
        self._inbox = Inbox()
        self._builder = Builder(
            netns, host_netns, devices or Layout(netns, host_netns), self._lost_devices
        )
        self._observer = Observer(self._inbox.put)
        self._planner = Planner(
            self._observer.links,
            self._observer.layer2,
            self._observer.nexthops,
            self._observer.segments,
        )
        self._starting = asyncio.Lock()
        self._turn = asyncio.Lock()  # plans look at the picture: nothing may change it meanwhile
        self._sockets: _Sockets | None = None
        self._paused = 0  # notifications wait in the kernel
        self._stale = False  # some were lost
        self._reloading: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None
        self._hosts: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._left = False  # a namespace, since the last picture
        self._lacks: dict[Kind, str] = {}
        self._closed = False

    async def capabilities(self) -> Capabilities:
        """Say what this kernel can do. A kernel without VRF devices takes no Kind.VRF."""
        channel = (await self._ready()).channel
        for kind in ("bridge", "vxlan"):
            if not await _has_link_kind(channel, kind):
                raise Unsupported(f"this kernel has no {kind} devices (CONFIG_{kind.upper()})")
        kinds = KINDS - self._lacks.keys()
        return Capabilities(self.name, os.uname().release, kinds, looks_up=True)

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        """Make every row true; a VRF or device that is not there fails its rows with ENODEV."""
        sockets = await self._ready()
        if isinstance(batch, RouteBatch):
            if not self._paused:
                self._take_notifications(sockets.monitor)
            return await sockets.routes.apply(batch)
        if batch.kind not in KINDS or batch.kind in self._lacks:
            reason = self._lacks.get(batch.kind, f"the kernel takes no {batch.kind.name}")
            return [RowFailure(i, "EOPNOTSUPP", reason) for i in range(len(batch.upserts))]
        async with self._turn:
            self._check_current(sockets)
            with self._pause():
                if batch.kind in LAYOUT_KINDS:
                    return await self._build(sockets, batch)
                return await self._program(sockets, batch)

    async def dump(self, kind: Kind) -> AsyncIterator[Batch]:
        sockets = await self._ready()
        if kind is Kind.ROUTE:
            if not self._paused:
                self._take_notifications(sockets.monitor)
            async for batch in dump_routes(self._netns, self._observer.links):
                yield batch
            return
        records: Iterable[Record] = ()
        if kind in LAYOUT_KINDS:
            records = await self._builder.dump(kind)
        elif kind in KINDS:
            async with self._turn:
                self._check_current(sockets)
                with self._pause():
                    self._take_notifications(sockets.monitor)
                    await self._load(kind)
                records = tuple(self._held(kind))
        for some in _batched(records):
            yield RecordBatch(kind, upserts=some)

    async def ports(self) -> Sequence[PortState]:
        return await self._builder.ports()

    async def look_up(self, vrf: str, address: bytes) -> Found | None:
        sockets = await self._ready()
        if not self._paused:
            self._take_notifications(sockets.monitor)
        return lookup(self._netns, self._observer, vrf, address)

    async def facts(self) -> Facts:
        await self._ready()
        lacks = ", ".join(kind.name for kind in sorted(self._lacks))
        out = ", ".join(f"VNI {vni}: {some}" for vni, some in self._observer.off_subnet().items())
        facts = ("namespace", self._netns), ("without", lacks), ("off-subnet addresses", out)
        return Facts(tuple((name, value) for name, value in facts if value))

    async def learned(self) -> AsyncIterator[Learned]:
        """Yield what is learnt; a second listener takes over from the first."""
        await self._ready()
        reader = self._inbox.open()
        self._observer.replay()
        self._inbox.put(CaughtUp())
        while events := await self._inbox.get(reader):
            for event in events:
                yield event

    async def close(self) -> None:
        """Let go of sockets. What is installed stays and goes on forwarding."""
        if self._closed:
            return
        self._closed = True
        self._inbox.close()
        tasks = self._following, self._reloading, self._checking, self._hosts, self._watching
        for task in tasks:
            if task:
                task.cancel()
                await asyncio.wait([task])
        if self._sockets:
            await self._shut(self._sockets)
        await self._builder.close()

    async def _ready(self) -> _Sockets:
        """Open the sockets and take the first picture, once; a new one when it is out of date."""
        if self._closed:
            raise Unavailable("the kernel datapath is closed")
        async with self._starting:
            if self._sockets and self._is_another_now(self._sockets):
                await self._leave(self._sockets)
            if not self._sockets:
                self._sockets = await self._open()
        if self._stale:
            await asyncio.shield(self._start_over())
            if self._stale:
                raise Unavailable("cannot read what the kernel holds")
        return self._sockets

    def _is_another_now(self, sockets: _Sockets) -> bool:
        """Tell whether another namespace has the name; while none has, ours goes on nameless."""
        return netns.identity(self._netns) not in (sockets.identity, netns.ABSENT)

    def _check_current(self, sockets: _Sockets) -> None:
        if sockets is not self._sockets:
            raise Unavailable(f"namespace {self._netns} is another one now")

    async def _leave(self, sockets: _Sockets) -> None:
        """Leave a namespace that lost its name to another, and take our NICs out of it."""
        log.warning("namespace %s is another one now; opening it", self._netns)
        async with self._turn:
            self._sockets = None
            if self._hosts:
                self._hosts.cancel()
            old = f"/proc/self/fd/{sockets.held}"
            await self._builder.leave(old)
            await self._shut(sockets)
        self._left = True

    async def _shut(self, sockets: _Sockets) -> None:
        asyncio.get_running_loop().remove_reader(sockets.monitor.fileno())
        sockets.monitor.close()
        await sockets.channel.close()
        os.close(sockets.held)

    async def _follow(self) -> None:
        """Notice another namespace of that name though nothing is asked of us."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            with suppress(Unavailable, OSError):  # the next look tries again
                await self._ready()

    async def _open(self) -> _Sockets:
        held = _hold(self._netns)
        try:
            sockets = await self._open_held(held)
        except BaseException:
            os.close(held)
            raise
        if self._left:
            self._left = False
            self._observer.layer2.forget_claims()
            self._observer.lost_everything()
        if not self._following:
            self._following = self._spawn(self._follow())
        return sockets

    async def _open_held(self, held: int) -> _Sockets:
        found = os.fstat(held)
        channel = Channel(self._netns)
        try:
            if missing := await self._builder.prepare():
                log.info("this kernel does not have %s", ", ".join(missing))
            # Listening comes first: what changes after a dump has passed by is told as well.
            monitor = _listen(self._netns, channel.port_id)
        except BaseException:
            await channel.close()
            raise
        try:
            for kind in (Kind.PORT, Kind.NEXTHOP, Kind.MAC):
                await self._load(kind)
            if not await _has_link_kind(channel, "vrf"):
                self._lacks[Kind.VRF] = "this kernel has no VRF devices (CONFIG_NET_VRF)"
        except BaseException:
            await channel.close()
            monitor.close()
            raise
        asyncio.get_running_loop().add_reader(monitor.fileno(), self._notified, monitor)
        hosts = LocalHosts(self._netns, self._observer, partial(self._write, monitor))
        self._hosts = self._spawn(hosts.run())
        self._watching = self._watching or self._spawn(self._builder.follow())
        routes = RouteWriter(channel, self._observer.links)
        return _Sockets(channel, monitor, routes, held, (found.st_dev, found.st_ino))

    async def _load(self, kind: Kind) -> None:
        """Dump what the picture of a kind is made of. Raises Unavailable."""
        try:
            await self._dump_into_picture(kind)
        except DecodeError as error:
            raise Unavailable(f"netlink: what was dumped makes no sense: {error}") from error

    async def _dump_into_picture(self, kind: Kind) -> None:
        if kind is Kind.PORT:
            self._observer.load_links(await collect(self._netns, links.dump_request()))
            self._observer.load_addresses(await collect(self._netns, links.addresses_request()))
        elif kind in (Kind.NEXTHOP, Kind.ETHERNET_SEGMENT):
            self._observer.load_nexthops(await collect(self._netns, nexthops.dump_request()))
        else:
            rows: list[Message] = []
            for family in (socket.AF_BRIDGE, socket.AF_INET, socket.AF_INET6):
                rows += await collect(self._netns, neighbours.dump_request(family))
            self._observer.load_layer2(rows)

    @contextmanager
    def _pause(self) -> Iterator[None]:
        """Let notifications wait in the kernel, for those that we cause to be told apart."""
        if not self._sockets:  # we just left a namespace
            yield
            return
        monitor = self._sockets.monitor
        self._paused += 1
        asyncio.get_running_loop().remove_reader(monitor.fileno())
        try:
            yield
        finally:
            self._paused -= 1
            if not self._paused and not self._closed:
                asyncio.get_running_loop().add_reader(monitor.fileno(), self._notified, monitor)

    def _notified(self, monitor: Monitor) -> None:
        self._read(monitor)

    def _take_notifications(
        self, monitor: Monitor, own: Iterable[Touched] = (), *, built: Collection[str] = ()
    ) -> None:
        """Take all notifications that are there already, such as those that we just caused."""
        keys = frozenset(own)
        while not self._stale and self._read(monitor, keys, built=built):
            pass

    def _read(
        self,
        monitor: Monitor,
        own: frozenset[Touched] = frozenset(),
        *,
        built: Collection[str] = (),
    ) -> bool:
        try:
            data = monitor.read(READS)
        except Overrun:
            log.warning("notifications of the kernel were lost; looking at everything again")
            self._stale = True
            self._start_over()
            return False
        if data:
            self._observer.feed(data, own, built=built)
        if self._observer.doubtful and (not self._checking or self._checking.done()):
            self._checking = self._spawn(self._check_nexthops())
        return bool(data)

    async def _check_nexthops(self) -> None:
        async with self._turn:
            if not self._observer.doubtful:
                return
            with self._pause():
                try:
                    await self._load(Kind.NEXTHOP)
                except Unavailable as error:
                    self._stale = True
                    self._inbox.fail(error)

    async def _write(self, monitor: Monitor, requests: Callable[[], Sequence[bytes]]) -> None:
        """Send what is to be sent in view of all that the kernel has told so far."""
        async with self._turn:
            if not self._sockets or self._sockets.monitor is not monitor:
                return  # we just left that namespace
            with self._pause():
                self._take_notifications(monitor)
                await self._sockets.channel.send(requests())
                self._take_notifications(monitor)

    def _start_over(self) -> asyncio.Task[None]:
        if not self._reloading or self._reloading.done():
            self._reloading = self._spawn(self._reload())
        return self._reloading

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Let whoever listens hear what a task failed with: nobody waits for it."""
        if not task.cancelled() and (error := task.exception()):
            self._inbox.fail(error)

    async def _reload(self) -> None:
        """Take a new picture of everything, since notifications were lost."""
        async with self._turn:
            with self._pause():
                if self._sockets:
                    await self._sockets.monitor.empty()
                self._stale = False
                try:
                    for kind in (Kind.PORT, Kind.NEXTHOP, Kind.MAC):
                        await self._load(kind)
                except Unavailable as error:
                    self._stale = True
                    self._inbox.fail(error)
                    return
        self._observer.lost_everything()

    async def _build(self, sockets: _Sockets, batch: RecordBatch) -> Sequence[RowFailure]:
        self._take_notifications(sockets.monitor)
        return await self._builder.build(
            batch, lambda built: self._take_notifications(sockets.monitor, built=built)
        )

    def _lost_devices(self, kind: Kind) -> None:
        self._inbox.put(Lost(kind))

    async def _program(self, sockets: _Sockets, batch: RecordBatch) -> Sequence[RowFailure]:
        self._take_notifications(sockets.monitor)
        if self._observer.doubtful:
            await self._load(Kind.NEXTHOP)
        plan = self._planner.plan(batch)
        try:
            refused = await sockets.channel.send(plan.requests)
        finally:
            # Notifications of bridges and VXLAN devices do not say who caused them.
            self._take_notifications(sockets.monitor, plan.touched)
        failures = {row.index: row for row in plan.failures}
        for at, said in refused:
            if not self._is_fine(plan.requests[at], said):
                failures.setdefault(plan.rows[at], failure(plan.rows[at], said))
        return [failures[index] for index in sorted(failures)]

    def _is_fine(self, request: bytes, said: Answer) -> bool:
        if is_deletion(request):
            return said.errno in ABSENT
        if said.errno == errno.EAFNOSUPPORT and neighbours.is_mapped(request):
            self._observer.layer2.mapped = False  # no IPv6 in this kernel: nor any route for it
            return True
        return False

    def _held(self, kind: Kind) -> Iterator[Record]:
        if kind is Kind.NEXTHOP:
            yield from self._observer.nexthops
            return
        if kind is Kind.ETHERNET_SEGMENT:
            yield from self._observer.segments
            return
        for vni in self._observer.links.vnis():
            if vxlan := self._observer.links.vxlan(vni):
                yield from self._observer.layer2.remote(vxlan)[kind]


def _hold(space: str) -> int:
    try:
        return netns.hold(space)
    except (FileNotFoundError, NotADirectoryError):
        raise Unavailable(f"there is no network namespace {space}") from None


def _listen(space: str, port_id: int) -> Monitor:
    try:
        return Monitor(space, port_id, GROUPS)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise Unsupported("this kernel has no nexthop objects (Linux 5.3 has)") from error


async def _has_link_kind(channel: Channel, kind: str) -> bool:
    refused = await channel.send([links.probe_request(kind)])
    return all(said.errno != errno.EOPNOTSUPP for _, said in refused)


def _batched(records: Iterable[Record]) -> Iterator[tuple[Record, ...]]:
    rest = iter(records)
    while some := tuple(islice(rest, DUMP_ROWS)):
        yield some
