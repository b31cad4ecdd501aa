"""The documentation as a site: its menu has each page, no link is dead, no other site is asked."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.architecture import ROOT

LOADED = re.compile(r"<(?:script|img|iframe)[^>]* src=\"?(https?:[^\"> ]+)|<link[^>]*(https?:\S+)")
PARTS = ("docs", "packaging/site", "tests/lab", "proto", "deploy", "examples")


def pages(menu: object) -> Iterator[str]:
    if isinstance(menu, str):
        yield menu
    elif isinstance(menu, dict):
        for below in menu.values():
            yield from pages(below)
    elif isinstance(menu, list):
        for below in menu:
            yield from pages(below)


def built(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build"]
    return subprocess.run(
        command,
        cwd=tree,
        env={"NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What the site is made from."""
    for part in PARTS:
        shutil.copytree(ROOT / part, tmp_path / part)
    for file in ("mkdocs.yml", "README.md"):
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def test_the_menu_has_each_page() -> None:
    menu = set(pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    files = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert menu == files | {"index.md", "decisions/README.md"}


@pytest.mark.site
def test_the_site_has_what_the_pages_link_to_and_asks_no_other_site(tree: Path) -> None:
    done = built(tree)
    assert done.returncode == 0, done.stdout + done.stderr
    site = tree / "build" / "site"
    assert "<h1" in (site / "index.html").read_text()
    assert (site / "files" / "deploy" / "monitoring" / "rules.yaml").exists()
    asked = {
        (path.name, *found)
        for path in site.rglob("*.html")
        for found in LOADED.findall(path.read_text())
        if 'rel="canonical"' not in found
    }
    assert asked == set()
    found = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    assert {"UI.html", "ALERTS.html"} <= {it["location"].partition("#")[0] for it in found}


@pytest.mark.site
@pytest.mark.parametrize("link", ["NOWHERE.md", "UI.md#nowhere", "../nowhere/"])
def test_a_dead_link_makes_no_site(tree: Path, link: str) -> None:
    page = tree / "docs" / "UI.md"
    page.write_text(f"{page.read_text()}\n[dead]({link})\n")
    done = built(tree)
    assert done.returncode != 0
    assert "UI.md" in done.stderr
