"""README and docs: one form, and nothing in them that the code does not have."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.architecture import GENERATED, ORDER, ROOT, Source, package

WIDTH = 100
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
FORMED = [*PAGES, ROOT / "proto" / "README.md", ROOT / "tests" / "lab" / "README.md"]
SOURCE = Source(ROOT, ORDER)
ARCHITECTURE = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CONCURRENT = {
    "Popen",
    "TaskGroup",
    "ThreadPoolExecutor",
    "add_reader",
    "create_subprocess_exec",
    "create_task",
    "ensure_future",
    "posix_spawnp",
    "run_in_executor",
    "start_server",
    "start_unix_server",
    "to_thread",
}
"""Calls that start a task, a thread or a process, or have the event loop call back."""


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return FENCED.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_a_page_and_a_heading(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        found = page.parent / path if path else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_a_page_names_exist(page: Path) -> None:
    named = set(re.findall(r"`([\w/]+\.py)`", page.read_text()))
    files = [
        f"/{p.relative_to(ROOT)}" for top in (*ORDER, "tests") for p in (ROOT / top).rglob("*.py")
    ]
    assert [name for name in named if not any(f.endswith(f"/{name}") for f in files)] == []


def test_architecture_names_every_module_that_starts_a_task_a_thread_or_a_process() -> None:
    starting = {
        str(SOURCE.files[module].relative_to(ROOT))
        for module, tree in SOURCE.trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute | ast.Name)
        and (node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id) in CONCURRENT
    }
    assert len(starting) > 30
    assert [path for path in sorted(starting) if f"`{path}`" not in ARCHITECTURE] == []


def test_architecture_has_every_package_in_its_table() -> None:
    rooms = {
        "frr_bridge" if module.startswith("frr_bridge") else package(module).replace(".", "/")
        for module, path in SOURCE.files.items()
        if module != GENERATED and (path.name != "__init__.py" or "." in module)
    }
    loose = {"controller/__main__", "controller/settings"}
    assert [room for room in sorted(rooms - loose) if f"| `{room}` |" not in ARCHITECTURE] == []


@pytest.mark.parametrize("page", FORMED, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_fit_a_terminal(page: Path) -> None:
    """Fenced blocks are commands and output, which must not wrap; a lone link cannot be wrapped."""
    text = FENCED.sub("", page.read_text())
    long = [line for line in text.splitlines() if len(line) > WIDTH and " " in line.strip("- ")]
    assert long == []


@pytest.mark.parametrize("page", FORMED, ids=lambda page: str(page.relative_to(ROOT)))
def test_headings_have_one_style(page: Path) -> None:
    """One title; `#` headings, no level skipped, no period at the end, a blank line around."""
    lines = prose(page).splitlines()
    levels = [len(m[1]) for line in lines if (m := re.match(r"(#+) \S", line))]
    assert levels[:1] == [1]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    titles = [at for at, line in enumerate(lines) if line.startswith("#")]
    assert [lines[at] for at in titles if lines[at].rstrip().endswith((".", ":"))] == []
    tight = [
        lines[at] for at in titles if any(lines[i] for i in (at - 1, at + 1) if 0 <= i < len(lines))
    ]
    assert tight == []
    assert [line for line in lines if re.fullmatch(r"(=+|-{4,})", line)] == []
