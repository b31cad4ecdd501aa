"""Routes as the controller knows them: what is desired and what is programmed, in columns.

A row is at rest when both are the same. Otherwise it is marked, and `take` hands it out; ten
changes before that are one. It owns no clock, no socket and no opinion on order between tables.
"""

from __future__ import annotations

import errno as errnos
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from dualpath.model.kinds import Kind
from dualpath.model.nexthops import FIRST_UNSUPPORTED
from dualpath.model.routes import RTPROT_KERNEL, U8, U32, Family, Op, RouteBatch
from dualpath.model.table import (
    KeyedColumns,
    Slots,
    distinct,
    route_key_words,
    route_keys,
    route_prefixes,
)
from dualpath.model.view import KindCount, Problem, RouteRows, RowState

_MARKED = 1  # to be looked at by `take`
_FAILED = 2  # refused; marked again by `retry`
_TAKEN = 4  # in the datapath's hands, between `take` and `done`
_WAITING = 8  # marked, but its nexthop is not ready
_LOST = 16  # removed by somebody while it was in the datapath's hands

_COLUMNS = {
    "desired": np.uint32,  # nexthop id in the datapath; 0 is not desired
    "programmed": np.uint32,  # nexthop id; 0 is not programmed
    "protocol": np.uint8,
    "flags": np.uint8,
    "errno": np.uint8,
    "generation": np.uint32,  # of the subscription that last said it; 0 is adopted
    "session": np.uint32,
    "changed_at": np.float64,
}

Ready = Callable[[U32], npt.NDArray[np.bool_]]
"""Says for each nexthop id whether a route may use it now."""


Differing = tuple[Problem, U8, U8]
"""What an audit found: what is wrong, and the prefixes and lengths of the rows."""


