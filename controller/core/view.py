"""The reading side: answers for Inspect and metrics, read from the state when somebody asks.

Other facts come from the callables that `CoreView` is given. Nothing is pushed into it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, replace

from controller.core import recordviews, routeviews
from controller.core.clock import Clock
from controller.core.describe import describe
from controller.core.journal import Entry, Journal
from controller.core.planes import Plane, Planes
from controller.core.rib import RouteTable
from controller.core.state import State
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac
from dualpath.model.nexthops import DROP_TYPES, Nexthop, reserved, unsupported_reason
from dualpath.model.plan import Plan
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import Family, Op, RouteBatch, prefix_text
from dualpath.model.view import (
    Audited,
    Change,
    Histogram,
    HostCount,
    KindCount,
    NeighborTable,
    PlaneStatus,
    RecordRow,
    ResourceStatus,
    RouteRows,
    RowState,
    Status,
    Timing,
)
from dualpath.model.words import counted

STEP_S = 1.0  # two clocks, read one after the other, differ by less
NEARLY_FULL = 0.75  # of a neighbor table: from here on the kernel removes rows in use
HOSTS = {"mac": "MACs", "ipv4": "IPv4 addresses", "ipv6": "IPv6 addresses"}
NAMED = 3  # resources in a sentence
_DROPS = {reserved(type_): Nexthop(reserved(type_), type_) for type_ in DROP_TYPES}


@dataclass(frozen=True, slots=True)
class Identity:
    """Facts that do not change while the daemon runs."""

    version: str
    netns: str
    frr_netns: str
    started_at: float  # monotonic


class CoreView:
    """Implements `StateView`. The attributes without `_` are sources: set them before the start."""

    def __init__(
        self,
        identity: Identity,
        planes: Planes,
        clock: Clock,
        *,
        release: Callable[[], str],
    ) -> None:
        self._identity = identity
        self._planes = planes
        self._clock = clock
        self._release = release
        self._started = 0.0  # what `started_at` was last time
        self._journal = Journal(self._expand)
        self.resources: Callable[[], Sequence[ResourceStatus]] = lambda: ()
        self.planned: Callable[[], Plan | None] = lambda: None
        self.check: Callable[[], Awaitable[Audited]] = _nothing_to_check
        """Compares frr-bridge with the kernel of FRR's namespace."""
        self.hosts: Callable[[], Iterable[HostCount]] = lambda: ()
        self.neighbor_tables: Callable[[], Sequence[NeighborTable]] = lambda: ()
        self.beside: Callable[[], Awaitable[Audited]] = _nothing_to_check
        """Returns the differences in FRR's shadow devices and twins."""
        self.repair_beside: Callable[[], None] = lambda: None
        self.out_of_date: Callable[[], str] = lambda: ""
        """Returns why the manifests in force may not be the latest ones."""
        self.trial: Callable[[], str] = lambda: ""
        """Returns how to confirm what is on trial, and until when."""
        self.problem: Callable[[], str] = lambda: ""
        """Returns why the daemon cannot do its job, for reasons that the state does not know."""
        self.switches: Callable[[], Sequence[tuple[str, Histogram]]] = lambda: ()
        """Returns how long switches took, by their outcome."""
        self.ports_of: Callable[[], Mapping[str, str]] = dict
        """Returns which of two datapaths has each port's traffic."""

    @property
    def _state(self) -> State:
        return self._planes.active.state

    def datapath_name(self) -> str:
        return self._planes.active.name

    def note(self, batch: RouteBatch | RecordBatch, failures: dict[int, str]) -> None:
        """Add an applied batch to the journal."""
        self._journal.add(batch, failures, self._clock.epoch())

    def note_unmanaged(self, batch: RouteBatch | RecordBatch) -> None:
        """Add changes of unmanaged rows to the journal."""
        self._journal.add(batch, {}, self._clock.epoch(), unmanaged=True)

    def status(self) -> Status:
        state, session = self._state, self._state.session
        resources, tables = tuple(self.resources()), tuple(self.neighbor_tables())
        hosts, not_ready = tuple(self.hosts()), self._not_ready(resources)
        return Status(
            version=self._identity.version,
            datapath=self.datapath_name(),
            netns=self._identity.netns,
            frr_netns=self._identity.frr_netns,
            started_at=self._started_at(),
            bridge="connected" if state.connected else "lost",
            session=session.number,
            session_state=session.state,
            reason=session.reason,
            stale_after=self._epoch(session.stale_after),
            counts=tuple(self._counts()),
            repaired=state.repaired,
            resources=resources,
            sessions=tuple(replace(s, since=self._epoch(s.since)) for s in state.frr.sessions),
            vnis=state.frr.vnis,
            undecoded=state.frr.undecoded,
            ready=not not_ready,
            not_ready=not_ready,
            degraded="; ".join(
                filter(
                    None,
                    (
                        _degraded(resources, state.rib, tables, hosts),
                        self.out_of_date(),
                        self._second_problem(),
                    ),
                )
            ),
            trial=self.trial(),
            neighbors=tables,
            hosts=hosts,
            planes=self._plane_statuses(),
        )

    def timing(self) -> Timing:
        episodes = self._planes.active.reconciler.episodes
        return Timing(episodes.behind_s(), episodes.histogram(), tuple(self.switches()))

    def _second_problem(self) -> str:
        second = self._planes.second
        problem = second.reconciler.unavailable if second else ""
        return (
            f"the datapath {second.name} does not answer: {problem}" if second and problem else ""
        )

    def _plane_statuses(self) -> tuple[PlaneStatus, ...]:
        if not self._planes.second:
            return ()
        ports = self.ports_of()
        return tuple(
            replace(plane.status(), ports=tuple(n for n, to in ports.items() if to == plane.name))
            for plane in self._planes
        )

    def _started_at(self) -> float:
        """Return the same value until somebody sets the clock, as clients compare it."""
        now = self._epoch(self._identity.started_at)
        if abs(now - self._started) > STEP_S:
            self._started = now
        return self._started

    def _epoch(self, at: float) -> float:
        """Convert a monotonic time to seconds since the epoch, by the clock as it is set now."""
        return self._clock.epoch() - self._clock.monotonic() + at if at else 0.0

    def vteps(self, mac: Mac) -> tuple[bytes, ...]:
        return self._state.segments.vteps(mac)

    def ready(self) -> bool:
        return not self.not_ready()

    def route_tables(self) -> Sequence[tuple[str, Family]]:
        return sorted((table.vrf, table.family) for table in self._state.rib if len(table.rows))

    def routes(self, vrf: str, family: Family, start: int, limit: int) -> tuple[RouteRows, int]:
        rows = self._state.rib.table(vrf, family).rows
        return routeviews.page(rows, start, limit, self._state.generation)

    def records(self, kind: Kind) -> Iterator[RecordRow]:
        yield from list(recordviews.show(self._state.records[kind], self._state.generation))

    def nexthop(self, id_: int) -> Nexthop | None:
        if drop := _DROPS.get(id_):
            return drop
        table = self._state.records[Kind.NEXTHOP]
        found = table.desired(id_) or table.programmed(id_)
        return found if isinstance(found, Nexthop) else None

    def changes(self, after: int) -> AsyncIterator[Change]:
        return self._journal.changes(after)

    def sequence(self) -> int:
        return self._journal.sequence

    async def audit(self, limit: int) -> Audited:
        """Compare FRR's view with the state, the state with the datapath, and devices beside it."""
        known = await self.check()
        found = [await self._audit(plane, limit) for plane in self._planes]
        beside = await self.beside()
        parts = (known, *found, beside)
        return Audited(
            sum(part.differed for part in parts),
            tuple(row for part in parts for row in part.rows)[:limit],
            "; ".join(part.unchecked for part in parts if part.unchecked),
        )

    async def _audit(self, plane: Plane, limit: int) -> Audited:
        found = await plane.reconciler.audit(limit)
        if not self._planes.second:
            return found
        return replace(found, rows=tuple(replace(row, datapath=plane.name) for row in found.rows))

    async def resync(self) -> int:
        beside = await self.beside()
        self.repair_beside()
        return sum([await it.reconciler.resync() for it in self._planes]) + beside.differed

    def release(self) -> str:
        return self._release()

    def plan(self) -> Plan | None:
        return self.planned()

    def not_ready(self) -> str:
        """Return what the node waits for; "" when it is ready."""
        return self._not_ready(self.resources())

    def _not_ready(self, resources: Sequence[ResourceStatus]) -> str:
        if problem := self.problem():
            return problem
        if unavailable := self._planes.active.reconciler.unavailable:
            return f"the datapath does not answer: {unavailable}"
        if not self._state.connected:
            return "frr-bridge is not connected"
        if not self._state.synced:
            return self._state.session.reason or "waiting for FRR to finish its replay"
        underlays = [resource for resource in resources if resource.kind == "Underlay"]
        if underlays and not any(underlay.applied_generation for underlay in underlays):
            return f"Underlay {underlays[0].name} is not in force: {underlays[0].message}"
        return ""

    def _counts(self) -> Iterator[KindCount]:
        for table in self._state.records.values():
            yield recordviews.count(table, self._state.generation)
        tables = [routeviews.count(it.rows, self._state.generation) for it in self._state.rib]
        yield KindCount(
            Kind.ROUTE,
            desired=sum(count.desired for count in tables),
            programmed=sum(count.programmed for count in tables),
            failed=sum(count.failed for count in tables),
            stale=sum(count.stale for count in tables),
            unmanaged=sum(count.unmanaged for count in tables),
        )

    # -- the journal's rows ---------------------------------------------------------------

    def _expand(self, entry: Entry) -> Iterator[Change]:
        batch = entry.batch
        done = RowState.UNMANAGED if entry.unmanaged else RowState.PROGRAMMED
        for index in range(len(batch)):
            why = entry.failures.get(index, "")
            if isinstance(batch, RouteBatch):
                withdrawn = bool(batch.ops[index] == Op.WITHDRAW)
                record: Record | None = self.nexthop(int(batch.nexthops[index]))
                kind, vrf, family = Kind.ROUTE, batch.vrf, batch.family
                text = prefix_text(batch.prefixes[index].tobytes(), int(batch.lengths[index]))
                detail = "" if withdrawn else str(record or "")
            else:
                record = batch.row(index)
                withdrawn = index >= len(batch.upserts)
                kind, vrf, family = record.kind, "", None
                text, detail = describe(record)
            yield Change(
                sequence=entry.first + index,
                at=entry.at,
                kind=kind,
                text=text,
                vrf=vrf,
                state=RowState.FAILED if why else done,
                withdrawn=withdrawn,
                detail=why or detail,
                record=record,
                family=family,
            )


