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


HANGING = """
import asyncio, threading

def test_before():
    pass

def test_hangs():
    async def waits():
        await asyncio.to_thread(threading.Event().wait)
    asyncio.run(waits())
"""


def run(
    directory: Path, *options: str, code: int = 0, tests: str = TESTS, **environment: str
) -> str:
    (directory / "test_it.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.everything.tally", *options]
    checkout = str(Path(__file__).parents[2])
    done = subprocess.run(
        [*command, "-c", "/dev/null", "--rootdir", str(directory), str(directory)],
        env={"PYTHONPATH": checkout, "PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
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


def test_a_test_that_hangs_is_named_with_what_it_waits_for(tmp_path: Path) -> None:
    run(tmp_path, f"--tally={tmp_path}", "--hangs=0.5", code=124, tests=HANGING)
    before, hung = sorted(tally.read(tmp_path), key=lambda test: test.name)
    assert (before.name, before.outcome) == ("test_it.py::test_before", Outcome.PASSED)
    assert (hung.name, hung.outcome) == ("test_it.py::test_hangs", Outcome.FAILED)
    assert hung.reason.startswith("hangs: ")
    assert "MainThread: test_a_test_that_hangs_is_name0/test_it.py:10 test_hangs" in hung.reason
    assert "test_hangs.<locals>.waits: " in hung.reason
