"""Applies pending routes to the datapath, table after table, in an order that loses no packet.

A round has three passes:

    1. upserts       of every table with pending rows
    2. withdrawals   of the same tables
    3. upserts       again: rows that pass 2 found desired once more

Upserts come first. If FRR replaces 10.0.0.0/8 by 10.0.0.0/9 and 10.128.0.0/9, packets may take the
old path for a moment, but always have one.

*Turns.* A table may receive new routes as fast as the datapath applies them: a peer that leaks, a
VRF with full churn. A pass that empties the queue would then never end, and every withdrawal and
every other VRF would wait. So a table's turn ends after 0.25 s: rows that are queued at that moment
are still applied, later ones wait for the next round. That moment also limits how many withdrawals
of this table pass 2 may apply. An example, with a datapath that applies 40,000 routes a second:

    0.00 s  10,000 upserts and 3 withdrawals are queued; FRR adds 20,000 upserts a second
    0.25 s  the turn ends with 5,000 upserts and 5 withdrawals queued
            pass 1 applies those 5,000 and no more; pass 2 will apply 5 withdrawals
    0.31 s  FRR replaces a prefix by two halves: two upserts, and withdrawal number 6
            number 6 waits for the next round, where its two upserts go first

Without the limit of 5, number 6 would overtake the upserts that replace it.

*Two batches.* While the datapath applies one full batch, the next is encoded: a full batch is
started at once and awaited later. A batch that is not full is the last of its table; it is awaited
directly, which is faster for a lone change (decision 0067). No prefix is in both: see `pending.py`.

Rejected: one batch per table in turn, which divides time by the number of tables and not by need; a
number of batches as the length of a turn, because datapaths differ in speed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from controller.core.clock import Clock
from controller.core.pending import Usable
from controller.core.rib import Rib, RouteTable
from datapaths.base import Datapath, RowFailure
from dualpath.model.records import RecordBatch
from dualpath.model.routes import Op, RouteBatch
from dualpath.model.table import Slots

ROUTES_IN_BATCH = 4096  # unless the datapath prefers another size
TURN_S = 0.25

Applied = Callable[[RouteBatch | RecordBatch, dict[int, str]], None]
"""Called with every batch that was applied, and the rows that failed with the reason of each."""


class RouteApplier:
    """Applies the pending routes of every table. Calls `wake` when a table's turn ended."""

    def __init__(
        self,
        rib: Rib,
        datapath: Datapath,
        clock: Clock,
        *,
        usable: Usable,
        on_applied: Applied,
        wake: Callable[[], None],
    ) -> None:
        self._rib = rib
        self._datapath = datapath
        self._clock = clock
        self._usable = usable
        self._on_applied = on_applied
        self._wake = wake
        self.batch_rows = ROUTES_IN_BATCH

    async def run(self) -> None:
        """Apply the pending routes, once. Raises Unavailable; unfinished rows are queued again."""
        tables = self._rib.busy()  # tables busy later wait for the next round, upserts first
        withdrawals = await self._pass(Op.UPSERT, tables, {})
        await self._pass(Op.WITHDRAW, tables, withdrawals)
        queued = {table: table.pending.seal(Op.UPSERT) for table in self._rib.busy()}
        await self._pass(Op.UPSERT, list(queued), queued)

    async def _pass(
        self, op: Op, tables: Sequence[RouteTable], limits: Mapping[RouteTable, int]
    ) -> dict[RouteTable, int]:
        """Apply the queued rows of tables, at most `limits[table]` of a table named there.

        Returns for each table whose turn ended how many withdrawals were queued at that moment.
        """
        in_flight: deque[_InFlight] = deque()
        withdrawals: dict[RouteTable, int] = {}
        try:
            for table in tables:
                left, end = limits.get(table), self._clock.monotonic() + TURN_S
                while batch := self._next(table, op, left):
                    in_flight.append(batch)
                    full = len(batch) == self.batch_rows
                    if full:
                        batch.start()
                    while len(in_flight) > (1 if full else 0):
                        await self._finish(in_flight.popleft())
                    if left is not None:
                        left -= len(batch)
                    elif self._clock.monotonic() >= end:
                        left = table.pending.seal(op)
                        withdrawals[table] = table.pending.seal(Op.WITHDRAW)
                        self._wake()  # for rows that are queued after this moment
            while in_flight:
                await self._finish(in_flight.popleft())
        finally:
            for batch in in_flight:
                await batch.cancel()
        return withdrawals

    def _next(self, table: RouteTable, op: Op, left: int | None) -> _InFlight | None:
        limit = self.batch_rows if left is None else max(0, min(self.batch_rows, left))
        found = table.pending.next_batch(limit, self._usable, op)
        return _InFlight(self._datapath, table, *found) if found else None

    async def _finish(self, batch: _InFlight) -> None:
        """Wait for a batch and note its outcome."""
        failures = await batch.failures()
        rows = [(failure.index, failure.errno) for failure in failures]
        batch.table.pending.applied(batch.slots, batch.batch, rows)
        self._on_applied(batch.batch, {f.index: str(f) for f in failures})


class _InFlight:
    """A batch of routes between the table and the datapath."""

    def __init__(
        self, datapath: Datapath, table: RouteTable, slots: Slots, batch: RouteBatch
    ) -> None:
        self._datapath = datapath
        self._task: asyncio.Task[Sequence[RowFailure]] | None = None
        self.table, self.slots, self.batch = table, slots, batch

    def __len__(self) -> int:
        return len(self.batch)

    def start(self) -> None:
        """Apply the batch while the caller continues; without it, `failures` applies it."""
        self._task = asyncio.ensure_future(self._datapath.apply(self.batch))

    async def failures(self) -> Sequence[RowFailure]:
        """Return the refused rows. Raises Unavailable, and queues the rows again."""
        try:
            return await (self._task or self._datapath.apply(self.batch))
        except BaseException:
            self.table.pending.abandon(self.slots)
            raise

    async def cancel(self) -> None:
        """Cancel a batch because an earlier one got no answer; queue its rows again."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        self.table.pending.abandon(self.slots)
