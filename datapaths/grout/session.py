"""One life of grout: its connections, the picture read from it, and what works on them."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from ipaddress import ip_address
from typing import Self

from datapaths.base import RowFailure, Unavailable, Unsupported
from datapaths.grout.channel import Channel, EventStream, Refused
from datapaths.grout.picture import ids
from datapaths.grout.picture.asking import questions
from datapaths.grout.picture.observe import EVENTS, Observer
from datapaths.grout.ports.taps import Taps
from datapaths.grout.program.fib import FibKeeper
from datapaths.grout.program.overlay import Overlay
from datapaths.grout.program.plan import Plan, Planner
from datapaths.grout.program.routes import RouteWriter
from datapaths.grout.wire import addresses, bridges, nexthops
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.addresses import TYPE
from datapaths.grout.wire.table import DecodeError
from datapaths.linux.ear import FRAMES, PAUSE_S, hear, open_ear
from datapaths.linux.wire.announcements import Announcement, decode
from dualpath.model.kinds import Kind
from dualpath.model.records import RecordBatch
from dualpath.model.routes import Family

log = logging.getLogger(__name__)

FDB_FULL = 0.8
INTERFACES_S = 0.5  # between looks at interfaces
SHARE, LONGEST_S = 8, 10.0  # many interfaces: rest so many times what a look took, up to this
LOOK_S = 2.0  # between looks for remote MACs that turned up here
REST_S = 1.0  # without requests before garbage is removed
ALIVE_S = 5.0  # between questions whether grout still answers
HOSTS_S = 5.0  # between looks whether hosts are to be asked
ROUNDS = 4  # of questions while a neighbour lives that grout has heard from
PACE_S = 0.001  # between questions

NameCheck = Callable[[str], Awaitable[None]]


class Session:
    """Everything that ends when grout does. Raises Unavailable from wherever that is noticed."""

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
        self._turn = asyncio.Lock()  # plans look at the picture: nothing may change it meanwhile

    @classmethod
    async def open(cls, path: str, observer: Observer, check_name: NameCheck) -> Self:
        """Connect and read the picture. Raises Unavailable and Unsupported."""
        channel = await Channel.open(path)
        try:
            events = await EventStream.open(path, EVENTS)  # before the dump: nothing is missed
        except BaseException:
            channel.close()
            raise
        session = cls(channel, events, observer, check_name)
        observer.others.clear()
        observer.hops.claimed.clear()
        try:
            await session.fibs.begin_small()
            await session.load()
        except BaseException as error:
            session.close()
            if isinstance(error, Refused | DecodeError):
                raise Unavailable(f"cannot read what grout holds: {error}") from error
            raise
        return session

    def close(self, why: str = "it was closed") -> None:
        self._events.close()
        self.channel.close(why)

    async def load(self, own: Collection[str] | None = None) -> None:
        """Read everything but routes; the interfaces in `own` we changed ourselves.

        Without `own` nothing is compared: it is another grout.
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

    async def reread(self) -> None:
        """Read all interfaces again: nobody is to depend on events alone."""
        async with self._turn:
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
        entries = await self._fdb()
        floods = self.channel.each("GR_FLOOD_LIST", bridges.encode_flood_list(api))
        found = [bridges.decode_flood(api, row) async for row in floods]
        self.observer.bridges.load(entries, found)

    async def _fdb(self) -> list[bridges.FdbEntry]:
        api = self.channel.api
        rows = self.channel.each("GR_FDB_LIST", bridges.encode_fdb_list(api))
        return [bridges.decode_fdb(api, row) async for row in rows]

    async def program(self, batch: RecordBatch) -> list[RowFailure]:
        """Apply records that are no devices."""
        async with self._turn:
            if batch.kind is Kind.MAC:
                await self._make_room(len(batch.upserts))
            plan = self._planner.plan(batch)
            refused = await self.channel.send(plan.requests)
            failures = {row.index: row for row in plan.failures}
            for at, number in refused:
                failures.setdefault(plan.rows[at], _failure(plan, at, number))
            if refused:  # the picture was drawn as if all went well
                await self._load_nexthops()
                await self._load_bridges()
                self.observer.learning.rescan()
            for record in batch.upserts:
                self.observer.learning.written(record)
            return [failures[index] for index in sorted(failures)]

    async def build(
        self, work: Awaitable[list[RowFailure]], own: Collection[str]
    ) -> list[RowFailure]:
        """Do what changes the devices in `own`, then read what grout holds and tell what was lost.

        Neighbors, MACs and routes go with their device.
        """
        async with self._turn:
            before = self.observer.on_devices()
            try:
                return list(await work)
            finally:
                if not self.channel.broken:
                    await self.load(own)
                    self.observer.tell_losses(before)

    async def watch(self) -> None:
        """Take events until grout is gone. Raises Unavailable then."""
        while True:
            events = await self._events.read()
            async with self._turn:
                for event in events:
                    self.observer.feed(self.channel.api, event)

    async def ask(self) -> None:
        """Ask now and then, however idle: a grout that hangs closes no connection."""
        while True:
            await asyncio.sleep(ALIVE_S)
            await self.channel.call("GR_PING")

    async def look_at_interfaces(self) -> None:
        """Compare interfaces with the picture; grout tells nobody of a changed description."""
        loop, rest_s = asyncio.get_running_loop(), INTERFACES_S
        while True:
            await asyncio.sleep(rest_s)
            async with self._turn:
                began_s = loop.time()
                self.observer.compare(await self.overlay.interfaces())
                rest_s = min(max(INTERFACES_S, SHARE * (loop.time() - began_s)), LONGEST_S)

    async def look_for_moves(self) -> None:
        """Let grout relearn remote MACs that turned up on a local port."""
        while True:
            await asyncio.sleep(LOOK_S)
            async with self._turn:
                self.observer.return_disproved()
            if not any(True for _ in self.observer.bridges.macs()):
                continue
            async with self._turn:
                for entry in self.observer.bridges.turned_up(await self._fdb()):
                    await self._relearn(entry)

    async def _relearn(self, entry: bridges.FdbEntry) -> None:
        """Let grout learn a MAC that is no longer remote."""
        log.info("MAC %s is no longer remote: it speaks here", entry.mac.hex(":"))
        payload = bridges.encode_fdb_del(self.channel.api, entry.bridge, entry.mac)
        with suppress(Refused):
            await self.channel.call("GR_FDB_DEL", payload)
        self.observer.bridges.move(entry)

    async def hear_hosts(self, home: Callable[[], str]) -> None:
        """Let hosts take over addresses that are remote, as soon as they announce them."""
        while True:
            try:
                where = await asyncio.to_thread(home)
                with open_ear(where) as ear, Taps(where) as wires:
                    await self._hear(ear, wires)
            except (OSError, Unsupported) as error:
                log.debug("cannot hear hosts: %s", error)
            await asyncio.sleep(HOSTS_S)

    async def _hear(self, ear: socket.socket, wires: Taps) -> None:
        while True:
            frames = await hear(ear)
            for frame, source in frames:
                said = decode(frame)
                if said and self.observer.claims.claim(source[0], said):  # nearly none is
                    async with self._turn:
                        await self._heard(source[0], said, frame, wires)
            if len(frames) == FRAMES:
                await asyncio.sleep(PAUSE_S)

    async def _heard(self, device: str, said: Announcement, frame: bytes, wires: Taps) -> None:
        """Take out what a host's announcement is in conflict with, and let grout hear it again."""
        claim = self.observer.claims.claim(device, said)
        if not claim:
            return
        if claim.entry:
            await self._relearn(claim.entry)
        if claim.neighbor:
            address = ip_address(said.address)
            log.info("%s is no longer remote: %s has it here", address, said.mac.hex(":"))
            await self.channel.send(self._planner.claim(claim.neighbor))
        if claim.wire:
            wires.send(claim.wire, frame)

    async def keep_hosts(self, home: Callable[[], str]) -> None:
        """Ask hosts long before grout would; `home` is the namespace that it is in."""
        loop = asyncio.get_running_loop()
        asked_at = -math.inf
        while True:
            await asyncio.sleep(HOSTS_S)
            answer = await self.channel.call("GR_NH_CONFIG_GET")
            config = self.channel.api.one("gr_nh_config_get_resp", answer)
            if loop.time() - asked_at < int(config["lifetime_reachable_sec"]) / ROUNDS:
                continue
            asked_at = loop.time()
            await self._forget_failed()
            await self._ask_hosts(home)

    async def _forget_failed(self) -> None:
        """Look for neighbours that grout has given up: it says so to nobody."""
        api = self.channel.api
        async with self._turn:
            payload = nexthops.encode_list(api, type_=n.GR_NH_T_L3)
            for run in await self.channel.collect("GR_NH_LIST", payload):
                for nexthop in nexthops.given_up(api, run.payloads):
                    if isinstance(nexthop.info, nexthops.L3):
                        self.observer.learning.neighbor_told(nexthop.iface, nexthop.info, gone=True)

    async def _ask_hosts(self, home: Callable[[], str]) -> None:
        observer = self.observer
        try:
            # Only the search goes to a thread: what a thread opens is lost when we are cancelled.
            where = await asyncio.to_thread(home)
            taps = Taps(where)
        except (OSError, Unsupported) as error:
            log.warning("cannot ask hosts whether they are there: %s", error)
            return
        with taps:
            for name, frame in questions(observer.ifaces, observer.bridges, observer.learning):
                taps.send(name, frame)
                await asyncio.sleep(PACE_S)

    async def collect_garbage(self) -> None:
        """Remove emptied groups and parked hops, one at a time, while nothing happens."""
        loop = asyncio.get_running_loop()
        hops = self.observer.hops
        while True:
            garbage = bool(hops.dying or hops.parked)
            if not garbage or loop.time() - self.channel.used_at < REST_S:
                await asyncio.sleep(REST_S)
                continue
            async with self._turn:
                await self._remove_one()

    async def _remove_one(self) -> None:
        hops, used_at = self.observer.hops, self.channel.used_at
        if hops.dying:
            nh_id = ids.group_of(hops.dying.pop())
        elif hops.parked:
            nh_id = hops.parked.pop()
        else:
            return
        with suppress(Refused):
            await self.channel.call("GR_NH_DEL", nexthops.encode_del(self.channel.api, nh_id))
        self.channel.used_at = used_at  # this is no use

    async def _make_room(self, macs: int) -> None:
        """Have a larger FDB before it is full: grout starts with 4096 entries."""
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
            log.warning("grout refuses room for %d MACs: %s", limit, refused)
        else:
            self._fdb_limit = limit
            log.info("room for %d MACs", limit)


def _failure(plan: Plan, at: int, number: int) -> RowFailure:
    type_ = plan.requests[at][0]
    refused = Refused(type_, number)
    return RowFailure(plan.rows[at], refused.name, str(refused))