async def _nothing_to_check() -> Audited:
    return Audited(0)


def _degraded(
    resources: Sequence[ResourceStatus],
    rib: Iterable[RouteTable],
    tables: Iterable[NeighborTable],
    hosts: Iterable[HostCount],
) -> str:
    """Return what FRR or a manifest wants and does not get, or soon will not; "" for nothing."""
    problems = []
    if failed := [f"{r.kind} {r.name}" for r in resources if not r.ready]:
        named = ", ".join(failed[:NAMED]) + (" and others" if len(failed) > NAMED else "")
        problems.append(f"{len(failed)} of {len(resources)} resources are not in force: {named}")
    unsupported: Counter[str] = Counter()
    for table in rib:
        for id_, rows in routeviews.unsupported(table.rows).items():
            unsupported[unsupported_reason(id_)] += rows
    for reason, rows in sorted(unsupported.items()):
        problems.append(f"{counted(rows, 'route')} cannot be forwarded: {reason}")
    problems += [
        f"the machine's {full.family} neighbor table has {full.entries} rows, and the kernel takes "
        f"{full.limit} (net.{full.family}.neigh.default.gc_thresh3)"
        for full in tables
        if full.entries >= full.limit * NEARLY_FULL
    ]
    problems += [
        f"VNI {some.vni}: {some.left_out} local {HOSTS[some.kind]} above {some.announced} are not "
        "advertised (--host-limit)"
        for some in hosts
        if some.left_out
    ]
    return "; ".join(problems)
