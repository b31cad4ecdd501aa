"""The table says what was measured, against what, and which goals were met."""

from __future__ import annotations

from tests.bench import table
from tests.bench.bars import BARS, judge
from tests.bench.record import Outcome
from tests.unit.bench.build import figure, ratio, record

MILLION = 1_000_000


def test_a_reference_gives_a_row_with_the_spread_of_its_ratio() -> None:
    (row,) = table.rows_of(ratio("kernel.inet.add", 0.9, 1.0, 1.2, routes=1000))
    assert row == ("kernel.inet.add", "1,000 routes", "1 s", "c 1 s", "1.00 (0.90-1.20)", "")


def test_a_goal_is_met_or_missed_at_its_size() -> None:
    met, missed, small = (
        table.rows_of(ratio("whole.replay", value, routes=count))[0][-1]
        for value, count in ((1.02, MILLION), (0.87, MILLION), (0.5, 1000))
    )
    assert (met, missed, small) == (">= 1 met", ">= 1 MISSED", "")


def test_a_larger_size_counts_too() -> None:
    (row,) = table.rows_of([figure("whole.memory", 199.0, unit="MiB", routes=2 * MILLION)])
    assert row[-1] == "<= 200 met"


def test_the_longest_stall_counts_and_not_the_median() -> None:
    stall = figure("uplink.stall", 5.0, 6.0, 21.0, unit="ms", groups=10_000)
    verdict = judge(stall, [stall])
    assert verdict
    assert not verdict.met


def test_a_figure_without_reference_or_goal_has_a_row() -> None:
    (row,) = table.rows_of([figure("swaps.takeover", 4.0, 5.0)])
    assert row == ("swaps.takeover", "", "4.5 s", "", "", "")


def test_a_reference_alone_has_no_row() -> None:
    assert table.rows_of([figure("a", 1.0, variant="c")]) == []


def test_failures_and_the_load_are_told() -> None:
    found = record(figure("a", 1.0))
    found.benches.append(Outcome("zebra", (), "failed", "exit code 1", 2.0, 1.0, 7.5))
    found.benches.append(Outcome("macs", ("2",), "skipped", "it needs root"))
    lines = table.lines(found, whole=False)
    assert "zebra: failed: exit code 1" in lines
    assert "macs 2: skipped: it needs root" in lines
    assert "load before each bench 0.5 to 7.5" in lines[-1]


def test_a_whole_run_names_the_goals_that_nothing_measures() -> None:
    lines = table.lines(record(figure("a", 1.0)), whole=True)
    assert any(line.startswith("no bench measures: ") for line in lines)


def test_no_goal_is_given_twice() -> None:
    keys = [(bar.work, bar.against) for bar in BARS]
    assert len(keys) == len(set(keys))
