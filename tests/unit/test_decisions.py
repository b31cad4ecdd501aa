"""The decision records: complete, in one form, indexed, and linked without dead ends."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
INDEX = (DECISIONS / "README.md").read_text()
RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))
PAGES = [*sorted(DECISIONS.glob("*.md")), ROOT / "tests" / "lab" / "README.md"]
SECTIONS = ["Context", "Decision", "Rejected", "Consequences"]

TITLE = re.compile(r"\A# (\d{4}): (.+)\n\nStatus: (.+)\n\n")
STATUS = re.compile(r"accepted\b|superseded by \[\d{4}\]")
SECTION = re.compile(r"^\*\*(\w+)[^*]*\*\*(?!\s*(?:\*\*|\Z))", re.MULTILINE)
ENTRY = re.compile(r"^- \[(\d{4})\] (.+) \((.+)\)\n  \S", re.MULTILINE)
TARGET = re.compile(r"^\[(\d{4})\]: (\S+)$", re.MULTILINE)
MERGED = re.compile(r"^\| (\d{4}) \| .+ \| \[(\d{4})\]", re.MULTILINE)
CITED = re.compile(r"\bdecisions?[/ ](\d{4})\b")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def number(path: Path) -> str:
    return path.name[:4]


def anchors(page: Path) -> set[str]:
    """Return the names that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("path", RECORDS, ids=number)
def test_record_has_title_status_and_sections(path: Path) -> None:
    text = path.read_text()
    head = TITLE.match(text)
    assert head
    assert head[1] == number(path)
    assert STATUS.match(head[3])
    found = list(dict.fromkeys(SECTION.findall(text)))
    assert [name for name in found if name != "Observed"] == SECTIONS


@pytest.mark.parametrize("path", [*RECORDS, DECISIONS / "README.md"], ids=number)
def test_lines_fit_a_terminal(path: Path) -> None:
    assert [line for line in path.read_text().splitlines() if len(line) > 100] == []


def test_index_lists_every_record_with_its_title_and_status() -> None:
    files = dict(TARGET.findall(INDEX))
    shown = {key: (files[key], title, status) for key, title, status in ENTRY.findall(INDEX)}
    written = {}
    for path in RECORDS:
        head = TITLE.match(path.read_text())
        assert head
        status = re.match(r"accepted|superseded by \[?\d{4}", head[3])
        assert status
        written[number(path)] = (path.name, head[2], status[0].replace("[", ""))
    assert shown == written


def test_merged_records_name_each_other() -> None:
    merged = dict(MERGED.findall(INDEX))
    said = {
        gone: number(path)
        for path in RECORDS
        for line in re.findall(r"^Status: .*Merged: ([\d, ]+)\.", path.read_text(), re.MULTILINE)
        for gone in line.split(", ")
    }
    assert merged == said
    assert not {*merged} & {number(path) for path in RECORDS}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_records_lead_to_a_page_and_a_heading(page: Path) -> None:
    dead = []
    for link in LINK.findall(CODE.sub("", page.read_text())):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        target = (page.parent / name) if name else page
        if not target.exists() or (heading and heading not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_code_cites_only_records_that_exist() -> None:
    known = {number(path) for path in RECORDS}
    files = (
        path
        for top in ("dualpath", "datapaths", "frr_bridge", "controller", "tests", "packaging")
        for path in (ROOT / top).rglob("*")
        if path.suffix in {".py", ".j2", ".md", ".sh", ".service", ".conf"}
    )
    cited = {(path.name, n) for path in files for n in CITED.findall(path.read_text())}
    assert {item for item in cited if item[1] not in known} == set()
    assert cited
