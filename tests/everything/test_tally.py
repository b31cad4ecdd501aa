"""The plugin's results read back, and tests that ran elsewhere are omitted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.everything import tally
from tests.everything.summary import Outcome

TESTS = """
import os, pytest

def test_runs_anywhere():
    pass

def test_needs_more():
    if "MORE" not in os.environ:
        pytest.skip("no more here")
"""


def run(directory: Path, *options: str, **environment: str) -> str:
    (directory / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.everything.tally", *options]
    checkout = str(Path(__file__).parents[2])
    done = subprocess.run(
        [*command, "-c", "/dev/null", "--rootdir", str(directory), str(directory)],
        env={"PYTHONPATH": checkout, "PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_only_tests_that_another_run_skipped_are_run(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert "1 passed, 1 skipped" in run(tmp_path, f"--tally={here}")
    assert {test.outcome for test in tally.read(here)} == {Outcome.PASSED, Outcome.SKIPPED}
    told = run(tmp_path, f"--tally={there}", f"--not-run-in={here}", MORE="1")
    assert "1 passed, 1 deselected" in told
    assert [test.name for test in tally.read(there)] == ["test_it.py::test_needs_more"]


def test_every_test_is_run_without_another_run(tmp_path: Path) -> None:
    told = run(tmp_path, f"--not-run-in={tmp_path / 'nothing'}", MORE="1")
    assert "2 passed" in told
