"""Desired and programmed routes: which rows form a batch or return, and that none is mixed up."""

from __future__ import annotations

import errno

import numpy as np
import numpy.typing as npt
import pytest

from controller.core import routeviews
from controller.core.rib import Rib, RouteTable
from dualpath.model.nexthops import unsupported
from dualpath.model.routes import RTPROT_KERNEL, U32, Family, Op, RouteBatch
from dualpath.model.slotqueue import FEW
from dualpath.model.table import Slots
from dualpath.model.view import RowState
from tests.fakes.batches import batch, rows_of

A, B, C = "10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"
A6 = "2001:db8::/32"


def every(ids: U32) -> npt.NDArray[np.bool_]:
    return np.ones(len(ids), np.bool_)


def none(ids: U32) -> npt.NDArray[np.bool_]:
    return np.zeros(len(ids), np.bool_)


class Table:
    """A route table with shorthands for tests."""

    def __init__(self, *programmed: str, family: Family = Family.INET) -> None:
        self.table = RouteTable("default", family)
        if programmed:
            self.learn(*programmed)
            self.apply()

    def learn(self, *rows: str, generation: int = 1) -> int:
        changed, _ = self.table.learn(batch(*rows), generation=generation, session=1, now=5.0)
        return len(changed)

    def take(self, op: Op = Op.UPSERT, limit: int = 100) -> tuple[Slots, RouteBatch] | None:
        return self.table.pending.next_batch(limit, every, op)

    def begin(self, op: Op = Op.UPSERT) -> tuple[Slots, RouteBatch]:
        """Take the pending batch, which must exist."""
        taken = self.take(op)
        assert taken
        return taken

    def rows(self, op: Op = Op.UPSERT) -> dict[str, int]:
        """Take every pending row; return nexthops by prefix."""
        taken = self.take(op)
        return rows_of(taken[1]) if taken else {}

    def apply(self) -> dict[str, int]:
        """Apply every pending row; return the rows."""
        applied: dict[str, int] = {}
        for op in (Op.UPSERT, Op.WITHDRAW, Op.UPSERT):
            while taken := self.take(op):
                self.table.pending.applied(*taken, [])
                applied |= rows_of(taken[1])
        return applied

    def states(self, generation: int = 1) -> dict[str, RowState]:
        shown, _ = routeviews.page(self.table.rows, 0, 100, generation)
        texts = [
            ".".join(map(str, prefix)) + f"/{length}"
            for prefix, length in zip(shown.prefixes.tolist(), shown.lengths.tolist(), strict=True)
        ]
        return dict(zip(texts, map(RowState, shown.states.tolist()), strict=True))


def test_a_route_is_taken_once() -> None:
    """Invariant 4."""
    made = Table()
    assert made.learn(f"+ {A} 1") == 1
    assert made.apply() == {A: 1}
    assert made.learn(f"+ {A} 1", generation=2) == 0
    assert made.apply() == {}


def test_ten_changes_before_the_datapath_looks_are_one() -> None:
    made = Table()
    for nexthop in range(1, 11):
        made.learn(f"+ {A} {nexthop}")
        made.learn(f"- {A}")
    made.learn(f"+ {A} 11")
    assert made.apply() == {A: 11}


def test_a_withdrawal_leaves_no_row() -> None:
    made = Table(f"+ {A} 1")
    made.learn(f"- {A}", f"- {B}")
    assert made.rows() == {}
    assert made.apply() == {A: 0}
    assert len(made.table.rows) == 0


def test_a_route_announced_again_before_its_withdrawal_is_left_alone() -> None:
    made = Table(f"+ {A} 1")
    made.learn(f"- {A}")
    made.learn(f"+ {A} 1")
    assert made.apply() == {}


def test_a_route_announced_again_with_another_nexthop_is_a_replace() -> None:
    made = Table(f"+ {A} 1")
    made.learn(f"- {A}")
    made.learn(f"+ {A} 2")
    assert made.rows(Op.WITHDRAW) == {}
    assert made.rows() == {A: 2}


def test_a_change_while_the_datapath_is_at_work_is_taken_next() -> None:
    made = Table()
    made.learn(f"+ {A} 1")
    taken = made.begin()
    made.learn(f"+ {A} 2")
    made.table.pending.applied(*taken, [])
    assert made.apply() == {A: 2}


