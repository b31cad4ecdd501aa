"""Records desired and programmed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core import recordviews
from controller.core.records import FROM_INTENT, RecordTable
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Lsp, Mac
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.records import Record
from dualpath.model.view import RowState

MAC = bytes(5)


def mac(number: int, vtep: int = 1) -> Mac:
    return Mac(100, MAC + bytes([number]), bytes([10, 0, 0, vtep]))


def blackhole(number: int) -> Nexthop:
    return Nexthop(number, NexthopType.BLACKHOLE)


def want(table: RecordTable, *records: Record, generation: int = 1) -> int:
    return sum(table.want(r, generation=generation, session=1, now=5.0) for r in records)


def programmed(*records: Mac) -> RecordTable:
    table = RecordTable(Kind.MAC)
    want(table, *records)
    for key, desired, _ in table.pending():
        table.applied(key, desired)
    return table


def states(table: RecordTable, generation: int = 1) -> list[RowState]:
    return [row.state for row in recordviews.show(table, generation)]


def test_only_differences_are_pending() -> None:
    """Invariant 4."""
    table = programmed(mac(1), mac(2))
    assert want(table, mac(1), mac(2, vtep=9)) == 1
    assert table.pending() == [(mac(2).key, mac(2, vtep=9), mac(2))]
    assert table.pending() == []


def test_a_record_wanted_and_unwanted_at_once_leaves_no_row() -> None:
    table = RecordTable(Kind.MAC)
    want(table, mac(1))
    assert table.unwant(mac(1).key, now=1.0)
    assert not table.unwant(mac(1).key, now=1.0)
    assert (table.pending(), list(table)) == ([], [])


def test_remote_record_that_a_local_host_replaced_is_applied_when_it_returns() -> None:
    """The host came and left between two rounds, so its withdrawal was never applied."""
    table = programmed(mac(1), mac(2))
    table.overridden(mac(1).key)
    assert table.pending() == []  # it counts as programmed until FRR withdraws it
    table.unwant(mac(1).key, now=1.0)
    want(table, mac(1), mac(2))
    assert table.pending() == [(mac(1).key, mac(1), None)]
    table.applied(mac(1).key, mac(1))
    want(table, mac(1))
    assert table.pending() == []  # once


def test_local_host_that_frr_does_not_know_yet_outlives_a_new_subscription() -> None:
    table = programmed(mac(1))
    table.overridden(mac(1).key)
    want(table, mac(1), generation=2)
    assert table.pending() == []
    want(table, mac(1), generation=2)
    assert table.pending() == [(mac(1).key, mac(1), None)]


def test_withdrawn_record_is_applied_once_after_a_local_host() -> None:
    table = programmed(mac(1))
    table.overridden(mac(1).key)
    table.unwant(mac(1).key, now=1.0)
    assert table.pending() == [(mac(1).key, None, mac(1))]
    table.applied(mac(1).key, None)
    want(table, mac(1))
    assert table.pending() == [(mac(1).key, mac(1), None)]
    table.applied(mac(1).key, mac(1))
    table.overridden(mac(9).key)
    assert list(table) == [mac(1).key]


def test_a_leaving_record_stays_until_it_is_withdrawn() -> None:
    table = programmed(mac(1))
    table.unwant(mac(1).key, now=1.0)
    assert states(table) == [RowState.LEAVING]
    assert table.pending() == [(mac(1).key, None, mac(1))]
    table.applied(mac(1).key, None)
    assert list(table) == []


def test_a_refused_record_is_tried_again() -> None:
    table = RecordTable(Kind.MAC)
    want(table, mac(1))
    table.pending()
    assert table.refuse(mac(1).key, "EBUSY", now=2.0)
    assert not table.refuse(mac(1).key, "EBUSY", now=3.0)
    assert states(table) == [RowState.FAILED]
    assert table.pending() == []
    table.retry()
    assert len(table.pending()) == 1
    table.applied(mac(1).key, mac(1))
    assert not table.has_failed()


def test_a_refused_change_that_frr_reverts_is_no_failure() -> None:
    table = programmed(mac(1))
    want(table, mac(1, vtep=2))
    table.pending()
    table.refuse(mac(1).key, "EBUSY", now=2.0)
    want(table, mac(1))
    assert table.pending() == []
    assert states(table) == [RowState.PROGRAMMED]
    assert not table.has_failed()


def test_comparison_with_the_datapath_leaves_refused_records_to_the_retry() -> None:
    table = RecordTable(Kind.MAC)
    want(table, mac(1), mac(2))
    table.pending()
    table.refuse(mac(1).key, "EBUSY", now=2.0)
    table.touch_unsettled(complete=True)
    assert [key for key, _, _ in table.pending()] == [mac(2).key]


def test_a_record_that_is_not_desired_is_not_rewritten() -> None:
    table = programmed(mac(1))
    table.unwant(mac(1).key, now=1.0)
    table.rewrite(mac(1, vtep=2), now=2.0)
    assert table.desired(mac(1).key) is None


def test_withdrawal_that_was_cut_short_is_done_before_all_is_known() -> None:
    table = programmed(mac(1))
    table.adopt(mac(2), now=1.0)
    table.unwant(mac(1).key, now=1.0)
    table.pending()
    table.touch_unsettled(complete=False)
    assert table.pending() == [(mac(1).key, None, mac(1))]


def test_a_refused_change_that_is_reverted_is_not_refused_any_more() -> None:
    table = programmed(mac(1))
    want(table, mac(1, vtep=2))
    table.pending()
    table.refuse(mac(1).key, "EBUSY", now=2.0)
    assert len(list(table.refused())) == 1
    want(table, mac(1))
    assert list(table.refused()) == []


@pytest.mark.parametrize("how", ["unwant", "sweep"])
def test_a_refused_record_without_desire_leaves_no_row(how: str) -> None:
    table = RecordTable(Kind.MAC)
    want(table, mac(1))
    table.pending()
    table.refuse(mac(1).key, "EBUSY", now=2.0)
    if how == "unwant":
        table.unwant(mac(1).key, now=3.0)
    else:
        table.sweep(2, now=3.0)
    assert not table.has_failed()
    assert (list(table), recordviews.count(table, 2).failed) == ([], 0)
    assert not table.refuse(mac(1).key, "EBUSY", now=4.0)


def test_adopted_records_stay_until_the_sweep() -> None:
    """Invariants 1 and 2."""
    table = RecordTable(Kind.MAC)
    table.adopt(mac(1), now=1.0)
    table.adopt(mac(2), now=1.0)
    want(table, mac(1))
    assert table.pending() == []
    assert states(table) == [RowState.PROGRAMMED, RowState.STALE]
    assert table.sweep(1, now=2.0) == 1
    assert table.pending() == [(mac(2).key, None, mac(2))]


def test_records_of_the_intent_are_never_stale() -> None:
    table = RecordTable(Kind.VNI)
    table.want(mac(1), generation=FROM_INTENT, session=0, now=1.0)
    table.applied(mac(1).key, mac(1))
    assert [row.state for row in recordviews.show(table, 7)] == [RowState.PROGRAMMED]
    assert recordviews.count(table, 7).stale == 0


def test_records_of_a_kind_that_no_datapath_takes_are_counted_as_unmanaged() -> None:
    table = RecordTable(Kind.LSP, managed=False)
    want(table, Lsp(16), Lsp(17))
    count = recordviews.count(table, 1)
    assert (count.desired, count.programmed, count.unmanaged) == (0, 0, 2)


def test_a_lost_record_is_pending_again() -> None:
    table = programmed(mac(1))
    assert table.lost(mac(1).key)
    assert not table.lost(mac(1).key)
    assert table.pending() == [(mac(1).key, mac(1), None)]
    table.unwant(mac(1).key, now=1.0)
    assert list(table) == []


def test_a_kind_that_no_datapath_takes_is_only_shown() -> None:
    table = RecordTable(Kind.LSP, managed=False)
    table.want(Lsp(16), generation=1, session=1, now=1.0)
    assert table.pending() == []
    assert states(table) == [RowState.UNMANAGED]


CHANGE = st.tuples(st.sampled_from(["want", "unwant", "lost", "sweep"]), st.integers(0, 4))


@settings(max_examples=100, deadline=None)
@given(changes=st.lists(CHANGE, max_size=30), refused=st.sets(st.integers(0, 4)))
def test_after_a_round_programmed_equals_desired(
    changes: list[tuple[str, int]], refused: set[int]
) -> None:
    table, wanted, there = RecordTable(Kind.MAC), dict[object, Mac](), dict[object, Mac]()
    for number, (change, which) in enumerate(changes):
        record = mac(which, vtep=number % 3)
        if change == "want":
            want(table, record)
            wanted[record.key] = record
        elif change == "unwant":
            table.unwant(record.key, now=1.0)
            wanted.pop(record.key, None)
        elif change == "lost":
            assert table.lost(record.key) == (there.pop(record.key, None) is not None)
        else:
            table.sweep(1, now=1.0)
        if number % 4 == 3:
            _round(table, there, refused)
    table.retry()
    _round(table, there, set())
    assert there == wanted
    assert list(table) == list(there) or set(table) == set(there)
    assert not table.has_failed()


def _round(table: RecordTable, there: dict[object, Mac], refused: set[int]) -> None:
    for key, desired, before in table.pending():
        assert before == there.get(key)
        if desired is None:
            del there[key]
            table.applied(key, None)
        elif isinstance(desired, Mac):
            if desired.mac[-1] in refused:
                table.refuse(key, "EBUSY", now=1.0)
                continue
            there[key] = desired
            table.applied(key, desired)


def test_rows_come_in_the_order_of_their_numbers_and_no_number_comes_again() -> None:
    table = RecordTable(Kind.FLOOD)
    floods = [Flood(100, bytes([10, 0, 0, n])) for n in range(4)]
    for flood in floods:
        table.want(flood, generation=1, session=1, now=1.0)
    table.unwant(floods[1].key, now=2.0)
    table.want(floods[1], generation=1, session=1, now=3.0)
    rows = list(recordviews.show(table, 1))
    assert [row.record for row in rows] == [floods[0], floods[2], floods[3], floods[1]]
    assert [row.number for row in rows] == [1, 3, 4, 5]


def test_ids_of_programmed_nexthops_follow_each_change() -> None:
    table, one, two = RecordTable(Kind.NEXTHOP), blackhole(1), blackhole(2)
    table.adopt(one, now=1.0)
    table.applied(two.key, two)
    assert table.programmed_ids == {1, 2}
    table.applied(two.key, two)
    assert table.lost(one.key)
    assert table.programmed_ids == {2}
    table.applied(two.key, None)
    assert table.programmed_ids == set()
