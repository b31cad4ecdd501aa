"""Adds up the results of several runs of the same tests. Pure.

A test counts once. What this machine's kernel could not run and the lab's did, has run.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


SLOWEST = 25  # files that the report names

# Of two runs of one test: a failure anywhere is one, and a skip is none if another run was none.
WORSE = {Outcome.FAILED: 2, Outcome.PASSED: 1, Outcome.SKIPPED: 0}


@dataclass(frozen=True, slots=True)
class Test:
    """One test or check in one run; the reason is of a skip or failure."""

    __test__ = False  # for pytest: nothing to collect

    name: str
    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0  # with its fixtures


@dataclass(frozen=True, slots=True)
class Part:
    """One command and the tests that it ran."""

    title: str
    tests: Sequence[Test]
    seconds: float


def merge(tests: Iterable[Test]) -> list[Test]:
    """Return each test once, sorted by name."""
    merged: dict[str, Test] = {}
    for test in tests:
        before = merged.get(test.name)
        if before is None or WORSE[test.outcome] > WORSE[before.outcome]:
            merged[test.name] = test
    return [merged[name] for name in sorted(merged)]


def report(parts: Sequence[Part]) -> list[str]:
    """Return the closing lines; the last is `N passed, N failed, N skipped`."""
    merged = merge(test for part in parts for test in part.tests)
    ran = {test.name for test in merged if test.outcome is not Outcome.SKIPPED}
    lines = [f"{'':40}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}"]
    lines += [_row(part) for part in parts]
    lines += [
        "",
        *_slowest(parts),
        "",
        *_elsewhere(parts, ran),
        *_skipped(merged),
        *_failed(merged),
    ]
    return [*lines, "", sums(merged)]


def sums(tests: Iterable[Test]) -> str:
    counts = Counter(test.outcome for test in tests)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome)


def _row(part: Part) -> str:
    counts = Counter(test.outcome for test in part.tests)
    passed, failed, skipped = (counts[outcome] for outcome in Outcome)
    return f"{part.title:40}{passed:>8}{failed:>8}{skipped:>9}{part.seconds:>9.0f}"


def _slowest(parts: Sequence[Part]) -> list[str]:
    """Return the files whose tests took longest, in whichever part."""
    files: Counter[tuple[str, str]] = Counter()
    for part in parts:
        for test in part.tests:
            files[test.name.partition("::")[0], part.title] += round(test.seconds)
    slow = [(file, seconds) for file, seconds in files.most_common(SLOWEST) if seconds]
    return [f"{seconds:6} s  {file} ({title})" for (file, title), seconds in slow]


def _elsewhere(parts: Sequence[Part], ran: set[str]) -> list[str]:
    """Say which skips do not count, since another part ran the test."""
    skips = {
        (test.name, test.reason)
        for part in parts
        for test in part.tests
        if test.outcome is Outcome.SKIPPED and test.name in ran
    }
    reasons = Counter(reason for _, reason in skips)
    return [
        f"skipped in one part, run in another: {count} ({reason})"
        for reason, count in sorted(reasons.items())
    ]


def _skipped(merged: Sequence[Test]) -> list[str]:
    reasons = Counter(test.reason for test in merged if test.outcome is Outcome.SKIPPED)
    return [f"skipped: {count} ({reason})" for reason, count in sorted(reasons.items())]


def _failed(merged: Sequence[Test]) -> list[str]:
    failed = [test for test in merged if test.outcome is Outcome.FAILED]
    return [f"failed: {test.name} ({test.reason})" for test in failed]