def test_a_withdrawal_while_the_datapath_is_at_work_is_taken_next() -> None:
    made = Table()
    made.learn(f"+ {A} 1")
    taken = made.begin()
    made.learn(f"- {A}")
    assert len(made.table.rows) == 1
    made.table.pending.applied(*taken, [])
    assert made.apply() == {A: 0}
    assert len(made.table.rows) == 0


def test_a_row_in_flight_is_in_no_other_batch() -> None:
    made = Table()
    made.learn(f"+ {A} 1", f"+ {B} 1")
    first = made.begin()
    made.learn(f"+ {A} 2", f"+ {C} 1")
    second = made.begin()
    assert rows_of(second[1]) == {C: 1}
    made.table.pending.applied(*second, [])
    made.table.pending.applied(*first, [])
    assert made.apply() == {A: 2}


def test_a_refused_row_with_a_new_target_is_applied_next() -> None:
    made = Table()
    made.learn(f"+ {A} 1")
    first = made.begin()
    made.learn(f"+ {A} 2")
    assert made.take() is None
    made.table.pending.applied(*first, [(0, errno.EINVAL)])
    assert made.apply() == {A: 2}
    assert not made.table.pending.failed


@pytest.mark.parametrize("lost", [False, True])
def test_a_refused_row_withdrawn_in_flight_is_removed(lost: bool) -> None:
    made = Table(f"+ {A} 1") if lost else Table()
    made.learn(f"- {A}" if lost else f"+ {A} 1")
    taken = made.begin(Op.WITHDRAW if lost else Op.UPSERT)
    if lost:
        assert made.table.lost(batch(f"- {A}")) == 1
    else:
        made.learn(f"- {A}")
    made.table.pending.applied(*taken, [(0, errno.EINVAL)])
    assert (len(made.table.rows), made.apply()) == (0, {})


def test_a_refused_row_is_kept_and_tried_again() -> None:
    made = Table()
    made.learn(f"+ {A} 1", f"+ {B} 1")
    taken = made.begin()
    made.table.pending.applied(*taken, [(1, errno.ENETUNREACH)])
    assert made.states() == {A: RowState.PROGRAMMED, B: RowState.FAILED}
    shown, _ = routeviews.page(made.table.rows, 0, 9, 1)
    assert shown.errors.tolist() == [0, errno.ENETUNREACH]
    assert made.table.pending.failed
    assert made.rows() == {}
    made.table.pending.retry()
    assert made.apply() == {B: 1}
    assert not made.table.pending.failed


def test_a_refused_row_that_is_withdrawn_is_removed() -> None:
    made = Table()
    made.learn(f"+ {A} 1")
    taken = made.begin()
    made.table.pending.applied(*taken, [(0, errno.EINVAL)])
    made.learn(f"- {A}")
    assert (len(made.table.rows), made.table.pending.failed) == (0, False)


def test_a_refused_change_that_frr_reverts_is_no_failure() -> None:
    made = Table(f"+ {A} 1")
    made.learn(f"+ {A} 2")
    taken = made.begin()
    made.table.pending.applied(*taken, [(0, errno.EINVAL)])
    made.learn(f"+ {A} 1")
    assert not made.table.pending.failed
    assert made.states() == {A: RowState.PROGRAMMED}


def test_an_errno_beyond_the_column_is_still_a_failure() -> None:
    made = Table()
    made.learn(f"+ {A} 1")
    taken = made.begin()
    made.table.pending.applied(*taken, [(0, 524)])
    assert routeviews.page(made.table.rows, 0, 9, 1)[0].errors.tolist() == [errno.EIO]


def test_an_abandoned_take_is_taken_again() -> None:
    made = Table(f"+ {B} 1")
    made.learn(f"+ {A} 1", f"- {B}")
    for op in (Op.UPSERT, Op.WITHDRAW):
        taken = made.begin(op)
        made.table.pending.abandon(taken[0])
    assert made.apply() == {A: 1, B: 0}


def test_an_abandoned_row_that_was_withdrawn_is_gone() -> None:
    made = Table()
    made.learn(f"+ {A} 1")
    taken = made.begin()
    made.learn(f"- {A}")
    made.table.pending.abandon(taken[0])
    assert len(made.table.rows) == 0


