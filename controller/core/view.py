"""The reading side: answers for Inspect and metrics, computed from the state on request.

`sources` supplies the facts that the state does not have. Nothing is pushed into the view.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace

from controller.core import recordviews, routeviews
from controller.core.changes import expand
from controller.core.clock import Clock
from controller.core.journal import Journal
from controller.core.planes import Plane, Planes
from controller.core.sources import Sources
from controller.core.state import State
from controller.core.summary import Identity, Summary
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac
from dualpath.model.nexthops import DROP_TYPES, Nexthop, reserved
from dualpath.model.plan import Plan
from dualpath.model.records import RecordBatch
from dualpath.model.routes import Family, RouteBatch
from dualpath.model.view import Audited, Change, RecordRow, RouteRows, Status, Timing

_DROPS = {reserved(type_): Nexthop(reserved(type_), type_) for type_ in DROP_TYPES}


class CoreView:
    """Implements `StateView`."""

    def __init__(
        self,
        identity: Identity,
        planes: Planes,
        clock: Clock,
        *,
        release: Callable[[], str],
    ) -> None:
        self._planes = planes
        self._clock = clock
        self._release = release
        self.sources = Sources()
        self._summary = Summary(identity, planes, clock, self.sources)
        self._journal = Journal(lambda entry: expand(entry, self.nexthop))

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
        return self._summary.status()

    def not_ready(self) -> str:
        """Return the condition that the node waits for; "" if it is ready."""
        return self._summary.not_ready()

    def timing(self) -> Timing:
        episodes = self._planes.active.reconciler.episodes
        switches = tuple(self.sources.switches())
        return Timing(episodes.behind_s(), episodes.histogram(), switches)

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
        known = await self.sources.check()
        found = [await self._audit(plane, limit) for plane in self._planes]
        beside = await self.sources.beside()
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
        beside = await self.sources.beside()
        self.sources.repair_beside()
        return sum([await it.reconciler.resync() for it in self._planes]) + beside.differed

    def release(self) -> str:
        return self._release()

    def plan(self) -> Plan | None:
        return self.sources.planned()
