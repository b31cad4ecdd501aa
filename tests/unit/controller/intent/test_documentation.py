"""The documentation's manifests are accepted, and its paths exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from controller.intent import layout
from controller.intent.documents import read
from controller.intent.loader import merge
from controller.intent.node import Node
from controller.intent.remarks import EXPERIMENT
from controller.kubernetes.rollouts import parse
from frr_bridge.frr_config import render

ROOT = Path(__file__).parents[4]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = {
    f"{page.stem}-{at}": text
    for page in PAGES
    for at, text in enumerate(YAML.findall(page.read_text()))
}
ROLLOUTS = {name for name, text in EXAMPLES.items() if "\nkind: Rollout\n" in text}
PROMETHEUS = {name for name, text in EXAMPLES.items() if text.startswith("scrape_configs:")}
# The project's own files and directories; module names and paths on a node do not match.
TOP = "controller|datapaths|docs|frr_bridge|packaging|proto|tests"
OURS = re.compile(rf"(?<![\w./-])(?:{TOP})/(?:[\w./-]*\.[a-z]+\b|[\w./-]*/(?![\w*{{]))")


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - ROLLOUTS - PROMETHEUS))
def test_every_documented_manifest_is_accepted(name: str) -> None:
    found = merge(read(EXAMPLES[name], "example"))
    intent = layout.compile(found, Node(1, "pe1", {"rack": "a"}))
    assert all(s.ready and s.message in ("", EXPERIMENT) for s in intent.statuses)
    render(intent.frr)


@pytest.mark.parametrize("name", sorted(ROLLOUTS))
def test_every_documented_rollout_is_accepted(name: str) -> None:
    (document,) = read(EXAMPLES[name], "example")
    assert isinstance(document.value, dict)
    assert parse(document.value) is not None


def test_documentation_contains_manifests() -> None:
    pages = [name.partition("-")[0] for name in EXAMPLES]
    assert (pages.count("MANIFESTS"), pages.count("OPERATIONS")) == (9, 1)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_every_path_named_in_the_documentation_exists(page: Path) -> None:
    assert [path for path in OURS.findall(page.read_text()) if not (ROOT / path).exists()] == []