def test_a_row_waits_for_its_nexthop() -> None:
    """Invariant 3."""
    made = Table()
    made.learn(f"+ {A} 1", f"+ {B} 2")
    taken = made.table.pending.next_batch(9, lambda ids: ids == 2, Op.UPSERT)
    assert taken
    assert rows_of(taken[1]) == {B: 2}
    made.table.pending.applied(*taken, [])
    assert made.rows() == {}
    made.table.pending.unpark()
    assert made.rows() == {A: 1}


@pytest.mark.parametrize(("change", "result"), [(f"- {A}", 0), (f"+ {A} 3", 3)])
def test_a_waiting_row_that_changes_waits_no_longer(change: str, result: int) -> None:
    made = Table(f"+ {A} 1")
    made.learn(f"+ {A} 2")
    assert made.table.pending.next_batch(9, none, Op.UPSERT) is None
    made.learn(change)
    assert made.apply() == {A: result}


def test_a_waiting_row_is_swept() -> None:
    made = Table(f"+ {A} 1")
    made.learn(f"+ {A} 2")
    assert made.table.pending.next_batch(9, none, Op.UPSERT) is None
    made.table.sweep(2, 6.0)
    assert made.apply() == {A: 0}


def test_adopted_rows_stay_until_they_are_swept() -> None:
    """Invariants 1 and 2."""
    made = Table()
    made.table.adopt(batch(f"+ {A} 1", f"+ {B} 1"), now=1.0)
    made.learn(f"+ {A} 1")
    assert made.apply() == {}
    assert made.states() == {A: RowState.PROGRAMMED, B: RowState.STALE}
    assert made.table.sweep(1, 2.0) == 1
    assert made.apply() == {B: 0}


def test_a_lost_row_is_programmed_again() -> None:
    made = Table(f"+ {A} 1", f"+ {B} 1")
    assert made.table.lost(batch(f"+ {A} 1", f"+ {A} 1", f"+ {C} 1")) == 1
    assert made.states() == {A: RowState.PENDING, B: RowState.PROGRAMMED}
    assert made.apply() == {A: 1}


def test_a_lost_row_that_was_leaving_is_gone() -> None:
    made = Table(f"+ {A} 1")
    made.learn(f"- {A}")
    assert made.table.lost(batch(f"+ {A} 1")) == 1
    assert made.apply() == {}
    assert len(made.table.rows) == 0


def test_routes_go_with_their_nexthop() -> None:
    made = Table(f"+ {A} 1", f"+ {B} 2")
    assert made.table.lost_nexthops({1}) == 1
    assert routeviews.used_nexthops(made.table.rows, {1, 2}) == {2}
    assert routeviews.used_nexthops(made.table.rows, set(range(1, 99))) == {2}
    assert made.apply() == {A: 1}


def test_a_comparison_finds_what_differs() -> None:
    made = Table(f"+ {A} 1", f"+ {B} 1")
    made.table.begin_compare()
    made.table.adopt(batch(f"+ {A} 9", f"+ {C} 5"), now=3.0)
    assert made.table.end_compare(synced=True) == 3
    assert made.apply() == {A: 1, B: 1, C: 0}


def test_a_comparison_with_no_difference_changes_nothing() -> None:
    made = Table(f"+ {A} 1")
    made.table.begin_compare()
    made.table.adopt(batch(f"+ {A} 1"), now=3.0)
    assert made.table.end_compare(synced=True) == 0
    assert made.apply() == {}


def test_a_comparison_before_synced_withdraws_nothing() -> None:
    """Invariant 1."""
    made = Table()
    made.table.adopt(batch(f"+ {A} 1", f"+ {B} 1"), now=1.0)
    made.learn(f"+ {C} 1")
    made.table.begin_compare()
    made.table.adopt(batch(f"+ {A} 1"), now=3.0)
    assert made.table.end_compare(synced=False) == 1
    assert made.apply() == {C: 1}
    assert made.states() == {A: RowState.STALE, C: RowState.PROGRAMMED}


def test_connected_routes_are_shown_and_not_programmed() -> None:
    made = Table()
    own = batch(f"+ {A} 1")
    own.protocols[:] = RTPROT_KERNEL
    made.table.learn(own, generation=1, session=1, now=1.0)
    assert made.apply() == {}
    assert made.states() == {A: RowState.UNMANAGED}
    made.learn(f"+ {A} 1")  # now a protocol of FRR has it
    assert made.apply() == {A: 1}


