"""Run benches one after the other, print one table, and write what was measured as JSON.

A bench that fails does not stop the next; then the exit code is 1. No time makes it fail.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench import declared, record, runner, table, trend
from tests.bench.declared import Bench, Level
from tests.bench.record import Outcome, Record

INTERRUPTED = 130  # as a shell has it for SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    known = declared.names()
    unknown = sorted(set(given.names) - set(known))
    if unknown:
        _parser().error(f"no bench is called {', '.join(unknown)}; there are {', '.join(known)}")
    earlier = [(path.stem, record.read(path)) for path in given.compare]
    found = record.begin(given.level)
    interrupted = False
    try:
        for name in given.names or known:
            for _ in _run(found, name, Level(given.level), chosen=bool(given.names)):
                if given.json:
                    found.write(given.json)  # after each, so that nothing is lost
    except KeyboardInterrupt:
        interrupted = True
    print(
        "\n".join(["", *table.lines(found, whole=not given.names and given.level != Level.QUICK)])
    )
    if earlier:
        print("\n".join(["", *trend.lines([*earlier, ("now", found)])]))
    if interrupted:
        print("interrupted: the rest did not run")
        return INTERRUPTED
    return 1 if table.failures(found.benches) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="benches (default: all)")
    level = parser.add_mutually_exclusive_group()
    for option, what in (("--all", Level.LONG), ("--quick", Level.QUICK)):
        level.add_argument(
            option, dest="level", action="store_const", const=what, default=Level.USUAL, help=what
        )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument(
        "--compare",
        type=Path,
        nargs="*",
        default=[],
        metavar="FILE",
        help="print the trend from these earlier files",
    )
    return parser


def _run(found: Record, name: str, level: Level, *, chosen: bool) -> Iterator[Outcome]:
    """Run a bench as often as its level has arguments; chosen by name, it always runs.

    Yields each outcome once it and its figures are in the record.
    """
    try:
        bench = declared.load(name)
    except Exception as error:  # whatever a bench does while it is imported
        found.benches.append(Outcome(name, (), "failed", repr(error)))
        print(f"== {name}: {error!r}", flush=True)
        yield found.benches[-1]
        return
    runs = bench.runs(level) or (bench.long[:1] if chosen else ())
    for arguments in runs:
        why = _lacking(bench)
        if why:
            found.benches.append(Outcome(name, arguments, "skipped", why))
            yield found.benches[-1]
            continue
        print(f"== {' '.join((name, *arguments))}", flush=True)
        command = _command(name, bench, arguments)
        outcome, figures = runner.run(name, arguments, command, bench.limit_s)
        found.benches.append(outcome)
        found.figures += [(name, figure) for figure in figures]
        if outcome.outcome != "ok":
            print(f"== {outcome}: {outcome.outcome}: {outcome.why}", flush=True)
        yield outcome


def _lacking(bench: Bench) -> str:
    if bench.root and os.geteuid() != 0:
        return "it needs root"
    absent = [program for program in bench.programs if shutil.which(program) is None]
    return f"it needs {', '.join(absent)}" if absent else ""


def _command(name: str, bench: Bench, arguments: Sequence[str]) -> list[str]:
    words = ["-m", f"tests.bench.{name}", *arguments]
    if not bench.guest:
        return [sys.executable, *words]
    inside = f"exec python {' '.join(words)}"
    limit = str(bench.limit_s)
    lab = [sys.executable, "-m", "tests.lab", "shell", "--mode", "straight", "--timeout", limit]
    return [*lab, "-c", inside]


if __name__ == "__main__":
    sys.exit(main())
