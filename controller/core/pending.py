"""Routes that differ from the datapath, and their way to the datapath.

A row is at rest when its target (the result of `RouteColumns.target`) equals `programmed`, and it
has no flag. Any other row is on its way, and its flags show where:

    QUEUED      in the queue of upserts or of withdrawals, exactly once
    PARKED      QUEUED too, but set aside: its nexthop is not in the datapath
    IN_FLIGHT   handed out by `next_batch`; the caller must still call `applied` or `abandon`
    LOST        IN_FLIGHT too, and another program removed it from the datapath meanwhile
    FAILED      refused; not queued until `retry`, or until its target changes

The queues contain slots, never operations. `next_batch` compares a row only when it hands the row
out, so any number of changes before that is one change, and a row that is at rest again costs
nothing.

An example with numbers. 10.0.0.0/8 has programmed = 7.

    FRR withdraws it               target 0   QUEUED in withdrawals
    FRR announces it by nexthop 9  target 9   QUEUED still; stays in the queue of withdrawals
    next_batch(WITHDRAW)           target 9, not 0: moves to the queue of upserts, nothing is sent
    next_batch(UPSERT), 9 missing  QUEUED | PARKED
    nexthop 9 programmed, unpark   QUEUED in upserts
    next_batch(UPSERT)             IN_FLIGHT; the batch replaces 7 by 9 in one step
    FRR announces nexthop 7        target 7   IN_FLIGHT | QUEUED: handled once 9 is settled
    next_batch(UPSERT)             skipped, as it is in flight: one batch at a time has a row
    applied                        programmed 9, target 7: QUEUED; the next batch puts 7 back

A row has at most one batch in flight, because the datapath may apply two batches in any order: the
first one could overwrite the outcome of the second.

LOST exists because the notification of a removal and the acknowledgement of a write are not
ordered. If the row is removed while its write is in flight, their order is unknown; so `applied`
notes the row as not programmed, and it is written once more.

Rejected: a queue of operations (ten flaps are ten writes, and an update that overtakes a withdrawal
deletes the route); a scan for rows that differ (a million rows take 8 ms, after every change); one
flag per queue (a row may be in the wrong queue; moving it when its turn comes is cheaper than
removing it from the middle of an array).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from controller.core.routecolumns import FAILED, IN_FLIGHT, LOST, PARKED, QUEUED, Mask, RouteColumns
from dualpath.model.routes import U32, Family, Op, RouteBatch
from dualpath.model.slotqueue import SlotQueue
from dualpath.model.table import Slots, distinct

Usable = Callable[[U32], Mask]
"""Returns for each nexthop id whether a route may use it now."""


class PendingRoutes:
    """Hands out the differing rows of one table, and notes the outcome."""

    def __init__(self, rows: RouteColumns, on_busy: Callable[[], None] = lambda: None) -> None:
        self._rows = rows
        self._on_busy = on_busy
        # Linux adds IPv4 routes fastest in distant order (see `slotqueue`), and IPv6 in zebra's
        # order.
        spread = rows.family is Family.INET
        self._queues = {op: SlotQueue(spread=spread) for op in (Op.UPSERT, Op.WITHDRAW)}
        self._parked = SlotQueue()
        self._any_failed = False  # some row may be FAILED; saves a scan after every change

    def next_batch(self, limit: int, usable: Usable, op: Op) -> tuple[Slots, RouteBatch] | None:
        """Return the next rows to upsert or withdraw, at most `limit`; None if none is left.

        The caller applies them and calls `applied` or `abandon`, in any order of batches.
        """
        queue, rows = self._queues[op], self._rows
        while queue and limit:
            slots = queue.take(limit)
            rows.clear_flags(slots, QUEUED)
            busy = rows.flagged(slots, IN_FLIGHT)
            if busy.any():
                slots = slots[~busy]  # `applied` queues them again
            target = rows.target(slots)
            differs = target != rows["programmed"][slots]
            fits = differs & ((target != 0) if op is Op.UPSERT else (target == 0))
            self.enqueue(slots[differs & ~fits])
            self._settle(slots[~differs])
            slots, target = slots[fits], target[fits]
            if op is Op.UPSERT and len(slots):
                ready = usable(target)
                if not ready.all():
                    self._park(slots[~ready])
                    slots, target = slots[ready], target[ready]
            if len(slots):
                rows.set_flags(slots, IN_FLIGHT)
                return slots, rows.batch(slots, target, op)
        return None

    @property
    def idle(self) -> bool:
        """Whether no row is queued or refused. Calls `on_busy` when that may change."""
        return not (self._any_failed or self._parked or any(self._queues.values()))

    def seal(self, op: Op) -> int:
        """Hand out all rows that are queued now before later ones; return their number.

        The number includes rows that will turn out to be at rest.
        """
        return self._queues[op].seal()

    def applied(self, slots: Slots, batch: RouteBatch, failures: Iterable[tuple[int, int]]) -> None:
        """Note the outcome of a batch: all its rows are in the datapath, except the failures."""
        lost = slots[self._rows.flagged(slots, LOST)]
        self._rows.clear_flags(slots, IN_FLIGHT | LOST)
        self._note(slots, batch.nexthops, failures)
        if len(lost):
            self.unprogram(lost)  # removed before or after the write: the order is unknown

    def abandon(self, slots: Slots) -> None:
        """Queue the rows of a batch again: it is unknown whether the datapath applied it."""
        self._rows.clear_flags(slots, IN_FLIGHT | LOST)
        self.enqueue(slots)

    def lost(self, slots: Slots) -> int:
        """Note that rows are no longer in the datapath; return how many were programmed.

        The outcome of rows in flight is noted by `applied`.
        """
        in_flight = slots[self._rows.flagged(slots, IN_FLIGHT)]
        self._rows.set_flags(in_flight, LOST)
        new = int(np.count_nonzero(self._rows["programmed"][in_flight] == 0))
        return self.unprogram(slots) + new

    def enqueue(self, slots: Slots) -> None:
        """Queue the rows that are not at rest, each once."""
        if not len(slots):
            return
        rows = self._rows
        if self._parked and rows.flagged(slots, PARKED).any():
            self.unpark()  # their new target may not need the nexthop that they wait for
        slots = distinct(slots[~rows.flagged(slots, QUEUED)])
        target = rows.target(slots)
        differs = target != rows["programmed"][slots]
        self._settle(slots[~differs])
        slots, target = slots[differs], target[differs]
        if not len(slots):
            return
        rows.set_flags(slots, QUEUED)
        self._on_busy()
        self._queues[Op.UPSERT].append(slots[target != 0])
        self._queues[Op.WITHDRAW].append(slots[target == 0])

    def unprogram(self, slots: Slots) -> int:
        """Note that rows are not in the datapath; return how many were programmed."""
        programmed = slots[self._rows["programmed"][slots] != 0]
        self._rows["programmed"][programmed] = 0
        self.enqueue(programmed)
        return len(programmed)

    def unpark(self) -> None:
        """Queue the parked rows, because nexthops were programmed."""
        for slots in self._parked:
            self._rows.clear_flags(slots, PARKED)
            self._queues[Op.UPSERT].append(slots)
        self._parked.clear()

    def retry(self) -> None:
        """Queue the refused rows again."""
        if self._any_failed:
            slots = self._rows.slots()
            self.enqueue(slots[self._rows.flagged(slots, FAILED)])

    @property
    def failed(self) -> bool:
        """Whether the datapath refuses any row."""
        if self._any_failed:
            self._any_failed = bool(self._rows.flagged(self._rows.slots(), FAILED).any())
        return self._any_failed

    def _park(self, slots: Slots) -> None:
        self._on_busy()
        self._parked.append(slots)
        self._rows.set_flags(slots, QUEUED | PARKED)

    def _note(self, slots: Slots, given: U32, failures: Iterable[tuple[int, int]]) -> None:
        numbers = dict(failures)
        if not numbers:
            self._program(slots, given)
            return
        good = np.ones(len(slots), np.bool_)
        good[list(numbers)] = False
        self._program(slots[good], given[good])
        self._fail(slots[~good], given[~good], [numbers[index] for index in sorted(numbers)])

    def _program(self, slots: Slots, given: U32) -> None:
        """Note rows as programmed; their target may have changed since they were handed out."""
        self._rows["programmed"][slots] = given
        self._clear_failure(slots)
        self.enqueue(slots)

    def _fail(self, slots: Slots, given: U32, numbers: Sequence[int]) -> None:
        """Note rows as refused, and queue those whose target has changed meanwhile."""
        self._any_failed = True
        self._on_busy()
        self._rows["errno"][slots] = np.where(np.array(numbers) < 256, numbers, errno.EIO)
        self._rows.set_flags(slots, FAILED)
        changed = self._rows.target(slots) != given
        self.enqueue(slots[changed])
        self._remove_unused(slots[~changed])

    def _settle(self, slots: Slots) -> None:
        """Note rows as at rest: a refused route is no longer their target."""
        if len(slots):
            self._clear_failure(slots)
            self._remove_unused(slots)

    def _clear_failure(self, slots: Slots) -> None:
        if self._any_failed:
            self._rows.clear_flags(slots, FAILED)
            self._rows["errno"][slots] = 0

    def _remove_unused(self, slots: Slots) -> None:
        """Remove rows neither desired nor programmed, unless a queue or a batch has their slot."""
        rows = self._rows
        idle = slots[rows["desired"][slots] == 0]
        if len(idle):
            unused = (rows["programmed"][idle] == 0) & ~rows.flagged(idle, QUEUED | IN_FLIGHT)
            rows.remove(idle[unused])
