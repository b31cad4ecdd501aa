"""The loop that makes one datapath true to the state.

Order, and why: upserts go up the kinds (a nexthop exists before a route uses it), then withdrawals
come down (it outlives the last that does). Traffic may take an old path for a moment, never none.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from controller.core.clock import Clock
from controller.core.describe import describe
from controller.core.refusals import Refusals
from controller.core.rib import Differing, RouteTable
from controller.core.state import FRR_KINDS, INTENT_KINDS, State
from datapaths.base import Batch, Datapath, RowFailure, Unavailable
from dualpath.model.kinds import Kind
from dualpath.model.nexthops import FIRST_RESERVED, Nexthop, NexthopType
from dualpath.model.records import Key, Record, RecordBatch
from dualpath.model.routes import U32, Family, Op, RouteBatch, prefix_text
from dualpath.model.table import Slots
from dualpath.model.view import Audited, Difference, Problem
from dualpath.process.backoff import Backoff

log = logging.getLogger(__name__)

ROUTES_IN_BATCH = 4096  # unless the datapath likes another size better
KINDS = (*INTENT_KINDS, *FRR_KINDS)  # in the order of programming
TURN_S = 0.25  # for which one table goes on with what comes meanwhile
RETRY_S, MOST_RETRY_S = 1.0, 30.0

Applied = Callable[[RouteBatch | RecordBatch, dict[int, str]], None]
"""Told of every batch that was applied, with the rows that failed and why."""


class Reconciler:
    """Drives one datapath. Nothing else applies anything to it."""

    def __init__(self, state: State, datapath: Datapath, clock: Clock, on_applied: Applied) -> None:
        self._state = state
        self._datapath = datapath
        self._clock = clock
        self._on_applied = on_applied
        self._wake = asyncio.Event()
        self._rest = asyncio.Event()
        self._busy = asyncio.Lock()
        self._refused = Refusals()
        self._came = False  # a device, in this round
        self._backoff = Backoff(RETRY_S, MOST_RETRY_S)
        self._retry_at = 0.0  # monotonic; 0 is never
        self._suspect: set[Kind] = set()  # to be compared with the datapath
        self._usable: U32 = np.empty(0, np.uint32)  # nexthops in the datapath, sorted
        # To be withdrawn once nothing uses them. A VTEP's router MAC too: a restarted bgpd can
        # leave zebra without it while it still wants the routes over it.
        self._leaving: dict[Kind, set[Key]] = {Kind.REMOTE_VTEP: set(), Kind.NEXTHOP: set()}
        self.batch_rows = ROUTES_IN_BATCH
        self.unavailable = ""  # why the datapath does not answer, "" when it does

    def wake(self) -> None:
        """There is work. Level-triggered: a lost wake-up costs delay, not state."""
        self._rest.clear()
        self._wake.set()

    def retry_now(self) -> None:
        """Something changed that may have cured failures."""
        self._backoff.reset()
        self._retry_at = 0.0
        self._mark_failed()
        self.wake()

    def suspect(self, kind: Kind) -> None:
        """Compare a kind with the datapath: something may have changed it."""
        self._suspect.add(kind)
        self.wake()

    async def at_rest(self) -> None:
        """Return when there is nothing left to do but to retry."""
        await self._rest.wait()

    async def adopt(self) -> None:
        """Learn what the datapath holds, before the first `run`.

        Raises Unavailable, and then nothing is adopted: one that starts again has other things.
        """
        kinds = (*self._kinds(), Kind.ROUTE)
        held = [batch for kind in kinds async for batch in self._datapath.dump(kind)]
        for batch in held:
            self._state.adopt(batch)
            await asyncio.sleep(0)
        self._note_nexthops()

    async def run(self) -> None:
        """Reconcile until cancelled."""
        while True:
            self._wake.clear()
            try:
                async with self._busy:
                    failed = await self._reconcile()
                self._available("")
            except Unavailable as error:
                self._available(str(error))
                self._suspect.update((*self._kinds(), Kind.ROUTE))
                failed = True
            if not failed:
                self._backoff.reset()
            if not self._wake.is_set():
                self._rest.set()
            await self._wait(failed)

    async def _wait(self, failed: bool) -> None:
        if not failed:
            self._retry_at = 0.0
            await self._wake.wait()
            return
        if not self._retry_at:
            self._retry_at = self._clock.monotonic() + self._backoff.next_s()
        with suppress(TimeoutError):
            left_s = self._retry_at - self._clock.monotonic()
            async with asyncio.timeout(max(left_s, 0)):  # wait_for may lose a cancellation
                await self._wake.wait()
        if 0 < self._retry_at <= self._clock.monotonic():  # however often it was woken since
            self._retry_at = 0.0
            self._mark_failed()

    def _available(self, problem: str) -> None:
        """Note why the datapath does not answer, or that it does; say it when it is news."""
        if problem and problem != self.unavailable:
            log.warning("%s: unavailable, will retry: %s", self._datapath.name, problem)
        elif self.unavailable and not problem:
            log.info("%s: available again", self._datapath.name)
        self.unavailable = problem

    async def _reconcile(self) -> bool:
        """Do all there is to do; True when something failed and is to be tried again."""
        self._came = False
        while self._suspect:
            kind = self._suspect.pop()
            if kind in (*self._kinds(), Kind.ROUTE):
                await self.compare(kind)
        withdrawals: dict[Kind, list[Record]] = {}
        for kind in KINDS:
            withdrawals[kind] = await self._upsert(kind)
        due = await self._routes(Op.UPSERT, {})
        await self._routes(Op.WITHDRAW, due)
        # Rows that were to be withdrawn, and came back since.
        await self._routes(Op.UPSERT, {table: table.marked(Op.UPSERT) for table in self._state.rib})
        for kind in reversed(KINDS):
            await self._withdraw(kind, withdrawals[kind])
        self._say_what_is_refused()
        records = any(self._state.records[kind].has_failed() for kind in KINDS)
        return records or any(table.failed for table in self._state.rib)

    def _say_what_is_refused(self) -> None:
        """Log it, unless a device came in this round: what waited for it is no trouble."""
        if self._came:
            return
        self._refused.report()

    def _mark_failed(self) -> None:
        for kind in KINDS:
            self._state.records[kind].retry()
        for table in self._state.rib:
            table.retry()

    # -- records --------------------------------------------------------------------------

    async def _upsert(self, kind: Kind) -> list[Record]:
        """Apply a kind's upserts; return what is to be withdrawn."""
        table = self._state.records[kind]
        withdrawals: list[Record] = []
        upserts: list[Record] = []
        for _, desired, programmed in table.pending():
            if desired is not None:
                upserts.append(desired)
            elif programmed is not None:
                withdrawals.append(programmed)
        if kind is Kind.NEXTHOP:
            await self._upsert_nexthops(upserts)
        elif upserts:
            await self._apply(RecordBatch(kind, tuple(upserts)))
            made = any(table.programmed(record.key) == record for record in upserts)
            if made and kind in INTENT_KINDS:
                self._came = True
                self.retry_now()  # what waits for a device
        return withdrawals

    async def _upsert_nexthops(self, upserts: Sequence[Record]) -> None:
        """Apply nexthops, then the groups that can stand on what is there."""
        if not upserts:
            return
        nexthops = [record for record in upserts if isinstance(record, Nexthop)]
        single = [n for n in nexthops if n.type is not NexthopType.GROUP]
        if single:
            await self._apply(RecordBatch(Kind.NEXTHOP, tuple(single)))
        touched = {nexthop.id for nexthop in single}
        groups = {n.id: n for n in nexthops if n.type is NexthopType.GROUP}
        table = self._state.records[Kind.NEXTHOP]
        for key in list(table):  # a group whose member came back can be whole again
            group = table.desired(key)
            if isinstance(group, Nexthop) and touched & {m.id for m in group.members}:
                groups[group.id] = group
        await self._upsert_groups(list(groups.values()))
        self._note_nexthops()
        for routes in self._state.rib:
            routes.unpark()

    async def _upsert_groups(self, groups: Sequence[Nexthop]) -> None:
        """Apply each group with those of its members that the datapath has."""
        table = self._state.records[Kind.NEXTHOP]
        ready: list[Record] = []
        for group in groups:
            members = tuple(m for m in group.members if table.programmed(m.id) is not None)
            if not members:
                table.failed(group.key, "ENETDOWN: none of its members is up", now=self._now())
            elif table.programmed(group.key) != (effective := replace(group, members=members)):
                ready.append(effective)
        if ready:
            await self._apply(RecordBatch(Kind.NEXTHOP, tuple(ready)))

    async def _withdraw(self, kind: Kind, records: Sequence[Record]) -> None:
        table = self._state.records[kind]
        if kind in self._leaving:
            self._leaving[kind].update(record.key for record in records)
            records = self._unused(kind)
        records = [record for record in records if table.desired(record.key) is None]
        if not records:
            return
        await self._apply(RecordBatch(kind, withdrawals=tuple(records)))
        gone = {record.key for record in records if table.programmed(record.key) is None}
        if gone and kind in self._leaving and self._leaving[kind] - gone:
            self.wake()  # look again after this round: what went may have needed another
        if kind is Kind.NEXTHOP:
            for nexthop in records:
                if isinstance(nexthop, Nexthop) and table.programmed(nexthop.key) is None:
                    self._state.nexthop_ids.forget(nexthop.id)
            self._note_nexthops()

    def _unused(self, kind: Kind) -> list[Record]:
        """Return those of a kind that leave and that no route in the datapath needs.

        A group goes in one round and its members in the next.
        """
        table, leaving = self._state.records[kind], self._leaving[kind]
        for key in [k for k in leaving if table.desired(k) or not table.programmed(k)]:
            leaving.discard(key)
        if not leaving:
            return []
        needed = self._needed(kind)
        free = [table.programmed(key) for key in sorted(leaving - needed, key=repr)]
        return [record for record in free if record is not None]

    def _needed(self, kind: Kind) -> set[Key]:
        """Return the keys of nexthops, or of VTEPs, that what is programmed stands on."""
        programmed = self._nexthops()
        used: set[Key] = {member.id for nexthop in programmed for member in nexthop.members}
        for routes in self._state.rib:
            used |= routes.used()
        if kind is Kind.NEXTHOP:
            return used
        return {(n.vni, n.vtep) for n in programmed if n.vni and n.id in used}

    async def _apply(self, batch: RecordBatch) -> None:
        """Apply a batch of records and note what came of it."""
        table = self._state.records[batch.kind]
        try:
            failures = await self._datapath.apply(batch)
        except Unavailable:
            for index in range(len(batch)):
                table.touch(batch.row(index).key)
            raise
        bad = {failure.index: _why(failure) for failure in failures}
        for index in range(len(batch)):
            record = batch.row(index)
            if index not in bad:
                table.done(record.key, record if index < len(batch.upserts) else None)
                self._refused.forget(record.kind, record.key)
            elif table.failed(record.key, bad[index], now=self._now()):
                self._refused.note(record.kind, record.key, bad[index])
        self._on_applied(batch, bad)

    def _note_nexthops(self) -> None:
        self._usable = np.array(sorted(nexthop.id for nexthop in self._nexthops()), np.uint32)

    def _nexthops(self) -> list[Nexthop]:
        records = self._state.records[Kind.NEXTHOP].all_programmed()
        return [record for record in records if isinstance(record, Nexthop)]

    # -- routes ---------------------------------------------------------------------------

    async def _routes(self, op: Op, most: Mapping[RouteTable, int]) -> dict[RouteTable, int]:
        """Apply what is marked, of a table in `most` only so many rows.

        While the datapath is at one full batch, the next is got ready. Where more comes all the
        time, others get their turn: what was marked then is still done, and returned is how many
        rows were to be withdrawn by then. Those that came later must not overtake upserts.
        """
        under_way: deque[_Applying] = deque()
        due: dict[RouteTable, int] = {}
        try:
            for table in self._state.rib:
                left, until = most.get(table), self._clock.monotonic() + TURN_S
                while taken := table.take(_least(self.batch_rows, left), self._ready, op):
                    under_way.append(_Applying(self._datapath, table, *taken))
                    full = len(taken[1]) == self.batch_rows
                    if full:
                        under_way[-1].start()
                    while len(under_way) > (1 if full else 0):
                        await self._land(under_way.popleft())
                    if left is not None:
                        left -= len(taken[1])
                    elif self._clock.monotonic() >= until:
                        left, due[table] = table.marked(op), table.marked(Op.WITHDRAW)
                        self.wake()  # to go on with what comes after that
            while under_way:
                await self._land(under_way.popleft())
        finally:
            for one in under_way:
                await one.call_off()
        return due

    async def _land(self, one: _Applying) -> None:
        """Note what came of a batch of routes."""
        failures = await one.failures()
        one.table.done(one.slots, one.batch, [(f.index, f.error) for f in failures])
        self._on_applied(one.batch, {f.index: _why(f) for f in failures})

    def _ready(self, ids: U32) -> npt.NDArray[np.bool_]:
        at = np.searchsorted(self._usable, ids)
        at[at == len(self._usable)] = 0
        known = self._usable[at] == ids if len(self._usable) else np.zeros(len(ids), np.bool_)
        return known | (ids >= FIRST_RESERVED)

    # -- drift ----------------------------------------------------------------------------

    async def compare(self, kind: Kind) -> int:
        """Dump a kind, and note what is not as we thought; return how many rows differ.

        What is not as it is wanted is looked at again, too: a round that the datapath cut short
        may have had it in hand.
        """
        with self._state.dumping() as lose_again:
            batches = [batch async for batch in self._datapath.dump(kind)]
        if kind is Kind.ROUTE:
            differ = self._compare_routes([b for b in batches if isinstance(b, RouteBatch)])
        else:
            differ = self._compare_records(kind, _records(batches))
            complete = self._state.complete(kind)
            self._state.records[kind].touch_unsettled(complete=complete)
        lose_again()
        if kind is Kind.NEXTHOP:
            self._note_nexthops()
        return differ

    def _compare_records(self, kind: Kind, dumped: Iterable[Record]) -> int:
        table = self._state.records[kind]
        there = {record.key: record for record in dumped}
        differ = 0
        for programmed in list(table.all_programmed()):
            actual = there.get(programmed.key)
            if actual is None:
                differ += self._state.lost_records((programmed,))
            elif actual != programmed:
                differ += self._state.changed(actual)
        for record in there.values():
            if table.programmed(record.key) is None and table.desired(record.key) is None:
                table.adopt(record, now=self._now())
                if self._state.complete(kind):
                    table.touch(record.key)
                differ += 1
        return differ

    def _compare_routes(self, batches: Sequence[RouteBatch]) -> int:
        for table in self._state.rib:
            table.begin_compare()
        for batch in batches:
            self._state.adopt(batch)
        synced = self._state.complete(Kind.ROUTE)
        differ = sum(table.end_compare(synced=synced) for table in self._state.rib)
        self._state.repaired += differ
        return differ

    async def audit(self, limit: int) -> Audited:
        """Compare what is wanted, given and there, now; name `limit` rows and change nothing."""
        async with self._busy:
            found = [row for kind in self._kinds() for row in await self._audit_records(kind)]
            differed = len(found)
            for vrf, (problem, prefixes, lengths) in await self._audit_routes():
                differed += len(lengths)
                left = max(limit - len(found), 0)
                for prefix, length in zip(prefixes[:left], lengths[:left], strict=True):
                    text = prefix_text(prefix.tobytes(), int(length))
                    found.append(Difference(Kind.ROUTE, vrf, text, problem))
            return Audited(differed, tuple(found[:limit]))

    async def _audit_records(self, kind: Kind) -> list[Difference]:
        there = {r.key: r for r in _records([b async for b in self._datapath.dump(kind)])}
        given = {record.key: record for record in self._state.records[kind].all_programmed()}
        refused = {record.key: record for record in self._state.records[kind].refused()}
        found = []
        for key in given.keys() | there.keys() | refused.keys():
            if given.get(key) == there.get(key):
                if key not in refused:
                    continue
                problem = Problem.REFUSED
            elif key not in there:
                problem = Problem.MISSING
            else:
                problem = Problem.DIFFERENT if key in given else Problem.UNEXPECTED
            text, _ = describe(given.get(key) or there.get(key) or refused[key])
            found.append(Difference(kind, "", text, problem))
        return sorted(found, key=lambda row: row.text)

    async def _audit_routes(self) -> list[tuple[str, Differing]]:
        nexthops = self._state.records[Kind.NEXTHOP].refused()
        refused = np.array([n.id for n in nexthops if isinstance(n, Nexthop)], np.uint32)
        batches = [batch async for batch in self._datapath.dump(Kind.ROUTE)]
        by_table: dict[tuple[str, Family], list[RouteBatch]] = {}
        for batch in batches:
            if isinstance(batch, RouteBatch):
                by_table.setdefault((batch.vrf, batch.family), []).append(batch)
        tables = [self._state.rib.table(*key) for key in by_table]
        tables += [t for t in self._state.rib if (t.vrf, t.family) not in by_table]
        return [
            (table.vrf, differing)
            for table in tables
            for differing in table.audit(by_table.get((table.vrf, table.family), []), refused)
        ]

    async def resync(self) -> int:
        """Compare everything now; what differs is repaired next. Return how many rows differed."""
        async with self._busy:
            differ = sum([await self.compare(kind) for kind in (*self._kinds(), Kind.ROUTE)])
        self.wake()
        return differ

    def _kinds(self) -> tuple[Kind, ...]:
        """Return the kinds of records that the datapath takes, in the order of programming."""
        return tuple(kind for kind in KINDS if self._state.records[kind].managed)

    def _now(self) -> float:
        return self._clock.epoch()


