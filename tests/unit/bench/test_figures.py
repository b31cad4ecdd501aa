"""A figure survives its line, and a ratio compares turn by turn."""

from __future__ import annotations

import pytest

from tests.bench.figures import Figure, parse, ratio, ratios, report
from tests.unit.bench.build import figure


def test_a_reported_figure_is_read_again(capsys: pytest.CaptureFixture[str]) -> None:
    report("kernel.add", [3.25, 3.5, 3.0], "s", "c", routes=1000)
    line = capsys.readouterr().out
    assert line == "figure kernel.add c 3.25 s turns=3.25,3.5,3 routes=1000\n"
    assert parse(line) == Figure("kernel.add", "c", "s", (3.25, 3.5, 3.0), {"routes": 1000})


def test_a_single_value_is_one_turn(capsys: pytest.CaptureFixture[str]) -> None:
    report("restart.writes", 0, "writes")
    assert parse(capsys.readouterr().out) == figure("restart.writes", 0.0, unit="writes")


@pytest.mark.parametrize(
    "line", ["", "replay   3.2 s, C 2.8 s", "figure 1: a picture", "figure a ours 1 s routes=5"]
)
def test_other_output_is_no_figure(line: str) -> None:
    assert parse(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "figure a ours 1 s turns=",
        "figure a ours 1 s turns=1,x",
        "figure a ours 1 s turns=1 routes=many",
        "figure A ours 1 s turns=1",
    ],
)
def test_a_damaged_figure_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(line)


def test_least_most_and_median_are_those_of_the_turns() -> None:
    found = figure("a", 5.0, 1.0, 2.0)
    assert (found.least, found.value, found.most) == (1.0, 2.0, 5.0)


def test_a_ratio_pairs_turns_that_stood_side_by_side() -> None:
    """The machine was twice as slow in the second turn, for both."""
    found = ratio(figure("a", 1.0, 2.0, 1.0), figure("a", 0.9, 1.8, 0.9, variant="c"))
    assert found
    assert found.turns == pytest.approx((0.9, 0.9, 0.9))


def test_unequal_numbers_of_turns_compare_by_their_medians() -> None:
    found = ratio(figure("a", 2.0, 4.0, 9.0), figure("a", 8.0, variant="c"))
    assert found
    assert found.turns == (2.0,)


def test_no_ratio_of_different_units_nor_to_nothing() -> None:
    assert ratio(figure("a", 1.0), figure("a", 1.0, variant="c", unit="ms")) is None
    assert ratio(figure("a", 0.0), figure("a", 1.0, variant="c")) is None


def test_only_the_same_work_at_the_same_size_is_compared() -> None:
    figures = [
        figure("a", 1.0, routes=10),
        figure("a", 4.0, routes=20),
        figure("a", 2.0, variant="c", routes=20),
        figure("b", 2.0, variant="c", routes=10),
    ]
    assert [(one.ours.size, one.value) for one in ratios(figures)] == [({"routes": 20}, 0.5)]
