"""The loop that makes the programmed state of one datapath equal to the desired state.

One round:

    1. compare     the suspected kinds with a dump
    2. upsert      records, along `KINDS`: a nexthop exists before a route uses it
    3. routes      see `routeapplier.py`
    4. withdraw    records, against `KINDS`: a nexthop outlives the last route that uses it

Packets may take an old path for a moment, but always have one. A wake-up only means *look again*,
so a lost one costs time and no state.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from controller.core.audit import Comparison
from controller.core.clock import Clock
from controller.core.durations import Episodes
from controller.core.nexthops import Leaving, Nexthops
from controller.core.recordapplier import RecordApplier
from controller.core.routeapplier import Applied, RouteApplier
from controller.core.state import FRR_KINDS, INTENT_KINDS, State
from datapaths.base import Datapath, Unavailable
from dualpath.model.kinds import Kind
from dualpath.model.records import Key, Record, RecordBatch
from dualpath.model.routes import RouteBatch
from dualpath.model.view import Audited

log = logging.getLogger(__name__)

KINDS = (*INTENT_KINDS, *FRR_KINDS)  # in the order of programming
RETRY_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)


class Reconciler:
    """Drives one datapath. Nothing else applies batches to it."""

    def __init__(self, state: State, datapath: Datapath, clock: Clock, on_applied: Applied) -> None:
        self._state = state
        self._datapath = datapath
        self._clock = clock
        self.episodes = Episodes(clock)

        def applied(batch: RouteBatch | RecordBatch, failures: dict[int, str]) -> None:
            self.episodes.changed()
            on_applied(batch, failures)

        self._applier = RecordApplier(state, datapath, clock, applied)
        self._nexthops = Nexthops(state, self._applier, clock)
        self._leaving = Leaving(state, self._nexthops)
        self._comparison = Comparison(state, datapath, clock)
        self.routes = RouteApplier(
            state.rib,
            datapath,
            clock,
            usable=self._nexthops.usable,
            on_applied=applied,
            wake=self.wake,
        )
        self._wake = asyncio.Event()
        self._rest = asyncio.Event()
        self._round = asyncio.Lock()
        self._suspects: set[Kind] = set()
        self._device_came = False  # in this round
        self._tries = 0
        self._retry_at = 0.0  # monotonic; 0: no retry is due
        self.unavailable = ""  # why the datapath does not answer; "" if it does

    def wake(self) -> None:
        """Start a round as soon as possible."""
        self.episodes.begin()
        self._rest.clear()
        self._wake.set()

    def retry_now(self) -> None:
        """Retry failed rows at once, because a change may let them succeed."""
        self._tries, self._retry_at = 0, 0.0
        self._queue_failed()
        self.wake()

    def suspect(self, kind: Kind) -> None:
        """Compare a kind in the next round: another program may have changed it."""
        self._suspects.add(kind)
        self.wake()

    @property
    def resting(self) -> bool:
        return self._rest.is_set()

    async def at_rest(self) -> None:
        """Return when only retries are left."""
        await self._rest.wait()

    async def adopt(self) -> None:
        """Adopt the datapath's rows, before the first `run`.

        Raises Unavailable and adopts nothing then: a restarted datapath has other rows.
        """
        kinds = (*self._kinds(), Kind.ROUTE)
        dumped = [batch for kind in kinds async for batch in self._datapath.dump(kind)]
        for batch in dumped:
            self._state.adopt(batch)
            await asyncio.sleep(0)
        self._nexthops.refresh()

    async def run(self) -> None:
        """Reconcile until cancelled."""
        while True:
            self._wake.clear()
            try:
                async with self._round:
                    failed = await self._reconcile()
                self._note_availability("")
            except Unavailable as error:
                self._note_availability(str(error))
                self._suspects.update((*self._kinds(), Kind.ROUTE))
                failed = True
            if not failed:
                self._tries = 0
            if not self._wake.is_set():
                self._rest.set()
                if not self.unavailable:
                    self.episodes.end()
            await self._wait(failed)

    async def audit(self, limit: int) -> Audited:
        """Compare desired, programmed and observed; name at most `limit` rows, change nothing."""
        async with self._round:
            return await self._comparison.audit(self._kinds(), limit)

    async def resync(self) -> int:
        """Compare every kind now and repair it next; return how many rows differed."""
        async with self._round:
            differ = sum([await self.compare(kind) for kind in (*self._kinds(), Kind.ROUTE)])
        self.wake()
        return differ

    async def compare(self, kind: Kind) -> int:
        """Compare one kind with a dump; return how many rows differed."""
        differ = await self._comparison.compare(kind)
        if kind is Kind.NEXTHOP:
            self._nexthops.refresh()
        return differ

    async def _wait(self, failed: bool) -> None:
        if not failed:
            self._retry_at = 0.0
            await self._wake.wait()
            return
        if not self._retry_at:
            delay_s = RETRY_S[min(self._tries, len(RETRY_S) - 1)]
            self._retry_at = self._clock.monotonic() + delay_s
        with suppress(TimeoutError):
            left_s = self._retry_at - self._clock.monotonic()
            async with asyncio.timeout(max(left_s, 0)):  # wait_for may lose a cancellation
                await self._wake.wait()
        if 0 < self._retry_at <= self._clock.monotonic():  # regardless of the number of wake-ups
            self._retry_at = 0.0
            self._tries += 1
            self._queue_failed()

    def _note_availability(self, problem: str) -> None:
        """Store why the datapath does not answer, "" if it does; log a change."""
        if problem and problem != self.unavailable:
            log.warning("%s: unavailable: %s; retrying", self._datapath.name, problem)
        elif self.unavailable and not problem:
            log.info("%s: available again", self._datapath.name)
        self.unavailable = problem

    async def _reconcile(self) -> bool:
        """Run one round; return whether a row failed and is to be retried."""
        self._device_came = False
        while self._suspects:
            kind = self._suspects.pop()
            if kind in (*self._kinds(), Kind.ROUTE):
                await self.compare(kind)
        withdrawals = {kind: await self._upsert(kind) for kind in KINDS}
        await self.routes.run()
        for kind in reversed(KINDS):
            await self._withdraw(kind, withdrawals[kind])
        if not self._device_came:  # else rows that waited for the device are applied next
            self._applier.log_refusals()
        records = any(self._state.records[kind].has_failed() for kind in KINDS)
        return records or any(table.pending.failed for table in self._state.rib.busy())

    async def _upsert(self, kind: Kind) -> list[Record]:
        """Apply a kind's upserts; return its withdrawals."""
        table = self._state.records[kind]
        withdrawals: list[Record] = []
        upserts: list[Record] = []
        for _, desired, programmed in table.pending():
            if desired is not None:
                upserts.append(desired)
            elif programmed is not None:
                withdrawals.append(programmed)
        if not upserts:
            return withdrawals
        if kind is Kind.NEXTHOP:
            await self._nexthops.upsert(upserts)
            return withdrawals
        await self._applier.apply(RecordBatch(kind, tuple(upserts)))
        made = any(table.programmed(record.key) == record for record in upserts)
        if made and kind in INTENT_KINDS:
            self._device_came = True
            self.retry_now()  # rows that waited for this device
        return withdrawals

    async def _withdraw(self, kind: Kind, records: Sequence[Record]) -> None:
        table, leaves = self._state.records[kind], kind in Leaving.KINDS
        if leaves:
            self._leaving.add(kind, records)
            records = self._leaving.unused(kind)
        records = [record for record in records if table.desired(record.key) is None]
        if not records:
            return
        await self._applier.apply(RecordBatch(kind, withdrawals=tuple(records)))
        gone: set[Key] = {r.key for r in records if table.programmed(r.key) is None}
        if gone and leaves and self._leaving.others(kind, gone):
            self.wake()  # a removed record may have used another one that leaves
        if kind is Kind.NEXTHOP:
            self._nexthops.withdrawn(records)

    def _queue_failed(self) -> None:
        for kind in KINDS:
            self._state.records[kind].retry()
        for table in self._state.rib:
            table.pending.retry()

    def _kinds(self) -> tuple[Kind, ...]:
        """Return the kinds of records that the datapath supports, in the order of programming."""
        return tuple(kind for kind in KINDS if self._state.records[kind].managed)