def test_batches_keep_to_the_limit() -> None:
    made = Table()
    made.learn(*(f"+ 10.0.{i}.0/24 1" for i in range(10)))
    sizes = []
    while taken := made.take(limit=4):
        sizes.append(len(taken[1]))
        made.table.pending.applied(*taken, [])
    assert sizes == [4, 4, 2]


def test_counts_and_states() -> None:
    made = Table(f"+ {A} 1", f"+ {B} 1")
    made.learn(f"+ {A} 2", f"- {B}", f"+ {C} 1")
    assert made.states() == {A: RowState.PENDING, B: RowState.LEAVING, C: RowState.PENDING}
    count = routeviews.count(made.table.rows, 1)
    assert (count.desired, count.programmed, count.failed, count.stale) == (2, 2, 0, 0)
    assert routeviews.count(made.table.rows, 2).stale == 2


@pytest.mark.parametrize("prefix", [A, A6])
def test_connected_routes_are_counted_as_unmanaged(prefix: str) -> None:
    """Connected and kernel routes are never programmed: `desired == programmed` holds at rest."""
    made = Table(family=batch(f"+ {prefix} 1").family)
    connected = batch(f"+ {prefix} 1")
    connected.protocols[:] = RTPROT_KERNEL
    made.table.learn(connected, generation=1, session=1, now=1.0)
    made.apply()
    count = routeviews.count(made.table.rows, 1)
    assert (count.desired, count.programmed, count.unmanaged) == (0, 0, 1)
    made.learn(f"+ {prefix} 1")  # a BGP route replaces it
    made.apply()
    count = routeviews.count(made.table.rows, 1)
    assert (count.desired, count.programmed, count.unmanaged) == (1, 1, 0)


def test_a_route_that_no_datapath_can_use_is_desired_and_failed() -> None:
    made = Table()
    made.learn(f"+ {A} {unsupported('MPLS encapsulation')}")
    count = routeviews.count(made.table.rows, 1)
    assert (count.desired, count.programmed, count.failed, count.unmanaged) == (1, 0, 1, 0)


def test_a_rib_makes_a_table_for_every_vrf_and_family() -> None:
    rib = Rib()
    assert rib.table("red", Family.INET) is rib.table("red", Family.INET)
    assert rib.table("red", Family.INET6) is not rib.table("red", Family.INET)
    assert len(rib.tables()) == len(list(rib)) == 2


# -- the order of rows in batches -------------------------------------------------------------


def many(family: Family, op: str, rows: int = 2 * FEW) -> RouteBatch:
    """Return routes by ascending prefix, as zebra sends them."""
    prefixes = np.zeros((rows, family.width), np.uint8)
    prefixes[:, 0], prefixes[:, 1:3] = 32, np.arange(rows).astype(">u2").view("u1").reshape(-1, 2)
    ops = np.full(rows, Op.UPSERT if op == "+" else Op.WITHDRAW, np.uint8)
    bytes_, nexthops = np.full(rows, 24, np.uint8), np.full(rows, op == "+", np.uint32)
    return RouteBatch("default", family, ops, prefixes, bytes_, bytes_, nexthops)


@pytest.mark.parametrize("family", list(Family))
def test_ipv4_routes_are_handed_out_far_apart_and_ipv6_in_order(family: Family) -> None:
    """Linux takes ten times as long for IPv4 routes that are withdrawn by ascending prefix."""
    made = Table(family=family)
    for sign, op in (("+", Op.UPSERT), ("-", Op.WITHDRAW)):
        made.table.learn(many(family, sign), generation=1, session=1, now=5.0)
        taken = [made.take(op, FEW), made.take(op, FEW)]
        places = [t[1].prefixes[:, 1:3].copy().view(">u2").ravel().astype(int) for t in taken if t]
        apart = np.median(np.abs(np.diff(places[0])))
        assert apart > FEW / 4 if family is Family.INET else apart == 1
        assert sorted(np.concatenate(places).tolist()) == list(range(2 * FEW))
        for some in taken:
            assert some
            made.table.pending.applied(*some, [])
    assert len(made.table.rows) == 0
