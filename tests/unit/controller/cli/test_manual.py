"""The manual pages match the help."""

from __future__ import annotations

import shutil
import subprocess
from argparse import SUPPRESS
from pathlib import Path

import pytest

from controller.cli.__main__ import load
from controller.cli.catalogue import CATALOGUE
from controller.cli.manual import main, pages

PAGES = dict(pages())


def test_every_command_has_a_manual_page() -> None:
    assert set(PAGES) == {"dualpath.1", *(f"dualpath-{name}.1" for name in CATALOGUE)}
    assert all(f".B {name}\n" in PAGES["dualpath.1"] for name in CATALOGUE)


@pytest.mark.parametrize("name", CATALOGUE)
def test_manual_page_has_every_option_of_its_command(name: str) -> None:
    page = PAGES[f"dualpath-{name}.1"]
    for action in load(name).parser._actions:
        if action.help != SUPPRESS:
            names = ", ".join(f"\\fB{option}\\fP" for option in action.option_strings)
            assert f".TP\n{names.replace('-', chr(92) + '-')}" in page
    example = f"\ndualpath {name}".replace("-", chr(92) + "-")
    assert example in page.partition(".SH EXAMPLES")[2]


@pytest.mark.parametrize("name", PAGES)
def test_manual_page_is_valid_for_man(name: str, tmp_path: Path) -> None:
    page = PAGES[name]
    known = (".TH", ".SH", ".TP", ".PP", ".nf", ".fi", ".B ")
    assert all(line.startswith(known) for line in page.splitlines() if line.startswith("."))
    for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS"):
        assert page.count(f".SH {heading}\n") == 1
    if shutil.which("mandoc"):
        (tmp_path / name).write_text(page)
        subprocess.run(["mandoc", "-Tlint", "-Werror", tmp_path / name], check=True)


def test_manual_pages_are_written_to_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["manual", str(tmp_path / "man1")])
    main()
    assert {path.name for path in (tmp_path / "man1").iterdir()} == set(PAGES)
