"""One run of pytest, divided among guests: those that need grout go where grout is quick.

Guests of a phase run at once, and phases one after the other: a guest in QEMU takes two CPUs.
"""

import os
import shlex
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.lab import machine, shards
from tests.lab.machine import CHECKOUT, QEMU_CPUS, Job, Mode, Settings, Write
from tests.lab.shards import Target

NO_TESTS = 5  # pytest's exit code when it collected none
PYTEST = "python -m pytest -p no:cacheprovider"


@dataclass(frozen=True, slots=True)
class Modes:
    """Where scenarios run: most of them, and those marked `grout`."""

    plain: Mode
    grout: Mode


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants to have run; `pytest` is files and options for it."""

    pytest: Sequence[str]
    markers: str = "lab"
    jobs: int = 1


def run(settings: Settings, modes: Modes, request: Request) -> int:
    """Run what is wanted and return the worst exit code. Raises LabError."""
    todo = phases(modes, request)
    alone = sum(map(len, todo)) == 1
    codes: list[int] = []
    for jobs in todo:
        writers = [write if alone else Prefixed(n, job.mode).write for n, job in enumerate(jobs, 1)]
        codes += _at_once(settings, jobs, writers)
    return worst(codes)


def phases(modes: Modes, request: Request) -> list[list[Job]]:
    """Return the guests' jobs: those of one list at once, the lists one after the other."""
    targets, options = shards.targets(CHECKOUT, request.pytest)

    def phase(mode: Mode, markers: str, targets: Sequence[Target], jobs: int) -> list[Job]:
        words = shlex.join(["-m", markers, *options])
        parts = shards.divide(targets, jobs)
        return [Job(f"exec {PYTEST} {words} {shlex.join(map(str, p))}", mode) for p in parts]

    if modes.plain is modes.grout:
        return [phase(modes.plain, request.markers, targets, request.jobs)]
    grout = [target for target in targets if target.grout]
    pairs = max(1, min(request.jobs, (os.cpu_count() or 1) // QEMU_CPUS))
    both = (
        phase(modes.plain, f"({request.markers}) and not grout", targets, request.jobs),
        phase(modes.grout, f"({request.markers}) and grout", grout, pairs),
    )
    return [jobs for jobs in both if jobs]


def _at_once(settings: Settings, jobs: Sequence[Job], writers: Sequence[Write]) -> list[int]:
    with ThreadPoolExecutor() as pool:
        started = [
            pool.submit(machine.run, settings, job, writer)
            for job, writer in zip(jobs, writers, strict=True)
        ]
        try:
            return [guest.result() for guest in started]
        except BaseException:
            settings.cancelled.set()  # Ctrl-C, or one could not start
            raise


def worst(codes: Sequence[int]) -> int:
    """Return the code of all guests: one that had nothing to run does not count."""
    ran = [code for code in codes if code != NO_TESTS]
    return max(ran, default=NO_TESTS)


def write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.flush()


class Prefixed:
    """Writes whole lines with a prefix, so that guests do not talk into each other's."""

    _lock = threading.Lock()

    def __init__(self, number: int, mode: Mode) -> None:
        self._prefix = f"{mode} {number} | ".encode()
        self._line = b""

    def write(self, data: bytes) -> None:
        *lines, self._line = (self._line + data).split(b"\n")
        with self._lock:
            write(b"".join(self._prefix + line + b"\n" for line in lines))
