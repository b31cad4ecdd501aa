"""The trend finds what was made worse, and does not call noise a regression."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import trend
from tests.bench.figures import Figure
from tests.bench.record import Machine
from tests.unit.bench.build import MACHINE, OTHER, figure, ratio, record

NOTHING = "worse by more than the noise: nothing"


def lines(*runs: list[Figure], machines: tuple[Machine, ...] = ()) -> list[str]:
    named = [
        (f"run{i}", record(*figures, on=machines[i] if machines else MACHINE))
        for i, figures in enumerate(runs)
    ]
    return trend.lines(named)


def test_a_planted_regression_is_marked() -> None:
    found = lines(ratio("add", 0.95, 1.0, 1.05), ratio("add", 0.70, 0.75, 0.80))
    assert found[-1] == "worse by more than the noise: add against c"
    assert "0.75!" in found[-2]


def test_noise_is_no_regression() -> None:
    """The median is a quarter worse, but a turn of each run was as good as the other's."""
    assert lines(ratio("add", 0.7, 1.0, 1.05), ratio("add", 0.7, 0.75, 0.8))[-1] == NOTHING


def test_a_little_is_no_regression_even_without_spread() -> None:
    assert lines(ratio("add", 1.0, 1.0, 1.0), ratio("add", 0.96, 0.96, 0.96))[-1] == NOTHING


def test_a_single_turn_must_be_far_worse() -> None:
    assert lines(ratio("add", 1.0), ratio("add", 0.6))[-1] == NOTHING
    assert lines(ratio("add", 1.0), ratio("add", 0.4))[-1].endswith("add against c")


def test_better_is_no_regression() -> None:
    assert lines(ratio("add", 0.70, 0.75), ratio("add", 1.0, 1.05))[-1] == NOTHING


def test_what_creeps_is_found_from_the_first_run() -> None:
    steps = [ratio("add", at, at + 0.02, at + 0.04) for at in (1.0, 0.97, 0.94, 0.91)]
    found = lines(*steps)
    assert "!" not in found[-2]
    assert found[-1] == "worse by more than the noise: add against c"


def test_a_mended_regression_is_marked_where_it_was_and_not_at_the_end() -> None:
    good, bad = ratio("add", 1.0, 1.02), ratio("add", 0.5, 0.52)
    found = lines(good, bad, good)
    assert found[-2].count("!") == 1
    assert found[-1] == NOTHING


def test_a_run_without_the_work_is_passed_over() -> None:
    found = lines(ratio("add", 1.0, 1.02), [], ratio("add", 0.5, 0.52))
    assert found[-2].split()[-3:] == ["1.01", "-", "0.51!"]


def test_values_are_compared_on_one_machine_only() -> None:
    before, after = [figure("there", 1.0, 1.1)], [figure("there", 5.0, 5.1)]
    assert lines(before, after)[-1] == "worse by more than the noise: there, s"
    found = lines(before, after, machines=(MACHINE, OTHER))
    assert found[-1] == NOTHING
    assert "the machines differ, so ratios alone are compared" in found


@pytest.mark.parametrize(("unit", "worse"), [("s", False), ("s-cpu", True)])
def test_on_a_busy_machine_only_cpu_time_counts(unit: str, worse: bool) -> None:
    before = record(figure("there", 1.0, 1.1, unit=unit))
    after = record(figure("there", 5.0, 5.1, unit=unit), load=9.0)
    *_, line, last = trend.lines([("before", before), ("after", after)])
    assert (last != NOTHING) is worse
    assert line.split()[-1] == ("5.05!" if worse else "5.05~")


def test_a_busy_run_between_two_others_is_passed_over() -> None:
    good, bad = record(*ratio("add", 1.0, 1.02)), record(*ratio("add", 0.5, 0.52))
    busy = record(*ratio("add", 0.5, 0.52), load=9.0)
    *_, line, last = trend.lines([("a", good), ("b", busy), ("c", bad)])
    assert line.split()[-3:] == ["1.01", "0.51~", "0.51!"]
    assert last != NOTHING


def test_the_same_work_at_two_sizes_is_two_lines() -> None:
    run = [*ratio("add", 1.0, routes=1000), *ratio("add", 0.5, routes=2000)]
    titles = [one.title for one in trend.series([("a", record(*run))])]
    assert titles == ["add 1,000 routes against c", "add 2,000 routes against c"]


def test_files_are_ordered_by_their_date(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(*ratio("add", 0.5), date="2026-12-02T00:00:00Z").write(tmp_path / "a.json")
    record(*ratio("add", 1.0), date="2026-12-01T00:00:00Z").write(tmp_path / "b.json")
    assert trend.main([str(tmp_path)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in shown[:2]] == ["b", "a"]
    assert shown[-2].split()[-2:] == ["1", "0.5"]


def test_no_file_and_a_wrong_one_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trend.main([str(tmp_path)]) == 0
    assert "no JSON file" in capsys.readouterr().out
    (tmp_path / "x.json").write_text("{}")
    assert trend.main([str(tmp_path)]) == 2
    assert "is no record" in capsys.readouterr().err