class _Applying:
    """A batch of routes on its way into the datapath."""

    def __init__(
        self, datapath: Datapath, table: RouteTable, slots: Slots, batch: RouteBatch
    ) -> None:
        self._datapath = datapath
        self._task: asyncio.Task[Sequence[RowFailure]] | None = None
        self.table, self.slots, self.batch = table, slots, batch

    def start(self) -> None:
        """Begin while the caller goes on; otherwise `failures` begins, which is quicker for few."""
        self._task = asyncio.ensure_future(self._datapath.apply(self.batch))

    async def failures(self) -> Sequence[RowFailure]:
        """Return what was refused. Raises Unavailable; the rows are to be looked at again."""
        try:
            return await (self._task or self._datapath.apply(self.batch))
        except BaseException:
            self.table.abandon(self.slots)
            raise

    async def call_off(self) -> None:
        """The batch before it got no answer: nobody is to wait for this one."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        self.table.abandon(self.slots)


def _least(rows: int, left: int | None) -> int:
    return rows if left is None else max(0, min(rows, left))


def _records(batches: Iterable[Batch]) -> Iterator[Record]:
    for batch in batches:
        if isinstance(batch, RecordBatch):
            yield from batch.upserts


def _why(failure: RowFailure) -> str:
    return f"{failure.error}: {failure.reason}" if failure.reason else failure.error
