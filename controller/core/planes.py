"""Forwarding planes: one or two datapaths that are programmed with the same desired state.

A plane is a datapath with its `State` and its `Reconciler`. Normally there is one, and this module
only forwards calls. `dualpath switch` adds a second:

    events of frr-bridge, intent --> Planes --+--> State --> Reconciler --> kernel   (active)
                                              +--> State --> Reconciler --> grout    (standby)

The second State is a fork of the first: it starts with the same desired rows and receives every
later event, so both desire the same. Each plane has its own programmed and observed rows. Only the
active plane acknowledges routes to zebra and writes the journal.

Rejected: one table with two `programmed` columns. Each row of a node with one datapath would be
larger, and a kind that only one of the two takes (Ethernet segments) gives them different desired
rows anyway. See decision 0103.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from controller.core import recordviews, routeviews
from controller.core.clock import Clock
from controller.core.reconciler import KINDS, Reconciler
from controller.core.state import State
from datapaths.base import Capabilities, Datapath, Facts, Found, LooksUp, PortState, Unsupported
from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.links import Port
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import Op, RouteBatch
from dualpath.model.view import PlaneStatus, Role


class Outward(Protocol):
    """Receives the reports of the active plane. A standby reports nothing."""

    def applied(self, batch: RouteBatch | RecordBatch, failures: dict[int, str]) -> None:
        """A batch was applied, except for these rows."""

    def settled(self, batch: RouteBatch) -> None:
        """Routes are in the datapath already, and zebra waits for their acknowledgement."""

    def unmanaged(self, batch: RouteBatch | RecordBatch) -> None:
        """Rows that no datapath is given have changed."""


class Plane:
    """A datapath, what is programmed in it, and the reconciler that keeps it so."""

    def __init__(
        self,
        name: str,
        datapath: Datapath,
        clock: Clock,
        outward: Outward,
        origin: State | None = None,
    ) -> None:
        """Make the only plane, or with `origin` a standby that desires what `origin` does."""
        self.name = name  # as in --datapath: "kernel", "dpdk"
        self.datapath = datapath
        self.role = Role.PREPARING if origin else Role.ACTIVE
        self._outward = outward
        callbacks = self._wake, self._settled, self._unmanaged
        self.state = origin.fork(*callbacks) if origin else State(clock, *callbacks)
        self.reconciler = Reconciler(self.state, datapath, clock, self._applied)

    def takes(self, capabilities: Capabilities) -> None:
        """Note what the datapath can do. Call it before the first row is compared or applied."""
        self.reconciler.routes.batch_rows = capabilities.batch_rows
        self.state.datapath_takes(capabilities.kinds)

    def suspect_all(self) -> None:
        """Compare every kind in the next round: the datapath may hold anything."""
        for kind in (*KINDS, Kind.ROUTE):
            self.reconciler.suspect(kind)

    def status(self) -> PlaneStatus:
        """Count the rows. Walks all of them."""
        tables = [t for t in self.state.records.values() if t.managed]
        counts = [recordviews.count(table, self.state.generation) for table in tables]
        counts += [routeviews.count(it.rows, self.state.generation) for it in self.state.rib]
        return PlaneStatus(
            self.name,
            self.role,
            desired=sum(count.desired for count in counts),
            programmed=sum(count.programmed for count in counts),
            failed=sum(count.failed for count in counts),
            problem=self.reconciler.unavailable,
        )

    def _wake(self) -> None:
        self.reconciler.wake()

    def _applied(self, batch: RouteBatch | RecordBatch, failures: dict[int, str]) -> None:
        if self.role is Role.ACTIVE:
            self._outward.applied(batch, failures)

    def _settled(self, batch: RouteBatch) -> None:
        if self.role is Role.ACTIVE:
            self._outward.settled(batch)

    def _unmanaged(self, batch: RouteBatch | RecordBatch) -> None:
        if self.role is Role.ACTIVE:
            self._outward.unmanaged(batch)


class Planes:
    """The plane that the controller started with, and a second one while there is one."""

    def __init__(self, first: Plane, outward: Outward) -> None:
        self.first = first
        self.second: Plane | None = None
        self.active = first
        self.shared = False  # every port is in shared wiring: a second plane exists, or is to
        self._outward = outward

    def __iter__(self) -> Iterator[Plane]:
        yield self.first
        if self.second:
            yield self.second

    def named(self, name: str) -> Plane | None:
        return next((plane for plane in self if plane.name == name), None)

    @property
    def standby(self) -> Plane | None:
        return next((plane for plane in self if plane is not self.active), None)

    # -- desired state, which is one ------------------------------------------------------

    def subscribed(self, *, same_bridge: bool) -> None:
        for plane in self:
            plane.state.subscribed(same_bridge=same_bridge)

    def bridge_lost(self) -> None:
        for plane in self:
            plane.state.bridge_lost()

    def learn(self, event: events.FromBridge) -> None:
        for plane in self:
            plane.state.learn(event)

    def want(self, kind: Kind, records: Sequence[Record]) -> None:
        # While the second exists, whatever is decided: with owned wiring, grout would take the
        # host legs away from the kernel, and make new ones.
        shared = self.shared or self.second is not None
        wanted = [_shared(record) for record in records] if shared else list(records)
        for plane in self:
            plane.state.want(kind, wanted)

    # -- the second plane -----------------------------------------------------------------

    async def add(self, plane: Plane) -> None:
        """Add a plane that was forked from the active one just now, and copy the routes.

        Run its reconciler after this.
        """
        self.second, self.shared = plane, True
        plane.reconciler.episodes.durations = None
        ports = self.first.state.records[Kind.PORT]
        if self.first.state.complete(Kind.PORT):
            self.want(Kind.PORT, [it for key in ports if (it := ports.desired(key)) is not None])
        for _ in self.active.state.copy_routes(plane.state):
            await asyncio.sleep(0)
        plane.suspect_all()

    def remove(self) -> None:
        """Forget the second plane. The first one is active from now on."""
        self.activate(self.first)
        self.second, self.shared = None, False

    def activate(self, plane: Plane) -> None:
        """Let another plane acknowledge routes, and speak for the datapath."""
        before = self.active
        if plane is before:
            return
        before.role, plane.role = Role.STANDBY, Role.ACTIVE
        old, new = before.reconciler.episodes, plane.reconciler.episodes
        new.durations, old.durations = old.durations, None
        self.active = plane
        for batch in _unacknowledged(before.state, plane.state):
            self._outward.settled(batch)


def _shared(record: Record) -> Record:
    """Return a port as one that both datapaths use: the kernel has it, and grout a wire to it."""
    if not isinstance(record, Port) or record.loopback:
        return record
    return replace(record, devargs="", wiring="shared")


def _unacknowledged(before: State, now: State) -> Iterator[RouteBatch]:
    """Yield routes that only `now` has: `before` did not come to acknowledge them."""
    if not now.session.acknowledge:
        return
    for table in before.rib:
        rows, slots = table.rows, table.rows.slots()
        target = rows.target(slots)
        open_ = (target != 0) & (target != rows["programmed"][slots])
        if not open_.any():
            continue
        waiting = rows.batch(slots[open_], target[open_], Op.UPSERT)
        done = now.rib.table(table.vrf, table.family).settled(waiting)
        if len(done):
            yield waiting.take(done)


class ActiveDatapath:
    """The part of the active plane's datapath that Inspect and metrics use."""

    def __init__(self, planes: Planes) -> None:
        self._planes = planes

    async def capabilities(self) -> Capabilities:
        return await self._planes.active.datapath.capabilities()

    async def ports(self) -> Sequence[PortState]:
        return await self._planes.active.datapath.ports()

    async def facts(self) -> Facts:
        return await self._planes.active.datapath.facts()

    async def look_up(self, vrf: str, address: bytes) -> Found | None:
        """Raises Unsupported if the active datapath has no lookup."""
        return await _look_up(self._planes.active, vrf, address)


async def _look_up(plane: Plane, vrf: str, address: bytes) -> Found | None:
    if not isinstance(plane.datapath, LooksUp):
        raise Unsupported("this datapath has no lookup")
    return await plane.datapath.look_up(vrf, address)
