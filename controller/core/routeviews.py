"""Read-only queries of a route table: pages, counts, and the results of an audit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from controller.core.routecolumns import FAILED, Mask, RouteColumns
from dualpath.model.kinds import Kind
from dualpath.model.routes import U8, U32, RouteBatch
from dualpath.model.table import Slots, distinct
from dualpath.model.view import KindCount, Problem, RouteRows, RowState

FEW = 32  # comparisons with a column take less time than sorting it once

Differing = tuple[Problem, U8, U8]
"""What an audit found: the problem, and the prefixes and lengths of the rows that have it."""


def page(rows: RouteColumns, start: int, limit: int, generation: int) -> tuple[RouteRows, int]:
    """Return up to `limit` rows from slot `start` on, and the slot to continue at, or -1."""
    slots, following = rows.page(start, limit)
    return show(rows, slots, generation), following


def show(rows: RouteColumns, slots: Slots, generation: int) -> RouteRows:
    prefixes, lengths = rows.prefixes(slots)
    return RouteRows(
        vrf=rows.vrf,
        family=rows.family,
        prefixes=prefixes,
        lengths=lengths,
        protocols=rows["protocol"][slots],
        desired=rows["desired"][slots],
        programmed=rows["programmed"][slots],
        states=_states(rows, slots, generation),
        errors=rows["errno"][slots],
        sessions=rows["session"][slots],
        changed_at=rows["changed_at"][slots],
    )


def count(rows: RouteColumns, generation: int) -> KindCount:
    slots = rows.slots()
    states = np.bincount(_states(rows, slots, generation), minlength=len(RowState) + 1)
    desired = rows["desired"][slots] != 0
    own = desired & rows.kernel_own(slots)
    return KindCount(
        Kind.ROUTE,
        desired=int(np.count_nonzero(desired & ~own)),
        programmed=int(np.count_nonzero(rows["programmed"][slots])),
        failed=int(states[RowState.FAILED]),
        stale=int(states[RowState.STALE]),
        unmanaged=int(np.count_nonzero(own)),
    )


def unsupported(rows: RouteColumns) -> dict[int, int]:
    """Count the rows that no datapath can program, by the reserved nexthop id of the reason."""
    slots = rows.slots()
    found = rows["desired"][slots[rows.unsupported(slots)]]
    ids, counts = np.unique(found, return_counts=True)
    return dict(zip(ids.tolist(), counts.tolist(), strict=True))


def used_nexthops(rows: RouteColumns, ids: AbstractSet[int]) -> set[int]:
    """Return which of these nexthops programmed routes use."""
    programmed = rows["programmed"]  # 0 where a slot is free
    if len(ids) <= FEW:
        return {one for one in ids if (programmed == one).any()}
    return set(distinct(programmed).tolist()) & ids


def audit(rows: RouteColumns, dumped: Sequence[RouteBatch], refused: U32) -> Iterator[Differing]:
    """Yield the rows where observed differs from programmed, or programmed from desired.

    `refused` are the nexthop ids that the datapath refused. Each row is in one result at most.
    """
    seen = np.zeros(len(rows["programmed"]), np.bool_)
    named = np.zeros(len(seen), np.bool_)
    for batch in dumped:
        slots = rows.find(batch)
        known = slots >= 0
        programmed = np.where(known, rows["programmed"][slots], np.uint32(0))
        wrong = programmed != batch.nexthops
        seen[slots[known]] = True
        named[slots[known & wrong]] = True
        for problem, some in (
            (Problem.DIFFERENT, wrong & (programmed != 0)),
            (Problem.UNEXPECTED, wrong & (programmed == 0)),
        ):
            yield problem, batch.prefixes[some], batch.lengths[some]
    slots = rows.slots()
    missing = (rows["programmed"][slots] != 0) & ~seen[slots]
    stuck = _stuck(rows, slots, refused) & ~missing & ~named[slots]
    for problem, some in ((Problem.MISSING, missing), (Problem.REFUSED, stuck)):
        yield problem, *rows.prefixes(slots[some])


def _stuck(rows: RouteColumns, slots: Slots, refused: U32) -> Mask:
    """Return which rows differ from their target and stay so until a retry."""
    target = rows.target(slots)
    failed = rows.flagged(slots, FAILED) | np.isin(target, refused)
    stuck: Mask = failed & (target != rows["programmed"][slots])
    return stuck | rows.unsupported(slots)


def _states(rows: RouteColumns, slots: Slots, generation: int) -> U8:
    desired, programmed = rows["desired"][slots], rows["programmed"][slots]
    target = rows.target(slots)
    failed = rows.flagged(slots, FAILED) | rows.unsupported(slots)
    stale = (programmed != 0) & (rows["generation"][slots] != generation)
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
