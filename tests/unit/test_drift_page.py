"""docs/DRIFT.md lists each attribute that a test changes by hand.

`UPDATE_VECTORS=1 pytest` writes the lists.
"""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path

from datapaths.linux import overlay, sysctls
from tests.netns import grout_drifts
from tests.netns.drifts import CASES

PAGE = Path(__file__).parents[2] / "docs" / "DRIFT.md"
BEGIN, END = "<!-- attributes -->\n", "<!-- end -->\n"
WIDTH = 100


def attributes() -> str:
    """Return the lists of the page, wrapped."""
    lines: list[str] = []
    for part, cases in groupby((*CASES, *grout_drifts.CASES), key=lambda case: case.part):
        lines.append(f"\n### {part.capitalize()}\n")
        for case in cases:
            line = f"- {case.attribute}: `{case.harm}`"
            lines.append(line if len(line) <= WIDTH else line.replace(": `", ":\n  `"))
    return "\n".join(lines) + "\n"


def test_page_lists_every_attribute_that_a_test_changes() -> None:
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    current = f"{before}{BEGIN}{attributes()}{END}{after}"
    if os.environ.get("UPDATE_VECTORS"):
        PAGE.write_text(current)
        text = current
    assert text == current


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
