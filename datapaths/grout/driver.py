"""The grout datapath: one grout, driven over its UNIX socket.

Calls raise Unavailable while grout is not running or hangs. The driver connects again by itself,
and then reports everything as lost, so that the controller programs it again. Dualpath recognizes
its own objects in grout by the origin of nexthops and routes, and by the mark of interfaces.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

from datapaths.base import (
    Batch,
    Capabilities,
    Facts,
    Feature,
    FibUse,
    Found,
    Learned,
    Lost,
    NodeStats,
    PortState,
    RowFailure,
    Unavailable,
)
from datapaths.grout.channel import Refused
from datapaths.grout.client import GroutClient
from datapaths.grout.picture.observe import Observer
from datapaths.grout.ports.drift import DeviceDrift, devices_of
from datapaths.grout.ports.placement import Places
from datapaths.grout.ports.ports import Ports
from datapaths.grout.process import memory
from datapaths.grout.program.routes import dump_routes
from datapaths.grout.upkeep import (
    announcements,
    arrivals,
    departures,
    following,
    garbage,
    hosts,
    moves,
)
from datapaths.grout.wire import stats
from datapaths.grout.wire.table import DecodeError
from datapaths.inbox import Inbox
from datapaths.linux.netns import entered
from dualpath.model.kinds import Kind
from dualpath.model.links import Vni
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import RouteBatch

log = logging.getLogger(__name__)

KINDS = frozenset(Kind) - {Kind.LSP, Kind.ETHERNET_SEGMENT}  # an FDB entry has one VTEP
LACKS = frozenset({Feature.STICKY, Feature.ROUTER_FLAG, Feature.SHARED_PREFIX})
DEVICE_KINDS = frozenset({Kind.VRF, Kind.VNI, Kind.PORT})
DUMP_ROWS = 4096  # records in a batch
BATCH_ROWS = 16384  # routes: four batches of the channel's, of which two are in flight
RETRY_S = 0.5  # between two attempts to connect

PlacesOf = Callable[[], Places]


class GroutDatapath:
    """Datapath of the grout at a socket.

    `places` returns the namespaces that ports have devices in, and `home` grout's own ("": this
    one). The driver calls `silenced` when grout died or hangs.
    """

    name = "grout"

    def __init__(
        self,
        path: str,
        places: PlacesOf,
        home: Callable[[], str] = str,
        silenced: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = path
        self._places = places
        self._home = home
        self._silenced = silenced
        self._inbox = Inbox()
        self._drift = DeviceDrift(places, lambda kind: self._inbox.put(Lost(kind)))
        self._observer = Observer(self._inbox.put)
        self._client: GroutClient | None = None
        self._starting = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    async def capabilities(self) -> Capabilities:
        """Return which grout this is. Raises Unsupported for an unknown API version."""
        api = (await self._ready()).channel.api
        return Capabilities(self.name, api.release, KINDS, LACKS, BATCH_ROWS, looks_up=True)

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        """Apply every row; a row whose VRF, VNI or interface is missing fails with ENODEV."""
        client = await self._ready()
        if isinstance(batch, RouteBatch):
            return await client.routes.apply(batch)
        if batch.kind not in KINDS:
            reason = f"grout has no {batch.kind.name} rows"
            return [RowFailure(i, errno.EOPNOTSUPP, reason) for i in range(len(batch.upserts))]
        try:
            if batch.kind in DEVICE_KINDS:
                return await self._build(client, batch)
            return await client.program(batch)
        except (Refused, DecodeError) as error:
            raise Unavailable(f"grout: {error}") from error

    async def dump(self, kind: Kind) -> AsyncIterator[Batch]:
        client = await self._ready()
        if kind is Kind.ROUTE:
            observer = self._observer
            async for batch in dump_routes(
                client.channel, observer.ifaces, observer.hops, observer.others
            ):
                yield batch
            return
        for some in _batched(await self._held(client, kind)):
            yield RecordBatch(kind, upserts=some)

    async def ports(self) -> Sequence[PortState]:
        return await self._ports(await self._ready()).states()

    async def look_up(self, vrf: str, address: bytes) -> Found | None:
        return await (await self._ready()).look_up(vrf, address)

    async def facts(self) -> Facts:
        client = await self._ready()
        api = client.channel.api
        try:
            graph = await client.channel.call("GR_STATS_GET", stats.encode_stats_get(api))
            fdb = api.one("gr_fdb_config_get_resp", await client.channel.call("GR_FDB_CONFIG_GET"))
            nexthops = api.one(
                "gr_nh_config_get_resp", await client.channel.call("GR_NH_CONFIG_GET")
            )
            fibs = await client.fibs.read_all()
        except Refused as error:
            raise Unavailable(str(error)) from error
        ifaces = self._observer.ifaces
        left_out = self._observer.learning.admission.left_out()
        out = ", ".join(f"VNI {vni}: {some}" for vni, some in left_out.items())
        return Facts(
            values=(
                ("grout", api.release),
                ("api version", str(api.version)),
                ("memory", await asyncio.to_thread(memory, Path(self._path))),
                ("socket", self._path),
                ("MACs", f"{fdb['used_entries']} of {fdb['max_entries']}"),
                ("nexthops", f"{nexthops['used_count']} of {nexthops['max_count']}"),
                *([("off-subnet addresses", out)] if out else []),
            ),
            fibs=tuple(
                FibUse(
                    ifaces.vrf_name(fib.vrf),
                    fib.family,
                    fib.used_routes,
                    fib.max_routes,
                    fib.num_tbl8,
                )
                for fib in fibs
            ),
            nodes=tuple(
                NodeStats(node.name, node.packets, node.batches, node.cycles)
                for node in stats.decode_stats(api, graph)
            ),
        )

    async def learned(self) -> AsyncIterator[Learned]:
        """Yield what grout learns; a second listener ends the first one's stream."""
        await self._ready()
        reader = self._inbox.open()
        self._observer.replay()
        while events := await self._inbox.get(reader):
            for event in events:
                yield event

    async def close(self) -> None:
        """Close the sockets. grout keeps all rows, and keeps forwarding."""
        self._closed = True
        self._inbox.close()
        for task in (self._keeper, self._watching):
            if task:
                task.cancel()
                await asyncio.wait([task])
        if self._client:
            self._client.close()
            self._client = None

    @property
    def silent(self) -> str:
        """The reason why grout no longer answers, "" while it does."""
        return self._client.channel.broken if self._client else ""

    async def _build(self, client: GroutClient, batch: RecordBatch) -> list[RowFailure]:
        """Apply a batch of devices, and report those that another program changed meanwhile."""
        await self._drift.watch(batch.upserts)
        own = devices_of((*batch.upserts, *batch.withdrawals))
        with self._drift.paused():
            if batch.kind is Kind.PORT:
                failures = await client.build(self._ports(client).apply(batch), own)
            else:
                failures = await client.build(client.overlay.apply(batch), own)
                await self._ensure_taps(client, batch)
            self._drift.forget(batch.withdrawals)
            await self._drift.look(own)
        if batch.kind is Kind.PORT:  # grout's own events report the other kinds
            failed = {failure.index for failure in failures}
            made = {record for i, record in enumerate(batch.upserts) if i not in failed}
            if not made <= set(await self._ports(client).dump()):
                self._inbox.put(Lost(Kind.PORT))
        return failures

    async def _ensure_taps(self, client: GroutClient, batch: RecordBatch) -> None:
        vnis = (record for record in batch.upserts if isinstance(record, Vni))
        taps = [tap for vni in vnis if (tap := client.overlay.tap(vni))]
        if taps:
            with suppress(OSError):  # a missing TAP shows in the next comparison
                await asyncio.to_thread(self._places().ensure_taps, taps)

    def _ports(self, client: GroutClient) -> Ports:
        return Ports(client.channel, self._places)

    async def _held(self, client: GroutClient, kind: Kind) -> Iterable[Record]:
        observer = self._observer
        match kind:
            case Kind.VRF:
                await client.compare_interfaces()
                return await client.overlay.dump_vrfs()
            case Kind.VNI:
                await client.compare_interfaces()
                return await self._vnis(client)
            case Kind.PORT:
                ports = await self._ports(client).dump()
                await self._drift.watch(ports)
                return ports
            case Kind.REMOTE_VTEP:
                return list(observer.hops.remote_vteps())
            case Kind.FLOOD:
                return list(observer.bridges.floods)
            case Kind.MAC:
                return list(observer.bridges.macs())
            case Kind.NEIGHBOR:
                return list(observer.hops.neighbors())
            case Kind.NEXTHOP:
                return list(observer.hops.records.values())
            case _:
                return ()

    async def _vnis(self, client: GroutClient) -> list[Vni]:
        """Return the VNIs; one is broken when the TAP of its bridge passes no frames."""
        vnis = await client.overlay.dump_vnis()
        taps = {vni: client.overlay.tap(vni) for vni in vnis}
        faulty = await asyncio.to_thread(self._places().faulty_taps, filter(None, taps.values()))
        return [replace(vni, local=b"") if taps[vni] in faulty else vni for vni in vnis]

    async def _ready(self) -> GroutClient:
        """Return the client, connecting the first time. Raises Unavailable while grout is away."""
        if self._closed:
            raise Unavailable("the grout datapath is closed")
        async with self._starting:
            client = self._client
            if client and not client.channel.broken:
                return client
            if self._keeper and not self._keeper.done():
                raise Unavailable(self.silent)
            self._client = await self._open()
            self._keeper = asyncio.get_running_loop().create_task(self._keep(self._client))
            self._watching = self._watching or asyncio.create_task(self._drift.run())
            return self._client

    async def _open(self) -> GroutClient:
        return await GroutClient.open(self._path, self._observer, self._check_name)

    async def _keep(self, client: GroutClient) -> None:
        """Serve one grout after the other."""
        while True:
            reason = await self._until_gone(client)
            log.warning("no connection to grout at %s: %s", self._path, reason)
            client.close(reason)
            self._silenced()
            self._observer.lost_everything()  # makes the controller call, and get Unavailable
            client = await self._reopen()
            self._client = client
            log.info("grout at %s answers again; comparing all rows", self._path)
            self._observer.lost_everything()

    async def _until_gone(self, client: GroutClient) -> str:
        """Run the upkeep of one grout until any part of it fails; return why."""
        arrived = arrivals.Arrivals(client, lambda: self._drift.legs)
        left = departures.Departures(client, lambda: self._drift.legs, arrived.behind_leg)
        return await _first_error(
            [
                following.receive_events(client),
                following.check_alive(client),
                following.compare_interfaces(client),
                moves.watch_moves(client),
                garbage.collect_garbage(client),
                hosts.probe_hosts(client, self._home),
                announcements.hear_hosts(client, self._home, arrived),
                left.watch(),
                left.forget(),
                arrived.run(),
            ]
        )

    async def _reopen(self) -> GroutClient:
        while True:
            with suppress(Unavailable):
                return await self._open()
            await asyncio.sleep(RETRY_S)

    async def _check_name(self, name: str) -> None:
        if await asyncio.to_thread(_is_taken, self._home(), name):
            reason = f"a device {name} exists in grout's namespace already; rename or remove it"
            raise FileExistsError(17, reason)


async def _first_error(work: Sequence[Coroutine[None, None, None]]) -> str:
    """Run coroutines that never return until one fails; return why."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        error = next(task.exception() for task in done)
        if not isinstance(error, Unavailable | Refused | DecodeError):
            raise error or RuntimeError("the upkeep ended without an error")
        return str(error)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _is_taken(home: str, name: str) -> bool:
    try:
        with entered(home), suppress(OSError):
            socket.if_nametoindex(name)
            return True
    except OSError as error:  # the namespace is gone with its grout
        raise Unavailable(f"cannot look into grout's namespace: {error}") from error
    return False


def _batched(records: Iterable[Record]) -> Iterator[tuple[Record, ...]]:
    rest = iter(records)
    while some := tuple(islice(rest, DUMP_ROWS)):
        yield some
