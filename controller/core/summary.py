"""A summary of the whole node: ready, degraded, counts. Computed on request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from controller.core import recordviews, routeviews
from controller.core.clock import Clock
from controller.core.planes import Planes
from controller.core.rib import RouteTable
from controller.core.sources import Sources
from controller.core.state import State
from dualpath.model.kinds import Kind
from dualpath.model.nexthops import unsupported_reason
from dualpath.model.view import (
    BgpSession,
    HostCount,
    KindCount,
    NeighborTable,
    PlaneStatus,
    ResourceStatus,
    Status,
)
from dualpath.model.words import counted

STEP_S = 1.0  # the largest difference between two clocks that are read one after the other
NEARLY_FULL = 0.75  # of a neighbor table: from here on the kernel evicts rows in use
HOSTS = {"mac": "MACs", "ipv4": "IPv4 addresses", "ipv6": "IPv6 addresses"}
NAMED = 3  # resources, or peers, in a sentence
LIVE = "live"  # `SessionChanged.state`

Cause = tuple[str, str]
"""Why a node is degraded: a word that alerts can select, and what `status` says."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Facts that do not change while the daemon runs."""

    version: str
    netns: str
    frr_netns: str
    started_at: float  # monotonic


class Summary:
    """Summarizes the node."""

    def __init__(self, identity: Identity, planes: Planes, clock: Clock, sources: Sources) -> None:
        self._identity = identity
        self._planes = planes
        self._clock = clock
        self._sources = sources
        self._started = 0.0  # the last result of `started_at`

    @property
    def _state(self) -> State:
        return self._planes.active.state

    def status(self) -> Status:
        state, session = self._state, self._state.session
        resources, tables = tuple(self._sources.resources()), tuple(self._sources.neighbor_tables())
        hosts, not_ready = tuple(self._sources.hosts()), self._not_ready(resources)
        counts = tuple(self._counts())
        causes = [*_degraded(resources, state.rib, counts, tables, hosts), *self._doubts()]
        return Status(
            version=self._identity.version,
            datapath=self._planes.active.name,
            netns=self._identity.netns,
            frr_netns=self._identity.frr_netns,
            started_at=self._started_at(),
            bridge="connected" if state.connected else "lost",
            session=session.number,
            session_state=session.state,
            reason=session.reason,
            stale_after=self._epoch(session.stale_after),
            counts=counts,
            repaired=state.repaired,
            resources=resources,
            sessions=tuple(replace(s, since=self._epoch(s.since)) for s in state.frr.sessions),
            vnis=state.frr.vnis,
            undecoded=state.frr.undecoded,
            ready=not not_ready,
            not_ready=not_ready,
            degraded="; ".join(text for _, text in causes),
            degraded_by=tuple(dict.fromkeys(word for word, _ in causes)),
            trial=self._sources.trial(),
            neighbors=tables,
            hosts=hosts,
            planes=self._plane_statuses(),
        )

    def not_ready(self) -> str:
        """Return the condition that the node waits for; "" if it is ready."""
        return self._not_ready(self._sources.resources())

    def _not_ready(self, resources: Sequence[ResourceStatus]) -> str:
        if problem := self._sources.problem():
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

    def _doubts(self) -> Iterator[Cause]:
        if text := self._sources.out_of_date():
            yield "manifests", text
        session = self._state.session
        if self._state.synced and session.number and session.state != LIVE:
            yield "frr", f"FRR's last routes are forwarded: {session.reason or session.state}"
        if text := _isolated(self._state.frr.sessions):
            yield "fabric", text
        if (second := self._planes.second) and (problem := second.reconciler.unavailable):
            yield "standby", f"the datapath {second.name} does not answer: {problem}"

    def _plane_statuses(self) -> tuple[PlaneStatus, ...]:
        if not self._planes.second:
            return ()
        ports = self._sources.ports_of()
        return tuple(
            replace(plane.status(), ports=tuple(n for n, to in ports.items() if to == plane.name))
            for plane in self._planes
        )

    def _started_at(self) -> float:
        """Return the same value until the clock is set, because clients compare it."""
        now = self._epoch(self._identity.started_at)
        if abs(now - self._started) > STEP_S:
            self._started = now
        return self._started

    def _epoch(self, at: float) -> float:
        """Convert a monotonic time to seconds since the epoch, by the current wall clock."""
        return self._clock.epoch() - self._clock.monotonic() + at if at else 0.0

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


def _isolated(sessions: Sequence[BgpSession]) -> str:
    """Return that no session with the fabric is established; "" if one is, or there is none."""
    fabric = [session for session in sessions if session.vrf == "default"]
    if not fabric or any(session.state == "Established" for session in fabric):
        return ""
    named = ", ".join(f"{session.peer} is {session.state}" for session in fabric[:NAMED])
    others = " and others" if len(fabric) > NAMED else ""
    return f"no BGP session of the default VRF is established: {named}{others}"


def _degraded(
    resources: Sequence[ResourceStatus],
    rib: Iterable[RouteTable],
    counts: Iterable[KindCount],
    tables: Iterable[NeighborTable],
    hosts: Iterable[HostCount],
) -> Iterator[Cause]:
    """Yield what FRR or a manifest wants but does not get, or soon will not."""
    if failed := [f"{r.kind} {r.name}" for r in resources if not r.ready]:
        named = ", ".join(failed[:NAMED]) + (" and others" if len(failed) > NAMED else "")
        yield "resources", f"{len(failed)} of {len(resources)} resources are not in force: {named}"
    unsupported: Counter[str] = Counter()
    for table in rib:
        for id_, rows in routeviews.unsupported(table.rows).items():
            unsupported[unsupported_reason(id_)] += rows
    for reason, rows in sorted(unsupported.items()):
        yield "rows", f"{counted(rows, 'route')} cannot be forwarded: {reason}"
    refused = {count.kind: count.failed for count in counts}
    refused[Kind.ROUTE] = refused.get(Kind.ROUTE, 0) - unsupported.total()
    if total := sum(refused.values()):
        named = ", ".join(f"{rows} {kind.word}" for kind, rows in refused.items() if rows)
        yield "rows", f"{counted(total, 'row')} refused by the datapath: {named}"
    for full in tables:
        if full.entries >= full.limit * NEARLY_FULL:
            yield (
                "neighbors",
                f"the machine's {full.family} neighbor table has {full.entries} rows, and the "
                f"kernel takes {full.limit} (net.{full.family}.neigh.default.gc_thresh3)",
            )
    for some in hosts:
        if some.left_out:
            yield (
                "hosts",
                f"VNI {some.vni}: {some.left_out} local {HOSTS[some.kind]} above {some.announced} "
                "are not advertised (--host-limit)",
            )
