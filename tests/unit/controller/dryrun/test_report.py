"""A dry run's report: exit codes, text and JSON."""

from __future__ import annotations

import json

from controller.dryrun.report import Change, Report

MOVE = Change("move", "nic", "eth1, from here to there", "", ("address 192.0.2.2/24",))


def test_exit_codes_distinguish_no_change_changes_and_problems() -> None:
    assert Report().code == 0
    assert Report([MOVE], ["a warning"]).code == 3
    assert Report([MOVE], [], ["no such device"]).code == 1


def test_text_lists_changes_difference_warnings_and_problems_in_order() -> None:
    text = Report([MOVE], ["it ends"], ["it fails"], ["+router bgp 1"]).as_text()
    parts = ["move      nic       eth1", "address 192.0.2.2/24", "+router bgp 1"]
    places = [text.index(part) for part in [*parts, "WARNING: it ends", "PROBLEM: it fails"]]
    assert places == sorted(places)


def test_report_without_changes_states_it() -> None:
    assert Report().as_text() == "A start with these options would change nothing.\n"


def test_json_has_the_same_content_as_text() -> None:
    found = json.loads(Report([MOVE], ["it ends"]).as_json())
    assert found["would_change"] is True
    assert found["changes"][0]["details"] == ["address 192.0.2.2/24"]
    assert found["warnings"] == ["it ends"]
    assert json.loads(Report().as_json())["would_change"] is False
