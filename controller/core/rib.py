"""The controller's routes: one table per VRF and family.

`RouteTable` turns events into columns: FRR's changes into *desired*, dumps and losses into
*programmed*. `PendingRoutes` queues each row whose two sides then differ, and explains the flags.
No clock, no socket; the reconciler decides the order between tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from controller.core.pending import PendingRoutes
from controller.core.routecolumns import RouteColumns
from dualpath.model.nexthops import FIRST_UNSUPPORTED
from dualpath.model.routes import RTPROT_KERNEL, U32, Family, Op, RouteBatch
from dualpath.model.table import Slots, distinct

COPIED = ("desired", "protocol", "generation", "session", "changed_at")
COPY_ROWS = 16384  # a few milliseconds


class RouteTable:
    """The routes of one VRF and family."""

    def __init__(
        self, vrf: str, family: Family, on_busy: Callable[[RouteTable], None] = lambda table: None
    ) -> None:
        self.vrf = vrf
        self.family = family
        self.rows = RouteColumns(vrf, family)
        self.pending = PendingRoutes(self.rows, lambda: on_busy(self))
        self._before: U32 = np.empty(0, np.uint32)  # `programmed` during a comparison

    def copy_desired(self, other: RouteTable) -> Iterator[None]:
        """Make `other` desire the same as this table, a slice at a time.

        Pass every change to both meanwhile: a row that is copied late is copied with its latest
        contents.
        """
        start = 0
        while start >= 0:
            slots, start = self.rows.page(start, COPY_ROWS)
            desired = self.rows["desired"][slots]
            slots, desired = slots[desired != 0], desired[desired != 0]
            new = other.rows.add(self.rows.batch(slots, desired, Op.UPSERT))
            for column in COPIED:
                other.rows[column][new] = self.rows[column][slots]
            other.pending.enqueue(new)
            yield

    # -- desired --------------------------------------------------------------------------

    def learn(
        self, batch: RouteBatch, *, generation: int, session: int, now: float
    ) -> tuple[Slots, Slots]:
        """Store FRR's changes; nexthops are nexthop ids.

        Returns which rows of `batch` changed, and which of those the datapath creates itself.
        """
        rows, slots = self.rows, self.rows.add(batch)
        before = rows["desired"][slots], rows["protocol"][slots]
        withdrawn = batch.ops == Op.WITHDRAW
        rows["desired"][slots] = np.where(withdrawn, 0, batch.nexthops)
        rows["protocol"][slots] = np.where(withdrawn, before[1], batch.protocols)
        rows["generation"][slots] = generation
        rows["session"][slots] = session
        after = rows["desired"][slots], rows["protocol"][slots]
        changed = np.flatnonzero((before[0] != after[0]) | (before[1] != after[1]))
        rows["changed_at"][slots[changed]] = now
        self.pending.enqueue(slots)
        return changed, changed[after[1][changed] == RTPROT_KERNEL]

    def settled(self, batch: RouteBatch) -> Slots:
        """Return which rows of `batch` are programmed as FRR wants them."""
        slots = self.rows.find(batch)
        programmed = self.rows["programmed"][slots]
        target = self.rows.target(slots)
        return np.flatnonzero((slots >= 0) & (programmed != 0) & (programmed == target))

    def unusable(self, batch: RouteBatch) -> Slots:
        """Return which rows of `batch` no datapath can program."""
        unsupported = batch.nexthops >= FIRST_UNSUPPORTED
        return np.flatnonzero(unsupported & (batch.protocols != RTPROT_KERNEL))

    def unmanaged_to_sweep(self, generation: int) -> RouteBatch:
        """Return the unmanaged rows that `sweep` would remove, as withdrawals."""
        slots, rows = self.rows.slots(), self.rows
        own = (rows["desired"][slots] != 0) & rows.kernel_own(slots)
        old = slots[own & (rows["generation"][slots] != generation)]
        return rows.batch(old, np.zeros(len(old), np.uint32), Op.WITHDRAW)

    def sweep(self, generation: int, now: float) -> int:
        """Stop desiring the rows that `generation` did not repeat; return their number."""
        slots = self.rows.slots()
        old = slots[self.rows["generation"][slots] != generation]
        self.rows["desired"][old] = 0
        self.rows["changed_at"][old] = now
        self.pending.enqueue(old)
        return len(old)

    # -- programmed -----------------------------------------------------------------------

    def adopt(self, batch: RouteBatch, *, now: float) -> None:
        """Note routes of the datapath. They stay until a sweep shows that FRR wants none."""
        slots = self.rows.add(batch)
        self.rows["programmed"][slots] = batch.nexthops
        new = slots[self.rows["changed_at"][slots] == 0]
        self.rows["changed_at"][new] = now

    def lost(self, batch: RouteBatch) -> int:
        """Note that routes left the datapath; return how many were programmed."""
        slots = self.rows.find(batch)
        return self.pending.lost(distinct(slots[slots >= 0]))

    def lost_nexthops(self, nexthops: AbstractSet[int]) -> int:
        """Note that nexthops left the datapath, together with all routes that used them."""
        slots = self.rows.slots()
        used = np.isin(self.rows["programmed"][slots], sorted(nexthops))
        return self.pending.unprogram(slots[used])

    def begin_compare(self) -> None:
        """Forget what is programmed. Next, `adopt` a dump, then call `end_compare`."""
        self._before = self.rows["programmed"].copy()
        self.rows["programmed"][:] = 0

    def end_compare(self, *, synced: bool) -> int:
        """Queue differing rows; return in how many the dump differed from `programmed`.

        Until FRR has repeated everything (`synced`), rows that it has not repeated stay.
        """
        slots = self.rows.slots()
        before = np.zeros(len(self.rows["programmed"]), np.uint32)
        before[: len(self._before)] = self._before
        self._before = before[:0]
        unclaimed = (self.rows["desired"][slots] == 0) & (self.rows["programmed"][slots] != 0)
        self.pending.enqueue(slots if synced else slots[~unclaimed])
        return int(np.count_nonzero(before[slots] != self.rows["programmed"][slots]))


class Rib:
    """The routes of every VRF."""

    def __init__(self) -> None:
        self._tables: dict[tuple[str, Family], RouteTable] = {}
        self._busy: dict[RouteTable, None] = {}

    def table(self, vrf: str, family: Family) -> RouteTable:
        """Return a table; create it if it does not exist."""
        key = vrf, family
        if key not in self._tables:
            self._tables[key] = RouteTable(vrf, family, self._note_busy)
        return self._tables[key]

    def busy(self) -> list[RouteTable]:
        """Return the tables with a row on its way, or refused; a round visits only these."""
        for table in [table for table in self._busy if table.pending.idle]:
            del self._busy[table]
        return list(self._busy)

    def _note_busy(self, table: RouteTable) -> None:
        self._busy[table] = None

    def tables(self) -> Sequence[RouteTable]:
        return list(self._tables.values())

    def __iter__(self) -> Iterator[RouteTable]:
        return iter(self.tables())
