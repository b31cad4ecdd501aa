"""Runs one bench as a process of its own, shows its output, and collects its figures."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from tests.bench.figures import Figure, parse
from tests.bench.record import CHECKOUT, Outcome

PATIENCE_S = 20.0  # for a bench to remove its namespaces after SIGINT
SKIPPED = "skipped: "  # how a bench says that it found nothing to measure with


def run(
    name: str, arguments: Sequence[str], command: Sequence[str], limit_s: float
) -> tuple[Outcome, list[Figure]]:
    """Run a command to its end, or until its time is over, and return what it reported."""
    figures: list[Figure] = []
    load, began = os.getloadavg()[0], time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert process.stdout
    with process.stdout, _limited(process, limit_s) as over:
        why = _read(process.stdout, figures)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    outcome = "skipped" if why.startswith(SKIPPED) else "ok"
    if over.is_set():
        outcome, why = "failed", f"not done within {limit_s:g} s"
    elif process.returncode:
        outcome, why = "failed", f"exit code {process.returncode}"
    elif outcome == "ok" and (why or not figures):
        outcome, why = "failed", why or "it reported no figure"
    return (
        Outcome(
            name,
            tuple(arguments),
            outcome,
            why.removeprefix(SKIPPED),
            time.monotonic() - began,
            used.ru_utime + used.ru_stime,
            load,
        ),
        figures,
    )


def _read(output: Iterable[str], figures: list[Figure]) -> str:
    """Collect figures and print all other lines; return why the bench is not to be believed."""
    why = ""
    for line in output:
        try:
            figure = parse(line)
        except ValueError as error:
            why = f"a damaged figure: {error}"
            continue
        if figure is not None:
            figures.append(figure)
            continue
        print(line, end="", flush=True)
        if line.startswith(SKIPPED):
            why = line.strip()
    return why


@contextmanager
def _limited(process: subprocess.Popen[str], limit_s: float) -> Iterator[threading.Event]:
    """End the process and what it started after so long, or when we are interrupted."""
    over, done = threading.Event(), threading.Event()

    def watch() -> None:
        if done.wait(limit_s):
            return
        over.set()
        _signal(process, signal.SIGINT)
        if not done.wait(PATIENCE_S):
            _signal(process, signal.SIGKILL)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield over
    except KeyboardInterrupt:
        _signal(process, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_S)
        raise
    finally:
        done.set()
        thread.join()


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
