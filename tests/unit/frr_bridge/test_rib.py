"""The bridge's table of routes: what is announced, held and swept."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualpath.model.nexthops import FIRST_RESERVED
from dualpath.model.routes import RTPROT_KERNEL, U32, Family, RouteBatch
from frr_bridge.rib import Rib
from tests.fakes.batches import batch
from tests.fakes.zebra import rows, table_routes

VRFS = {254: "default", 1100: "red"}


class Known:
    """Implements `frr_bridge.rib.Handles`: all are known but those in `unknown`."""

    def __init__(self, *unknown: int) -> None:
        self.unknown = set(unknown)

    def known(self, handles: U32) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = ~np.isin(handles, list(self.unknown)) & (handles != 0)
        return found

    def originals(self, handles: U32) -> U32:
        return handles


def learn(rib: Rib, *words: str, session: int = 1, hold: bool = False, table: int = 254) -> None:
    rib.learn(table_routes(*words, table=table), session, hold=hold)


def announced(rib: Rib, handles: Known | None = None, limit: int = 100) -> list[str]:
    """Return every row that is pending."""
    return [row for made in rib.changes(VRFS, limit, handles or Known()) for row in rows(made)]


def test_ten_flaps_are_one_row() -> None:
    rib = Rib()
    for nexthop in range(1, 11):
        learn(rib, f"+ 10.0.0.0/8 {nexthop}")
        learn(rib, "- 10.0.0.0/8")
    learn(rib, "+ 10.0.0.0/8 11")
    assert announced(rib) == ["+ 10.0.0.0/8 11"]
    assert announced(rib) == []


def test_the_same_input_twice_does_nothing_the_second_time() -> None:
    """Invariant 4."""
    rib = Rib()
    words = ("+ 10.0.0.0/8 1", "+ 10.1.0.0/16 2")
    learn(rib, *words)
    assert announced(rib) == list(words)
    learn(rib, *words, session=2)
    assert announced(rib) == []


def test_same_input_is_announced_in_the_same_order() -> None:
    """Invariant 5."""
    runs: list[list[str]] = []
    for _ in range(2):
        rib = Rib()
        learn(rib, *(f"+ 10.{i * 7 % 50}.0.0/16 {i % 3 + 1}" for i in range(50)))
        learn(rib, "- 10.7.0.0/16", "+ 2.0.0.0/8 1")
        runs.append(announced(rib, limit=7))
    assert runs[0] == runs[1]


def test_a_deletion_and_an_addition_in_one_batch_are_a_replace() -> None:
    rib = Rib()
    learn(rib, "+ 10.0.0.0/8 1")
    announced(rib)
    learn(rib, "- 10.0.0.0/8", "+ 10.0.0.0/8 2")
    assert announced(rib) == ["+ 10.0.0.0/8 2"]
    learn(rib, "- 10.0.0.0/8", "+ 10.0.0.0/8 2")
    assert announced(rib) == []


def test_withdrawal_is_announced_once_and_leaves_no_row() -> None:
    rib = Rib()
    learn(rib, "+ 10.0.0.0/8 1")
    announced(rib)
    learn(rib, "- 10.0.0.0/8")
    assert len(rib) == 1
    assert announced(rib) == ["- 10.0.0.0/8"]
    assert len(rib) == 0


@pytest.mark.parametrize("hold", [False, True])
def test_withdrawals_of_unknown_prefixes_leave_no_row(hold: bool) -> None:
    rib = Rib()
    learn(rib, "- 10.0.0.0/8", "- 10.0.0.0/8", "+ 11.0.0.0/8 1", hold=hold)
    learn(rib, "+ 12.0.0.0/8 1", "- 12.0.0.0/8", hold=hold)
    assert len(rib) == 1
    assert rib.stale(1) == 0
    rib.repeat()
    assert announced(rib) == ["+ 11.0.0.0/8 1"]
    assert rib.parked == 0


def test_a_held_withdrawal_stays_until_the_sweep() -> None:
    rib = Rib()
    learn(rib, "+ 10.0.0.0/8 1", "+ 11.0.0.0/8 1")
    announced(rib)
    learn(rib, "- 10.0.0.0/8", hold=True)
    assert announced(rib) == []
    assert rib.stale(1) == 1
    rib.repeat()
    assert sorted(announced(rib)) == ["+ 10.0.0.0/8 1", "+ 11.0.0.0/8 1"]
    assert rib.sweep(1) == 1
    assert announced(rib) == ["- 10.0.0.0/8"]


def test_a_held_route_that_comes_back_changes_nothing() -> None:
    rib = Rib()
    learn(rib, "+ 10.0.0.0/8 1")
    announced(rib)
    learn(rib, "- 10.0.0.0/8", hold=True)
    learn(rib, "+ 10.0.0.0/8 1", hold=True)
    assert rib.sweep(1) == 0
    assert announced(rib) == []


def test_a_held_route_that_comes_back_otherwise_is_replaced() -> None:
    rib = Rib()
    learn(rib, "+ 10.0.0.0/8 1")
    announced(rib)
    learn(rib, "- 10.0.0.0/8", hold=True)
    learn(rib, "+ 10.0.0.0/8 2", hold=True)
    assert announced(rib) == ["+ 10.0.0.0/8 2"]


def test_sweep_withdraws_rows_that_the_session_did_not_repeat() -> None:
    rib = Rib()
    learn(rib, "+ 10.0.0.0/8 1", "+ 11.0.0.0/8 1")
    learn(rib, "+ 12.0.0.0/8 1", table=1100)
    announced(rib)
    learn(rib, "+ 11.0.0.0/8 1", session=2, hold=True)
    assert rib.stale(2) == 2
    assert rib.sweep(2) == 2
    assert sorted(announced(rib)) == ["- 10.0.0.0/8", "- 12.0.0.0/8"]
    assert rib.sweep(2) == 0


def test_a_route_waits_for_its_nexthop() -> None:
    """Invariant 3: on the way to the datapath a nexthop comes before its routes."""
    rib, handles = Rib(), Known(2)
    learn(rib, "+ 10.0.0.0/8 1", "+ 11.0.0.0/8 2")
    assert announced(rib, handles) == ["+ 10.0.0.0/8 1"]
    assert rib.parked == 1
    handles.unknown.clear()
    assert announced(rib, handles) == []  # its nexthop is not known yet
    rib.unpark()
    assert announced(rib, handles) == ["+ 11.0.0.0/8 2"]
    assert rib.parked == 0


def test_a_kernel_route_without_its_nexthop_is_not_waited_for() -> None:
    """FRR 10.3 gives connected routes nexthop ids that neither FPM nor the kernel explains."""
    rib, handles = Rib(), Known(1, 2)
    routes = table_routes("+ 10.0.0.0/8 1", "+ 11.0.0.0/8 2")
    routes.protocols[0] = RTPROT_KERNEL
    rib.learn(routes, 1, hold=False)
    assert announced(rib, handles) == []
    assert (rib.parked, rib.owed) == (2, 1)


def test_a_parked_route_is_withdrawn_without_its_nexthop() -> None:
    rib, handles = Rib(), Known(2)
    learn(rib, "+ 10.0.0.0/8 1")
    announced(rib, handles)
    learn(rib, "+ 10.0.0.0/8 2")
    assert announced(rib, handles) == []
    learn(rib, "- 10.0.0.0/8")
    assert announced(rib, handles) == ["- 10.0.0.0/8"]
    assert (rib.parked, len(rib)) == (0, 0)


def test_parked_route_with_another_nexthop_is_announced() -> None:
    rib, handles = Rib(), Known(2)
    learn(rib, "+ 10.0.0.0/8 2", "+ 11.0.0.0/8 2")
    assert announced(rib, handles) == []
    learn(rib, "+ 10.0.0.0/8 3")
    assert announced(rib, handles) == ["+ 10.0.0.0/8 3"]
    assert rib.parked == 1


def test_a_parked_route_is_swept() -> None:
    rib, handles = Rib(), Known(2)
    learn(rib, "+ 10.0.0.0/8 1", "+ 11.0.0.0/8 2")
    announced(rib, handles)
    learn(rib, "+ 10.0.0.0/8 2")
    announced(rib, handles)
    assert rib.sweep(2) == 2
    assert sorted(announced(rib, handles)) == ["- 10.0.0.0/8", "- 11.0.0.0/8"]
    assert (rib.parked, len(rib)) == (0, 0)


def test_new_subscriber_gets_parked_routes_once() -> None:
    rib, handles = Rib(), Known(2)
    learn(rib, "+ 10.0.0.0/8 2", "+ 11.0.0.0/8 1")
    announced(rib, handles)
    rib.repeat()
    assert announced(rib, handles) == ["+ 11.0.0.0/8 1"]
    handles.unknown.clear()
    rib.unpark()
    assert announced(rib, handles) == ["+ 10.0.0.0/8 2"]


def test_a_table_of_an_unknown_vrf_waits() -> None:
    rib = Rib()
    learn(rib, "+ 10.0.0.0/8 1", table=1200)
    assert announced(rib) == []
    runs = list(rib.changes({1200: "blue"}, 10, Known()))
    assert [(made.vrf, rows(made)) for made in runs] == [("blue", ["+ 10.0.0.0/8 1"])]


def test_reserved_nexthops_are_always_known() -> None:
    rib = Rib()
    learn(rib, f"+ 10.0.0.0/8 {FIRST_RESERVED + 3}")
    assert announced(rib) == [f"+ 10.0.0.0/8 {FIRST_RESERVED + 3}"]


def test_batches_keep_to_the_limit_and_lose_nothing() -> None:
    rib = Rib()
    words = [f"+ 10.0.{i}.0/24 {i % 3 + 1}" for i in range(20)]
    for one in words:
        learn(rib, one)
    made: list[RouteBatch] = list(rib.changes(VRFS, 7, Known()))
    assert [len(one) for one in made] == [7, 7, 6]
    assert [row for one in made for row in rows(one)] == words


def test_rows_without_credit_are_announced_later() -> None:
    rib = Rib()
    learn(rib, *(f"+ 10.0.{i}.0/24 1" for i in range(10)))
    first = next(rib.changes(VRFS, 4, Known()))
    learn(rib, "- 10.0.0.0/24", "- 10.0.9.0/24")
    rest = announced(rib)
    assert len(first) == 4
    assert sorted(rest) == sorted(
        [*(f"+ 10.0.{i}.0/24 1" for i in range(4, 9)), "- 10.0.0.0/24", "- 10.0.9.0/24"]
    )


def test_routes_of_a_rebound_nexthop_are_announced_again() -> None:
    rib = Rib()
    learn(rib, "+ 10.0.0.0/8 1", "+ 11.0.0.0/8 2")
    announced(rib)
    rib.repeat_nexthop(2)
    assert announced(rib) == ["+ 11.0.0.0/8 2"]
    assert rib.used_handles() == {1, 2}


def programmed(*words: str) -> RouteBatch:
    return batch(*words)


def test_repeated_programmed_row_is_acknowledged_at_once() -> None:
    rib = Rib()
    routes = table_routes("+ 10.0.0.0/8 1", "+ 11.0.0.0/8 1")
    assert rib.learn(routes, 1, hold=True).tolist() == []
    announced(rib)
    rib.programmed(254, programmed("+ 10.0.0.0/8 77", "+ 11.0.0.0/8 0"))
    assert rib.learn(routes, 2, hold=True).tolist() == [0]


def test_changed_row_is_not_acknowledged() -> None:
    rib = Rib()
    learn(rib, "+ 10.0.0.0/8 1")
    announced(rib)
    learn(rib, "+ 10.0.0.0/8 2")
    rib.programmed(254, programmed("+ 10.0.0.0/8 77"))  # of an earlier announcement
    assert rib.learn(table_routes("+ 10.0.0.0/8 2"), 1, hold=False).tolist() == []
    announced(rib)
    rib.programmed(254, programmed("+ 10.0.0.0/8 78"))
    assert rib.learn(table_routes("+ 10.0.0.0/8 2"), 1, hold=False).tolist() == [0]
    assert rib.learn(table_routes("+ 10.0.0.0/8 3"), 1, hold=False).tolist() == []


def test_an_acknowledgement_of_unknown_rows_is_nothing() -> None:
    rib = Rib()
    rib.programmed(254, programmed("+ 10.0.0.0/8 77"))
    learn(rib, "+ 11.0.0.0/8 1")
    rib.programmed(254, programmed("+ 10.0.0.0/8 77"))
    assert len(rib) == 1


PREFIXES = [f"10.{i}.0.0/16" for i in range(6)]
CHANGE = st.tuples(st.sampled_from(PREFIXES), st.integers(0, 4))
STEP = st.one_of(
    st.tuples(st.just("learn"), st.lists(CHANGE, min_size=1, max_size=6)),
    st.tuples(st.just("take"), st.integers(1, 4)),
    st.tuples(st.just("know"), st.integers(1, 4)),
    st.tuples(st.just("repeat"), st.none()),
)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEP, max_size=30))
def test_subscriber_ends_with_zebra_s_routes(steps: list[tuple[str, object]]) -> None:
    """Whatever the order of words, credit and nexthops: the listener's table is zebra's."""
    rib, handles = Rib(), Known(1, 2, 3, 4)
    wanted: dict[str, int] = {}
    runs: dict[str, int] = {}

    def listen(limit: int) -> None:
        made = next(rib.changes(VRFS, limit, handles), None)
        for row in rows(made) if made else ():
            op, prefix, *nexthop = row.split()
            runs.pop(prefix, None)
            if op == "+":
                runs[prefix] = int(nexthop[0])
                assert runs[prefix] not in handles.unknown

    for step, what in steps:
        if step == "learn" and isinstance(what, list):
            for prefix, nexthop in what:
                wanted.pop(prefix, None)
                if nexthop:
                    wanted[prefix] = nexthop
            learn(rib, *(f"+ {p} {n}" if n else f"- {p}" for p, n in what))
        elif step == "take" and isinstance(what, int):
            listen(what)
        elif step == "know" and isinstance(what, int):
            handles.unknown.discard(what)
            rib.unpark()
        elif step == "repeat":
            runs.clear()
            rib.repeat()
    for _ in range(10):
        listen(100)
    unknown = {prefix for prefix, nexthop in wanted.items() if nexthop in handles.unknown}
    assert {p: n for p, n in runs.items() if p not in unknown} == {
        p: n for p, n in wanted.items() if p not in unknown
    }
    assert not (unknown | runs.keys()) - wanted.keys()
    assert rib.parked == len(unknown)
    assert len(rib) == len(wanted)


def test_both_families_live_side_by_side() -> None:
    rib = Rib()
    learn(rib, "+ 10.0.0.0/8 1")
    learn(rib, "+ 2001:db8::/32 1")
    runs = {made.family: rows(made) for made in rib.changes(VRFS, 10, Known())}
    assert runs == {Family.INET: ["+ 10.0.0.0/8 1"], Family.INET6: ["+ 2001:db8::/32 1"]}
