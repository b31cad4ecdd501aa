"""The examples of the documentation work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from controller.intent import layout
from controller.intent.documents import read
from controller.intent.loader import merge
from controller.intent.node import Node
from frr_bridge.frr_config import render

PAGE = (Path(__file__).parents[4] / "docs" / "MANIFESTS.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("index", range(len(EXAMPLES)))
def test_an_example_is_accepted_whole(index: int) -> None:
    found = merge(read(EXAMPLES[index], "example"))
    intent = layout.compile(found, Node(1, "pe1", {"rack": "a"}))
    assert all(s.ready and s.message in ("", layout.EXPERIMENT) for s in intent.statuses)
    render(intent.frr)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 8
