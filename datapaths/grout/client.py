"""One connected grout: its two connections, the picture of its tables, and the writers.

A GroutClient lives as long as its grout. The next grout gets a new client, which reads everything
again. The observer, which keeps the picture and reports to the driver's listener, is kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Self

from datapaths.base import Found, RowFailure, Unavailable
from datapaths.grout.channel import Channel, EventStream, Refused
from datapaths.grout.picture import lookup
from datapaths.grout.picture.observe import EVENTS, Observer
from datapaths.grout.program.fib import FibKeeper
from datapaths.grout.program.overlay import Overlay
from datapaths.grout.program.plan import Plan, Planner
from datapaths.grout.program.routes import RouteWriter
from datapaths.grout.wire import addresses, bridges, nexthops
from datapaths.grout.wire.addresses import TYPE
from datapaths.grout.wire.frames import Event
from datapaths.grout.wire.table import DecodeError
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Neighbor
from dualpath.model.records import RecordBatch
from dualpath.model.routes import Family

log = logging.getLogger(__name__)

FDB_FULL = 0.8

NameCheck = Callable[[str], Awaitable[None]]


class GroutClient:
    """Everything that ends with grout. Any method raises Unavailable when grout is gone."""

    def __init__(
        self, channel: Channel, events: EventStream, observer: Observer, check_name: NameCheck
    ) -> None:
        self.channel = channel
        self._events = events
        self.observer = observer
        self.overlay = Overlay(channel, observer.ifaces, check_name)
        self.fibs = FibKeeper(channel, observer.ifaces)
        self.routes = RouteWriter(
            channel, observer.ifaces, observer.hops, self.fibs, observer.others
        )
        self._planner = Planner(channel.api, observer.ifaces, observer.hops, observer.bridges)
        self._fdb_limit = 0
        self.turn = asyncio.Lock()  # the picture must not change while a batch is planned

    @classmethod
    async def open(cls, path: str, observer: Observer, check_name: NameCheck) -> Self:
        """Connect and read the picture. Raises Unavailable and Unsupported."""
        channel = await Channel.open(path)
        try:
            events = await EventStream.open(path, EVENTS)  # before the dump: no event is missed
        except BaseException:
            channel.close()
            raise
        client = cls(channel, events, observer, check_name)
        observer.others.clear()
        observer.hops.taken_over.clear()
        try:
            await client.fibs.begin_small()
            await client.load()
        except BaseException as error:
            client.close()
            if isinstance(error, Refused | DecodeError):
                raise Unavailable(f"cannot read grout's tables: {error}") from error
            raise
        return client

    def close(self, why: str = "it was closed") -> None:
        self._events.close()
        self.channel.close(why)

    async def events(self) -> list[Event]:
        """Wait for events, and return all that have arrived."""
        return await self._events.read()

    async def load(self, own: Collection[str] | None = None) -> None:
        """Read all tables except routes. This process changed the interfaces in `own`.

        With `own` None, compare nothing: this is another grout.
        """
        found = await self.overlay.load()
        if own is None:
            self.observer.ifaces.clear()
        self.observer.compare(found, own or ())
        await self._load_nexthops()
        await self._load_bridges()
        self.observer.forget_local()
        api = self.channel.api
        for family in Family:
            payload = addresses.encode_list(api, family)
            async for row in self.channel.each(f"{TYPE[family]}_ADDR_LIST", payload):
                self.observer.load_local(api, family, row)
        self.observer.ports_changed()
        self.observer.learning.rescan()

    async def compare_interfaces(self) -> None:
        """Read all interfaces and compare them with the picture; some changes cause no event."""
        async with self.turn:
            self.observer.compare(await self.overlay.interfaces())

    async def _load_nexthops(self) -> None:
        api = self.channel.api
        rows = self.channel.each("GR_NH_LIST", nexthops.encode_list(api))
        found = [nexthops.decode(api, row) async for row in rows]
        self.observer.hops.load(found)
        self.observer.learning.clear()
        for nexthop in found:
            if isinstance(nexthop.info, nexthops.L3) and nexthop.info.address:
                self.observer.learning.note(nexthop.iface, nexthop.info)

    async def _load_bridges(self) -> None:
        api = self.channel.api
        entries = await self.fdb()
        floods = self.channel.each("GR_FLOOD_LIST", bridges.encode_flood_list(api))
        found = [bridges.decode_flood(api, row) async for row in floods]
        self.observer.bridges.load(entries, found)

    async def fdb(self) -> list[bridges.FdbEntry]:
        """Read all forwarding entries of all bridges."""
        api = self.channel.api
        rows = self.channel.each("GR_FDB_LIST", bridges.encode_fdb_list(api))
        return [bridges.decode_fdb(api, row) async for row in rows]

    async def program(self, batch: RecordBatch) -> list[RowFailure]:
        """Apply a batch of records other than devices."""
        async with self.turn:
            if batch.kind is Kind.MAC:
                await self._make_room(len(batch.upserts))
            plan = self._planner.plan(batch)
            refused = await self.channel.send(plan.requests)
            failures = {row.index: row for row in plan.failures}
            for at, number in refused:
                failures.setdefault(plan.rows[at], _failure(plan, at, number))
            if refused:  # the plan updated the picture as if grout accepted every request
                await self._load_nexthops()
                await self._load_bridges()
                self.observer.learning.rescan()
            for record in batch.upserts:
                self.observer.learning.written(record)
            return [failures[index] for index in sorted(failures)]

    async def build(
        self, work: Awaitable[list[RowFailure]], own: Collection[str]
    ) -> list[RowFailure]:
        """Run `work`, which changes the devices in `own`; then report rows lost with them.

        grout removes neighbors, MACs and nexthops with their device, and sends no event about what
        this process caused.
        """
        async with self.turn:
            before = self.observer.on_devices()
            try:
                return list(await work)
            finally:
                if not self.channel.broken:
                    await self.load(own)
                    self.observer.report_losses(before)

    async def release_neighbor(self, neighbor: Neighbor) -> None:
        """Remove a remote neighbor so that grout can learn the local host with its address."""
        await self.channel.send(self._planner.release(neighbor))

    async def look_up(self, vrf: str, address: bytes) -> Found | None:
        """Ask grout which route covers an address; None when none does."""
        if not (request := lookup.request(self.channel.api, self.observer, vrf, address)):
            return None
        try:
            payload = await self.channel.call(*request)
            return lookup.found(self.channel.api, self.observer, payload, address)
        except Refused as error:
            if error.errno in lookup.NO_ROUTE:
                return None
            raise Unavailable(f"grout: {error}") from error
        except DecodeError as error:
            raise Unavailable(f"cannot decode grout's answer to a lookup: {error}") from error

    async def _make_room(self, macs: int) -> None:
        """Enlarge grout's FDB before `macs` more entries fill it; it starts with 4096."""
        api = self.channel.api
        if self._fdb_limit and len(self.observer.bridges) + macs <= FDB_FULL * self._fdb_limit:
            return
        answer = await self.channel.call("GR_FDB_CONFIG_GET")
        config = api.one("gr_fdb_config_get_resp", answer)
        self._fdb_limit = int(config["max_entries"])
        wanted = int(config["used_entries"]) + macs
        if wanted <= FDB_FULL * self._fdb_limit:
            return
        limit = 1 << (2 * wanted - 1).bit_length()
        try:
            request = api.pack("gr_fdb_config_set_req", max_entries=limit)
            await self.channel.call("GR_FDB_CONFIG_SET", request)
        except Refused as refused:
            log.warning("grout refused an FDB for %d MACs: %s; keeping its size", limit, refused)
        else:
            self._fdb_limit = limit
            log.info("enlarged grout's FDB to %d MACs", limit)


def _failure(plan: Plan, at: int, number: int) -> RowFailure:
    type_ = plan.requests[at][0]
    refused = Refused(type_, number)
    return RowFailure(plan.rows[at], number, str(refused))
