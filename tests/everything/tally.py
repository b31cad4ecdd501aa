"""A pytest plugin that writes the result of every test to a file.

Run as `pytest -p tests.everything.tally --tally DIRECTORY`. It must work inside the lab's guests,
several of which share a directory, so the names of files are random.
"""

import json
import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest

from tests.everything.hangs import Watch
from tests.everything.summary import Outcome, Test

MESSAGE_LENGTH = 400
HUNG = 124  # this process ends with it, as timeout(1) does


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tally", metavar="DIRECTORY", help="leave every test's outcome there")
    parser.addoption(
        "--hangs", metavar="SECONDS", type=float, help="end the run when a test takes longer"
    )
    parser.addoption(
        "--not-run-in",
        metavar="DIRECTORY",
        help="run only the tests that a tally there does not show as run",
    )


def pytest_configure(config: pytest.Config) -> None:
    directory = config.getoption("tally")
    if directory is not None:
        config.pluginmanager.register(Tally(Path(directory), config.getoption("hangs")))


def read(directory: Path) -> list[Test]:
    """Return the results in `directory`, in no particular order."""
    rows = [row for file in directory.glob("*.json") for row in json.loads(file.read_text())]
    return [Test(name, Outcome(outcome), reason, took) for name, outcome, reason, took in rows]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    directory = config.getoption("not_run_in")
    if directory is None:
        return
    ran = {test.name for test in read(Path(directory)) if test.outcome is not Outcome.SKIPPED}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in ran])
    items[:] = [item for item in items if item.nodeid not in ran]


class Tally:
    """Writes one file when the session ends, or a test hangs; one that is killed leaves none."""

    def __init__(self, directory: Path, hangs_s: float | None) -> None:
        self._directory = directory
        self._watch = Watch(hangs_s, self._hung) if hangs_s else None
        self._tests: dict[str, Test] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if self._watch:
            self._watch.begins(nodeid)

    def pytest_runtest_logfinish(self) -> None:
        if self._watch:
            self._watch.ends()

    def _hung(self, name: str, where: str) -> None:
        """Write what there is, with the test that hangs as failed, and end the process."""
        self._keep(name, Outcome.FAILED, f"hangs: {where}")
        self.pytest_sessionfinish()
        # Captured output is lost, but not the descriptor that the capture took it from.
        print(f"\n{name} hangs, and ends the run: {where}", file=sys.__stderr__, flush=True)
        os._exit(HUNG)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration
        before = self._tests.get(report.nodeid)
        if before is not None and before.outcome is Outcome.FAILED:
            return
        if report.failed:
            self._keep(report.nodeid, Outcome.FAILED, f"{report.when}: {_message(report)}")
        elif report.skipped:
            expected = getattr(report, "wasxfail", None)
            reason = _reason(report) if expected is None else f"expected to fail: {expected}"
            self._keep(report.nodeid, Outcome.SKIPPED, reason)
        elif report.when == "call":
            self._keep(report.nodeid, Outcome.PASSED, "")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._keep(report.nodeid, Outcome.FAILED, "cannot be collected")
        elif report.skipped:
            self._keep(report.nodeid, Outcome.SKIPPED, _reason(report))

    def pytest_sessionfinish(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        rows = [
            (test.name, test.outcome, test.reason, self._seconds[test.name])
            for test in self._tests.values()
        ]
        with tempfile.NamedTemporaryFile(
            "w", dir=self._directory, suffix=".json", delete=False
        ) as file:
            json.dump(rows, file)

    def _keep(self, name: str, outcome: Outcome, reason: str | None) -> None:
        self._tests[name] = Test(name, outcome, reason or "")


def _message(report: pytest.TestReport) -> str:
    """Return the exception in one line: the sum may be the only output that is seen."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else report.longreprtext
    return " ".join(text.split())[:MESSAGE_LENGTH]


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
