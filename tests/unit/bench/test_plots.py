"""A plot draws what was measured at several sizes, and each point is what the figure says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import declared, plots
from tests.bench.plots import DIRECTIONS, Line, Panel, Point, drawable, latest, points
from tests.unit.bench.build import figure, record

EACH = Panel("title", (Line("add", "added"),), "us", 1e6, each=True)
WHOLE = Panel("title", (Line("add", "added"),), "s")


def test_a_point_is_median_least_and_most_by_size() -> None:
    figures = [figure("add", 2.0, 1.0, 4.0, routes=200), figure("add", 0.5, routes=100)]
    found = points(figures, "routes", WHOLE, WHOLE.lines[0])
    assert found == [Point(100, 0.5, 0.5, 0.5), Point(200, 2.0, 1.0, 4.0)]


def test_a_cost_of_each_is_divided_by_the_size() -> None:
    (found,) = points([figure("add", 2.0, routes=1000)], "routes", EACH, EACH.lines[0])
    assert found.value == pytest.approx(2000.0)


def test_other_variants_and_other_directions_are_other_lines() -> None:
    figures = [figure("add", 1.0, variant="c", routes=5), figure("add", 1.0, macs=5)]
    assert points(figures, "routes", WHOLE, WHOLE.lines[0]) == []


def test_one_size_shows_no_growth() -> None:
    one = figure("vnis.added", 1.0, vnis=100)
    assert drawable([one], "vnis") == []
    assert len(drawable([one, figure("vnis.added", 2.0, vnis=200)], "vnis")) == 1


def test_a_later_record_replaces_what_it_measured_again() -> None:
    old, new = record(figure("add", 1.0), figure("dump", 1.0)), record(figure("add", 2.0))
    assert [(one.work, one.value) for one in latest([old, new])] == [("add", 2.0), ("dump", 1.0)]


def test_every_line_is_a_work_of_a_bench() -> None:
    names = {*declared.names()}
    lines = [line for panels in DIRECTIONS.values() for panel in panels for line in panel.lines]
    assert [line.work for line in lines if line.work.split(".")[0] not in names] == []


def test_nothing_to_draw_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(figure("add", 1.0)).write(tmp_path / "run.json")
    assert plots.main([str(tmp_path / "run.json"), "--to", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("not drawn") == len(DIRECTIONS)
    assert not list(tmp_path.glob("*.png"))
