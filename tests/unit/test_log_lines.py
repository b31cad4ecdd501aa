"""docs/LOGS.md lists every log line of the source, and explains those that report trouble.

`UPDATE_VECTORS=1 pytest` renews the lines and keeps the explanations.
"""

from __future__ import annotations

import ast
import os

from tests import loglines
from tests.loglines import PAGE, Line, parsed, rendered, renewed


def test_page_of_log_lines_is_current() -> None:
    old = parsed(PAGE.read_text()) if PAGE.exists() else []
    now = rendered(renewed(old, loglines.lines()))
    if os.environ.get("UPDATE_VECTORS"):
        PAGE.write_text(now)
    assert PAGE.read_text() == now


def test_every_warning_and_error_is_explained() -> None:
    page = parsed(PAGE.read_text())
    assert len(page) > 100
    assert [line for line in page if line.meaning == loglines.UNEXPLAINED] == []


def test_lines_are_read_from_source_with_named_placeholders() -> None:
    source = """
def f(self, name, error):
    text = "%s: first"
    if name:
        text = "%s: " + "second"
    log.warning(text, error.strerror)
    log.log(level, "%d rows of %s", len(name), self._vrf_name)
    log.info("eth1 is %s", "up" if name else "down")
    loop.call_later(1, log.error, "late %s", ", ".join(name))
    log.debug("not shown")
"""
    found = [(line.level, line.text) for line in loglines._of_module("m", ast.parse(source))]
    assert found == [
        ("WARNING", "REASON: first"),
        ("WARNING", "REASON: second"),
        ("VARIES", "N rows of VRF-NAME"),
        ("INFO", "eth1 is up|down"),
        ("ERROR", "late NAME"),
    ]


def test_reworded_or_moved_line_keeps_its_explanation() -> None:
    old = [
        Line("m", "WARNING", "the bus stands no more", "Start it."),
        Line("m", "ERROR", "gone", "x"),
    ]
    now = (
        Line("n", "WARNING", "the bus stands no more"),
        Line("m", "WARNING", "something unlike it, with nothing in common: 123456"),
        Line("m", "INFO", "quite another thing altogether"),
    )
    assert [line.meaning for line in renewed(old, now)] == ["Start it.", loglines.UNEXPLAINED, ""]


def test_page_is_read_back_as_it_was_written() -> None:
    found = [Line("m", "ERROR", "x " * 60, "word " * 60), Line("n", "INFO", "y")]
    again = parsed(rendered(found))
    assert [(line.module, line.level, line.text) for line in again] == [
        (line.module, line.level, line.text) for line in found
    ]
    assert rendered(again) == rendered(found)
