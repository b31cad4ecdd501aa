"""docs/GLOSSARY.md defines the words of the bus, of the state and of the metrics."""

from __future__ import annotations

import re

import pytest

from dualpath.model.kinds import Kind
from dualpath.model.view import Problem, RowState
from dualpath.pb import bus_pb2 as pb
from frr_bridge.session import State
from tests.architecture import ROOT

PAGE = (ROOT / "docs" / "GLOSSARY.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def terms(text: str) -> set[str]:
    """Return the words of the first column, and those in italics."""
    firsts = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return {word for cell in firsts for word in cell.split(", ")} | set(
        re.findall(r"\*(\w+)\*", text)
    )


def test_every_state_of_a_row_and_every_problem_of_an_audit_has_a_meaning() -> None:
    words = {state.name.lower() for state in RowState} | {it.name.lower() for it in Problem}
    assert words <= terms(section("States of a row"))


def test_every_kind_has_a_meaning() -> None:
    assert {kind.name.lower() for kind in Kind} <= terms(section("Kinds of rows"))


def test_every_state_of_the_session_has_a_meaning() -> None:
    assert {str(state) for state in State} <= terms(section("Between FRR and the controller"))


@pytest.mark.parametrize("message", [pb.BridgeMessage, pb.ControllerMessage])
def test_every_message_of_the_bus_has_a_meaning(message: type) -> None:
    bodies = message.DESCRIPTOR.oneofs_by_name["body"].fields  # type: ignore[attr-defined]  # generated
    assert {field.name for field in bodies} <= terms(section("Messages on the bus"))


def test_a_term_is_defined_once_in_a_table() -> None:
    for text in PAGE.split("\n## "):
        firsts = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
        found = [cell for cell in firsts if cell not in {"term", "message"}]
        assert sorted(set(found)) == sorted(found)
