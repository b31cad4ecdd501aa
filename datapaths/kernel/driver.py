"""Datapath for the kernel: one forwarding namespace, driven by netlink.

Routes, nexthops and layer 2 are netlink messages in batches (`routes.py`, `recordwriter.py`); VRFs,
VNIs and ports are devices (`building.py`). A row is ours if it has RTPROT_DUALPATH, or if only an
overlay can have it (FDB entries). The kernel deletes a nexthop together with its routes, without
notifications: so callers withdraw the routes first.

If the namespace is deleted and created again, the driver leaves the old one, opens sockets in the
new one, and reports everything as lost.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import suppress
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
from datapaths.kernel.channel import Channel, Monitor
from datapaths.kernel.hosts import LocalHosts
from datapaths.kernel.layout import Layout
from datapaths.kernel.lookup import lookup
from datapaths.kernel.picture import Picture
from datapaths.kernel.recordwriter import RecordWriter
from datapaths.kernel.routes import RouteWriter, dump_routes
from datapaths.kernel.tasks import Tasks
from datapaths.kernel.wire import links
from datapaths.linux import netns
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import RouteBatch
from dualpath.netlink import numbers as n

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
DUMP_ROWS = 4096  # records in a batch
FOLLOW_S = 0.2


@dataclass(frozen=True, slots=True)
class _Sockets:
    channel: Channel
    monitor: Monitor
    routes: RouteWriter
    descriptor: int  # of the namespace that they are in
    identity: netns.Identity


class KernelDatapath:
    """Datapath of one forwarding namespace, given by name or path; it must exist.

    `host_netns` is the namespace that "" means in a record. Tests pass their own `devices`.
    """

    name = "kernel"

    def __init__(self, netns: str, host_netns: str = "", devices: Devices | None = None) -> None:
        self._netns = netns
        self._inbox = Inbox()
        self._tasks = Tasks(self._inbox.fail)
        self._builder = Builder(
            netns,
            host_netns,
            devices or Layout(netns, host_netns),
            lambda kind: self._inbox.put(Lost(kind)),
        )
        self._picture = Picture(netns, self._inbox.put, self._inbox.fail, self._tasks)
        self._records = RecordWriter(self._picture)
        self._starting = asyncio.Lock()
        self._sockets: _Sockets | None = None
        self._hosts: asyncio.Task[None] | None = None
        self._local: LocalHosts | None = None  # what that task runs
        self._following = False
        self._left = False  # a namespace, since the last picture
        self._lacks: dict[Kind, str] = {}
        self._closed = False

    async def capabilities(self) -> Capabilities:
        """Return what this kernel can do. A kernel without VRF devices lacks Kind.VRF."""
        channel = (await self._ready()).channel
        for kind in ("bridge", "vxlan"):
            if not await _has_link_kind(channel, kind):
                raise Unsupported(f"this kernel has no {kind} devices (CONFIG_{kind.upper()})")
        kinds = KINDS - self._lacks.keys()
        return Capabilities(self.name, os.uname().release, kinds, looks_up=True)

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        """Apply a batch; rows of a VRF or device that does not exist fail with ENODEV."""
        sockets = await self._ready()
        if isinstance(batch, RouteBatch):
            self._picture.look()
            return await sockets.routes.apply(batch)
        if batch.kind not in KINDS or batch.kind in self._lacks:
            reason = self._lacks.get(batch.kind, f"the kernel has no {batch.kind.name} rows")
            return [RowFailure(i, errno.EOPNOTSUPP, reason) for i in range(len(batch.upserts))]
        async with self._picture.turn():
            self._check_current(sockets)
            if batch.kind in LAYOUT_KINDS:
                self._picture.catch_up()
                return await self._builder.build(
                    batch, lambda built: self._picture.catch_up(built=built)
                )
            failures = await self._records.apply(sockets.channel, batch)
        if self._local and batch.kind is Kind.MAC:
            self._local.withdrawn([mac for mac in batch.withdrawals if isinstance(mac, Mac)])
        return failures

    async def dump(self, kind: Kind) -> AsyncIterator[Batch]:
        sockets = await self._ready()
        if kind is Kind.ROUTE:
            self._picture.look()
            async for batch in dump_routes(self._netns, self._picture.observer.links):
                yield batch
            return
        records: Iterable[Record] = ()
        if kind in LAYOUT_KINDS:
            records = await self._builder.dump(kind)
        elif kind in KINDS:
            async with self._picture.turn():
                self._check_current(sockets)
                self._picture.catch_up()
                await self._picture.load(kind)
                records = tuple(self._picture.records(kind))
        for some in _batched(records):
            yield RecordBatch(kind, upserts=some)

    async def ports(self) -> Sequence[PortState]:
        return await self._builder.ports()

    async def look_up(self, vrf: str, address: bytes) -> Found | None:
        await self._ready()
        self._picture.look()
        return lookup(self._netns, self._picture.observer, vrf, address)

    async def facts(self) -> Facts:
        await self._ready()
        lacks = ", ".join(kind.name for kind in sorted(self._lacks))
        left_out = self._picture.observer.off_subnet()
        out = ", ".join(f"VNI {vni}: {some}" for vni, some in left_out.items())
        facts = ("namespace", self._netns), ("without", lacks), ("off-subnet addresses", out)
        return Facts(tuple((name, value) for name, value in facts if value))

    async def learned(self) -> AsyncIterator[Learned]:
        """Yield learned events. A second listener replaces the first."""
        await self._ready()
        reader = self._inbox.open()
        self._picture.observer.replay()
        self._inbox.put(CaughtUp())
        while events := await self._inbox.get(reader):
            for event in events:
                yield event

    async def close(self) -> None:
        """Close the sockets. Everything installed stays, and keeps forwarding."""
        if self._closed:
            return
        self._closed = True
        self._inbox.close()
        self._picture.detach()
        await self._tasks.close()
        if self._sockets:
            await self._shut(self._sockets)
        await self._builder.close()

    # -- the namespace --------------------------------------------------------------------

    async def _ready(self) -> _Sockets:
        """Return sockets in the namespace of our name, after bringing the picture up to date."""
        if self._closed:
            raise Unavailable("the kernel datapath is closed")
        async with self._starting:
            if self._sockets and self._is_another_now(self._sockets):
                await self._leave(self._sockets)
            if not self._sockets:
                self._sockets = await self._open()
        await self._picture.ensure_fresh()
        return self._sockets

    def _is_another_now(self, sockets: _Sockets) -> bool:
        """Return whether another namespace has our name now.

        While no namespace has the name, ours continues to forward without one.
        """
        return netns.identity(self._netns) not in (sockets.identity, netns.ABSENT)

    def _check_current(self, sockets: _Sockets) -> None:
        if sockets is not self._sockets:
            raise Unavailable(f"namespace {self._netns} was replaced by another")

    async def _leave(self, sockets: _Sockets) -> None:
        """Leave a namespace whose name another one has now, and give back the NICs in it."""
        log.warning("namespace %s was replaced by another; programming the new one", self._netns)
        async with self._picture.turn(pause=False):
            self._sockets = None
            self._picture.detach()
            if self._hosts:
                self._hosts.cancel()
            await self._builder.leave(f"/proc/self/fd/{sockets.descriptor}")
            await self._shut(sockets)
        self._left = True

    async def _shut(self, sockets: _Sockets) -> None:
        sockets.monitor.close()
        await sockets.channel.close()
        os.close(sockets.descriptor)

    async def _follow(self) -> None:
        """Notice that the namespace was replaced, even if nobody calls a method."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            with suppress(Unavailable, OSError):  # the next look tries again
                await self._ready()

    async def _open(self) -> _Sockets:
        descriptor = _keep_alive(self._netns)
        try:
            sockets = await self._open_sockets(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if self._left:
            self._left = False
            self._picture.observer.layer2.forget_claims()
            self._picture.observer.lost_everything()
        if not self._following:
            self._following = True
            self._tasks.spawn(self._follow())
            self._tasks.spawn(self._builder.follow())
        return sockets

    async def _open_sockets(self, descriptor: int) -> _Sockets:
        found = os.fstat(descriptor)
        channel = Channel(self._netns)
        try:
            if missing := await self._builder.prepare():
                log.info("this kernel lacks the settings %s; skipping them", ", ".join(missing))
            # Listen before the dump: a change that the dump misses is then a notification.
            monitor = _listen(self._netns, channel.port_id)
        except BaseException:
            await channel.close()
            raise
        try:
            await self._picture.load_all()
            if not await _has_link_kind(channel, "vrf"):
                self._lacks[Kind.VRF] = "this kernel has no VRF devices (CONFIG_NET_VRF)"
        except BaseException:
            await channel.close()
            monitor.close()
            raise
        self._picture.attach(monitor)
        observer = self._picture.observer
        write = partial(self._picture.write, monitor, channel)
        hosts = LocalHosts(self._netns, observer, write, self._builder.legs)
        self._local, self._hosts = hosts, self._tasks.spawn(hosts.run())
        routes = RouteWriter(channel, observer.links)
        return _Sockets(channel, monitor, routes, descriptor, (found.st_dev, found.st_ino))


def _keep_alive(name: str) -> int:
    try:
        return netns.keep_alive(name)
    except (FileNotFoundError, NotADirectoryError):
        raise Unavailable(f"no network namespace {name}") from None


def _listen(name: str, port_id: int) -> Monitor:
    try:
        return Monitor(name, port_id, GROUPS)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise Unsupported(
            "this kernel has no nexthop objects; Linux 5.3 or later has them"
        ) from error


async def _has_link_kind(channel: Channel, kind: str) -> bool:
    refused = await channel.send([links.probe_request(kind)])
    return all(answer.errno != errno.EOPNOTSUPP for _, answer in refused)


def _batched(records: Iterable[Record]) -> Iterator[tuple[Record, ...]]:
    rest = iter(records)
    while some := tuple(islice(rest, DUMP_ROWS)):
        yield some
