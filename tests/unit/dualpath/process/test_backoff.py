"""The delays between retries."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dualpath.process.backoff import Backoff


@pytest.mark.parametrize(
    ("first_s", "most_s", "delays"),
    [
        (0.5, 8.0, [0.5, 1, 2, 4, 8, 8, 8]),
        (1.0, 30.0, [1, 2, 4, 8, 16, 30, 30]),  # the limit need not be a doubling
        (3.0, 3.0, [3, 3, 3, 3, 3, 3, 3]),
    ],
)
def test_delays_double_up_to_the_limit(first_s: float, most_s: float, delays: list[float]) -> None:
    backoff = Backoff(first_s, most_s)
    assert [backoff.next_s() for _ in delays] == delays


def test_a_success_starts_the_delays_over() -> None:
    backoff = Backoff(0.2, 5.0)
    before = [backoff.next_s() for _ in range(4)]
    backoff.reset()
    assert [backoff.next_s() for _ in range(4)] == before


def test_a_success_before_any_failure_changes_nothing() -> None:
    backoff = Backoff(0.2, 5.0)
    backoff.reset()
    assert backoff.next_s() == 0.2


def test_retrying_for_a_year_neither_shrinks_nor_overflows_the_delay() -> None:
    backoff = Backoff(0.5, 30.0)
    delays = [backoff.next_s() for _ in range(1_000_000)]
    assert all(before <= after for before, after in pairwise(delays))
    assert delays[-1] == 30.0


def test_a_process_that_keeps_dying_restarts_later_each_time() -> None:
    backoff = Backoff(0.5, 8.0, steady_s=10)
    assert [backoff.after(1) for _ in range(6)] == [0.5, 1, 2, 4, 8, 8]
    assert [backoff.after(10.1), backoff.after(10)] == [0.5, 1]


def test_long_run_resets_no_delay_without_a_steady_time() -> None:
    backoff = Backoff(0.5, 8.0)
    assert [backoff.after(1e9), backoff.after(1e9)] == [0.5, 1]