class RouteTable:
    """The routes of one VRF and family."""

    def __init__(self, vrf: str, family: Family) -> None:
        self.vrf = vrf
        self.family = family
        self.rows = KeyedColumns(route_key_words(family), _COLUMNS)
        self._upserts: list[Slots] = []
        self._withdrawals: list[Slots] = []
        self._waiting: list[Slots] = []  # for their nexthop
        self._before: U32 = np.empty(0, np.uint32)  # `programmed` while comparing
        self._refused = False  # some row may be marked as failed; saves a scan after every change

    # -- what is wanted -------------------------------------------------------------------

    def learn(
        self, batch: RouteBatch, *, generation: int, session: int, now: float
    ) -> tuple[Slots, Slots]:
        """Take FRR's word, with nexthops as ids in the datapath.

        Returns which rows of `batch` changed, and which of these the datapath makes itself.
        """
        slots = self._add(batch)
        rows = self.rows
        before = rows["desired"][slots], rows["protocol"][slots]
        gone = batch.ops == Op.WITHDRAW
        rows["desired"][slots] = np.where(gone, 0, batch.nexthops)
        rows["protocol"][slots] = np.where(gone, before[1], batch.protocols)
        rows["generation"][slots] = generation
        rows["session"][slots] = session
        after = rows["desired"][slots], rows["protocol"][slots]
        changed = np.flatnonzero((before[0] != after[0]) | (before[1] != after[1]))
        rows["changed_at"][slots[changed]] = now
        self._mark(slots)
        return changed, changed[after[1][changed] == RTPROT_KERNEL]

    def settled(self, batch: RouteBatch) -> Slots:
        """Return which rows of `batch` the datapath has already as they are wanted."""
        slots = self.rows.find(route_keys(batch.family, batch.prefixes, batch.lengths))
        there = self.rows["programmed"][slots]
        return np.flatnonzero((slots >= 0) & (there != 0) & (there == self._target(slots)))

    def refused(self, batch: RouteBatch) -> Slots:
        """Return which rows of `batch` no datapath can have."""
        return np.flatnonzero(
            (batch.nexthops >= FIRST_UNSUPPORTED) & (batch.protocols != RTPROT_KERNEL)
        )

    def unsupported(self) -> dict[int, int]:
        """Count the rows that no datapath can have, by the reserved identity of the reason."""
        slots = self.rows.slots()
        found = self.rows["desired"][slots[self._unsupported(slots)]]
        identities, counts = np.unique(found, return_counts=True)
        return dict(zip(identities.tolist(), counts.tolist(), strict=True))

    def adopt(self, batch: RouteBatch, *, now: float) -> None:
        """Take what the datapath holds; it stays until FRR is known to want none of it."""
        slots = self._add(batch)
        self.rows["programmed"][slots] = batch.nexthops
        fresh = slots[self.rows["changed_at"][slots] == 0]
        self.rows["changed_at"][fresh] = now

    def unsaid(self, generation: int) -> RouteBatch:
        """Return what the datapath makes itself and a sweep is about to take, as withdrawals."""
        slots, rows = self.rows.slots(), self.rows
        own = (rows["desired"][slots] != 0) & (rows["protocol"][slots] == RTPROT_KERNEL)
        old = slots[own & (rows["generation"][slots] != generation)]
        return self._batch(old, np.zeros(len(old), np.uint32), Op.WITHDRAW)

    def sweep(self, generation: int, now: float) -> int:
        """Want no more what `generation` has not said; return how many rows."""
        slots = self.rows.slots()
        old = slots[self.rows["generation"][slots] != generation]
        self.rows["desired"][old] = 0
        self.rows["changed_at"][old] = now
        self._mark(old)
        return len(old)

    # -- what is programmed ---------------------------------------------------------------

    def take(self, limit: int, ready: Ready, op: Op) -> tuple[Slots, RouteBatch] | None:
        """Return the next rows to upsert or withdraw, at most `limit`, or None.

        The caller applies them and reports by `done`, in any order; meanwhile nobody is given these
        rows again. A row whose nexthop is not ready waits until `unpark`.
        """
        queue = self._queue(op)
        while queue and limit:
            slots = self._next(queue, limit)
            self.rows["flags"][slots] &= np.uint8(0xFF ^ _MARKED)
            busy = self.rows["flags"][slots] & _TAKEN != 0
            if busy.any():
                slots = slots[~busy]  # `done` marks them again
            target = self._target(slots)
            differs = target != self.rows["programmed"][slots]
            wanted = differs & ((target != 0) if op is Op.UPSERT else (target == 0))
            other = slots[differs & ~wanted]
            self._mark(other)
            self._settle(slots[~differs])
            slots, target = slots[wanted], target[wanted]
            if op is Op.UPSERT and len(slots):
                usable = ready(target)
                if not usable.all():
                    self._waiting.append(slots[~usable])
                    self.rows["flags"][slots[~usable]] |= np.uint8(_MARKED | _WAITING)
                    slots, target = slots[usable], target[usable]
            if len(slots):
                self.rows["flags"][slots] |= np.uint8(_TAKEN)
                return slots, self._batch(slots, target, op)
        return None

    def marked(self, op: Op) -> int:
        """Count the rows that wait for a `take`, some of them in vain."""
        return sum(map(len, self._queue(op)))

    def done(self, slots: Slots, batch: RouteBatch, failures: Iterable[tuple[int, str]]) -> None:
        """Note that the rows of `take` are in the datapath, but for those that failed."""
        lost = slots[self.rows["flags"][slots] & _LOST != 0]
        self.rows["flags"][slots] &= np.uint8(0xFF ^ (_TAKEN | _LOST))
        self._note(slots, batch, failures)
        if len(lost):
            self._unprogram(lost)  # before or after it was made: nobody knows

    def _note(self, slots: Slots, batch: RouteBatch, failures: Iterable[tuple[int, str]]) -> None:
        bad = {index: getattr(errnos, name, errnos.EIO) for index, name in failures}
        if not bad:
            self._make(slots, batch.nexthops)
            return
        good = np.ones(len(slots), np.bool_)
        good[list(bad)] = False
        self._make(slots[good], batch.nexthops[good])
        self._fail(slots[~good], batch.nexthops[~good], [bad[index] for index in sorted(bad)])

    def abandon(self, slots: Slots) -> None:
        """Take back the rows of a `take` of which nobody knows whether they were applied."""
        self.rows["flags"][slots] &= np.uint8(0xFF ^ (_TAKEN | _LOST))
        self._mark(slots)

    def lost(self, batch: RouteBatch) -> int:
        """Note that rows are no longer in the datapath; return how many were thought to be.

        Of rows in the datapath's hands that is done by `done`.
        """
        slots = self.rows.find(route_keys(batch.family, batch.prefixes, batch.lengths))
        slots = distinct(slots[slots >= 0])
        taken = slots[self.rows["flags"][slots] & _TAKEN != 0]
        self.rows["flags"][taken] |= np.uint8(_LOST)
        unmade = int(np.count_nonzero(self.rows["programmed"][taken] == 0))
        return self._unprogram(slots) + unmade

    def begin_compare(self) -> None:
        """Nothing is known of the datapath any more: `adopt` says it anew, then `end_compare`."""
        self._before = self.rows["programmed"].copy()
        self.rows["programmed"][:] = 0

    def end_compare(self, *, synced: bool) -> int:
        """Mark what is not at rest; return how many rows the datapath had otherwise.

        Until FRR has said everything, what it has not said is not yet to be withdrawn.
        """
        slots = self.rows.slots()
        before = np.zeros(len(self.rows["programmed"]), np.uint32)
        before[: len(self._before)] = self._before
        self._before = before[:0]
        unsaid = (self.rows["desired"][slots] == 0) & (self.rows["programmed"][slots] != 0)
        self._mark(slots if synced else slots[~unsaid])
        return int(np.count_nonzero(before[slots] != self.rows["programmed"][slots]))

    def lost_nexthop(self, identity: int) -> int:
        """Note that a nexthop went, and with it all routes that used it."""
        slots = self.rows.slots()
        return self._unprogram(slots[self.rows["programmed"][slots] == identity])

    def audit(self, batches: Sequence[RouteBatch], refused: U32) -> Iterator[Differing]:
        """Yield where the datapath holds not what it was given, or was given not what is wanted.

        `refused` are the nexthops that the datapath did not take. A row is named once.
        """
        seen = np.zeros(len(self.rows["programmed"]), np.bool_)
        named = np.zeros(len(seen), np.bool_)
        for batch in batches:
            slots = self.rows.find(route_keys(batch.family, batch.prefixes, batch.lengths))
            known = slots >= 0
            given = np.where(known, self.rows["programmed"][slots], np.uint32(0))
            wrong = given != batch.nexthops
            seen[slots[known]] = True
            named[slots[known & wrong]] = True
            for problem, some in (
                (Problem.DIFFERENT, wrong & (given != 0)),
                (Problem.UNEXPECTED, wrong & (given == 0)),
            ):
                yield problem, batch.prefixes[some], batch.lengths[some]
        slots = self.rows.slots()
        missing = (self.rows["programmed"][slots] != 0) & ~seen[slots]
        unmet = self._unmet(slots, refused) & ~missing & ~named[slots]
        for problem, some in ((Problem.MISSING, missing), (Problem.REFUSED, unmet)):
            yield problem, *route_prefixes(self.family, self.rows.keys(slots[some]))

    def unpark(self) -> None:
        """Nexthops came: rows that waited may go."""
        for slots in self._waiting:
            self.rows["flags"][slots] &= np.uint8(0xFF ^ _WAITING)
        self._upserts += self._waiting
        self._waiting = []

    def retry(self) -> None:
        """Try again what was refused."""
        if not self._refused:
            return
        slots = self.rows.slots()
        failed = slots[self.rows["flags"][slots] & _FAILED != 0]
        self._mark(failed)

    @property
    def failed(self) -> bool:
        if self._refused:
            slots = self.rows.slots()
            self._refused = bool((self.rows["flags"][slots] & _FAILED).any())
        return self._refused

    def used(self) -> set[int]:
        """Return the nexthop ids that programmed routes use."""
        return set(distinct(self.rows["programmed"][self.rows.slots()]).tolist()) - {0}

    # -- to be shown ----------------------------------------------------------------------

    def page(self, start: int, limit: int, generation: int) -> tuple[RouteRows, int]:
        slots, following = self.rows.page(start, limit)
        return self.show(slots, generation), following

    def show(self, slots: Slots, generation: int) -> RouteRows:
        prefixes, lengths = route_prefixes(self.family, self.rows.keys(slots))
        return RouteRows(
            vrf=self.vrf,
            family=self.family,
            prefixes=prefixes,
            lengths=lengths,
            protocols=self.rows["protocol"][slots],
            desired=self.rows["desired"][slots],
            programmed=self.rows["programmed"][slots],
            states=self._states(slots, generation),
            errors=self.rows["errno"][slots],
            sessions=self.rows["session"][slots],
            changed_at=self.rows["changed_at"][slots],
        )

    def count(self, generation: int) -> KindCount:
        slots = self.rows.slots()
        states = np.bincount(self._states(slots, generation), minlength=len(RowState) + 1)
        desired = self.rows["desired"][slots] != 0
        own = desired & (self.rows["protocol"][slots] == RTPROT_KERNEL)
        return KindCount(
            Kind.ROUTE,
            desired=int(np.count_nonzero(desired & ~own)),
            programmed=int(np.count_nonzero(self.rows["programmed"][slots])),
            failed=int(states[RowState.FAILED]),
            stale=int(states[RowState.STALE]),
            unmanaged=int(np.count_nonzero(own)),
        )

    def _states(self, slots: Slots, generation: int) -> U8:
        desired, programmed = self.rows["desired"][slots], self.rows["programmed"][slots]
        target = self._target(slots)
        failed = self.rows["flags"][slots] & _FAILED != 0
        failed |= self._unsupported(slots)
        stale = (programmed != 0) & (self.rows["generation"][slots] != generation)
        return np.select(
            [failed, stale, (desired != 0) & (target == 0), target == programmed, target == 0],
            [
                RowState.FAILED,
                RowState.STALE,
                RowState.UNMANAGED,
                RowState.PROGRAMMED,
                RowState.LEAVING,
            ],
            RowState.PENDING,
        ).astype(np.uint8)

    # -- inside ---------------------------------------------------------------------------

    def _add(self, batch: RouteBatch) -> Slots:
        slots, _ = self.rows.add(route_keys(batch.family, batch.prefixes, batch.lengths))
        return slots

    def _target(self, slots: Slots) -> U32:
        """Return what the datapath should have: nothing of what it makes itself or cannot use."""
        desired = self.rows["desired"][slots]
        own = self.rows["protocol"][slots] == RTPROT_KERNEL
        return np.where(own | (desired >= FIRST_UNSUPPORTED), np.uint32(0), desired)

    def _unsupported(self, slots: Slots) -> npt.NDArray[np.bool_]:
        """Return which rows FRR wants in a way that no datapath can have."""
        own = self.rows["protocol"][slots] == RTPROT_KERNEL
        unsupported: npt.NDArray[np.bool_] = self.rows["desired"][slots] >= FIRST_UNSUPPORTED
        unsupported &= ~own
        return unsupported

    def _unmet(self, slots: Slots, refused: U32) -> npt.NDArray[np.bool_]:
        """Return which rows are not as they are wanted, and will not be before a retry."""
        target = self._target(slots)
        stuck = (self.rows["flags"][slots] & _FAILED != 0) | np.isin(target, refused)
        unmet: npt.NDArray[np.bool_] = stuck & (target != self.rows["programmed"][slots])
        unmet |= self._unsupported(slots)
        return unmet

    def _mark(self, slots: Slots) -> None:
        """Queue rows that are not at rest, each once."""
        if not len(slots):
            return
        flags = self.rows["flags"]
        if self._waiting and (flags[slots] & _WAITING).any():
            self.unpark()  # what is wanted of a row may no longer need that nexthop
        slots = distinct(slots[flags[slots] & _MARKED == 0])
        target = self._target(slots)
        differs = target != self.rows["programmed"][slots]
        self._settle(slots[~differs])
        slots, target = slots[differs], target[differs]
        flags[slots] |= np.uint8(_MARKED)
        for queue, some in (
            (self._upserts, slots[target != 0]),
            (self._withdrawals, slots[target == 0]),
        ):
            if len(some):
                queue.append(some)

    def _settle(self, slots: Slots) -> None:
        """Rows are as they should be: whatever was refused of them is wanted no more."""
        if len(slots):
            self._pardon(slots)
            self._forget(slots)

    def _pardon(self, slots: Slots) -> None:
        """Rows are no longer refused."""
        if self._refused:
            self.rows["flags"][slots] &= np.uint8(0xFF ^ _FAILED)
            self.rows["errno"][slots] = 0

    def _make(self, slots: Slots, given: U32) -> None:
        """Rows are as they were given; what is wanted may have changed since."""
        self.rows["programmed"][slots] = given
        self._pardon(slots)
        self._mark(slots)

    def _fail(self, slots: Slots, given: U32, numbers: Sequence[int]) -> None:
        """Rows were refused. What was not even wanted any more of them is looked at again."""
        self._refused = True
        self.rows["errno"][slots] = np.minimum(numbers, 255)
        self.rows["flags"][slots] |= np.uint8(_FAILED)
        otherwise = self._target(slots) != given
        self._mark(slots[otherwise])
        self._forget(slots[~otherwise])

    def _forget(self, slots: Slots) -> None:
        """Remove rows that are neither desired nor programmed, unless someone has their slot."""
        rows = self.rows
        idle = slots[rows["desired"][slots] == 0]
        if len(idle):
            unused = rows["programmed"][idle] == 0
            rows.remove(idle[unused & (rows["flags"][idle] & (_MARKED | _TAKEN) == 0)])

    def _unprogram(self, slots: Slots) -> int:
        there = slots[self.rows["programmed"][slots] != 0]
        self.rows["programmed"][there] = 0
        self._mark(there)
        return len(there)

    def _queue(self, op: Op) -> list[Slots]:
        return self._upserts if op is Op.UPSERT else self._withdrawals

    @staticmethod
    def _next(queue: list[Slots], limit: int) -> Slots:
        taken: list[Slots] = []
        room = limit
        while queue and room > 0:
            chunk = queue.pop(0)
            if len(chunk) > room:
                queue.insert(0, chunk[room:])
                chunk = chunk[:room]
            taken.append(chunk)
            room -= len(chunk)
        return np.concatenate(taken) if len(taken) > 1 else taken[0]

    def _batch(self, slots: Slots, target: U32, op: Op) -> RouteBatch:
        prefixes, lengths = route_prefixes(self.family, self.rows.keys(slots))
        n = len(slots)
        return RouteBatch(
            vrf=self.vrf,
            family=self.family,
            ops=np.full(n, op, np.uint8),
            prefixes=prefixes,
            lengths=lengths,
            protocols=self.rows["protocol"][slots],
            nexthops=target.astype(np.uint32, copy=False),
        )


class Rib:
    """Every VRF's routes."""

    def __init__(self) -> None:
        self._tables: dict[tuple[str, Family], RouteTable] = {}

    def table(self, vrf: str, family: Family) -> RouteTable:
        """Return a table, made now if need be."""
        key = vrf, family
        if key not in self._tables:
            self._tables[key] = RouteTable(vrf, family)
        return self._tables[key]

    def tables(self) -> Sequence[RouteTable]:
        return list(self._tables.values())

    def __iter__(self) -> Iterator[RouteTable]:
        return iter(self.tables())
