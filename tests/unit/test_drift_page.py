"""docs/DRIFT.md has a row for each attribute that a test changes by hand."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from datapaths.linux import overlay, sysctls
from tests.netns import grout_drifts
from tests.netns.drifts import CASES

PAGE = Path(__file__).parents[2] / "docs" / "DRIFT.md"
BEGIN, END = "<!-- table -->\n", "<!-- end -->\n"


def table() -> str:
    lines: list[str] = []
    for part, cases in groupby((*CASES, *grout_drifts.CASES), key=lambda case: case.part):
        lines += [f"\n### {part.capitalize()}\n", "| attribute | changed by hand, in the test |"]
        lines += ["|---|---|"]
        lines += [f"| {case.attribute} | `{case.harm.replace('|', '&#124;')}` |" for case in cases]
    return "\n".join(lines) + "\n"


def test_page_lists_every_attribute_that_a_test_changes() -> None:
    shown = PAGE.read_text().split(BEGIN)[1].split(END)[0]
    assert shown.strip() == table().strip()


def test_every_setting_of_a_namespace_is_changed_by_a_test() -> None:
    for part, settings in (
        ("forwarding settings", sysctls.FORWARDING),
        ("control settings", sysctls.CONTROL),
    ):
        tested = {case.attribute for case in CASES if case.part == part}
        assert tested == {f"namespace: {key.removeprefix('net/')}" for key in settings}


def test_every_option_of_a_bridge_is_changed_by_a_test() -> None:
    tested = {case.attribute for case in CASES if case.part == "forwarding"}
    assert {f"br110: {option.removeprefix('br_')}" for option in overlay.BRIDGE_OPTIONS} <= tested


def test_no_attribute_is_listed_twice() -> None:
    rows = [(case.part, case.attribute) for case in (*CASES, *grout_drifts.CASES)]
    assert sorted(set(rows)) == sorted(rows)
