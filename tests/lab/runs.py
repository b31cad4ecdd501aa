"""One run of pytest in several guests: what needs grout goes where grout is quick.

Guests of a phase run at once and share its files out; phases come one after the other, since a
guest in QEMU takes two CPUs.
"""

import os
import shlex
import shutil
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.lab import machine, targets
from tests.lab.machine import CHECKOUT, QEMU_CPUS, Job, Mode, Settings, Write
from tests.lab.targets import Target

NO_TESTS = 5  # pytest's exit code when it collected none
IN_GUEST = "/artefacts"  # a run's artefacts, as its guests see them
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
    settings.artefacts.mkdir(parents=True, exist_ok=True)
    claims = Path(tempfile.mkdtemp(prefix="claims-", dir=settings.artefacts))
    todo = phases(modes, request, f"{IN_GUEST}/{claims.name}")
    alone = sum(map(len, todo)) == 1
    codes: list[int] = []
    try:
        for jobs in todo:
            names = [job.mode for job in jobs]
            writers = [write if alone else Prefixed(n, m).write for n, m in enumerate(names, 1)]
            codes += _at_once(settings, jobs, writers)
    finally:
        shutil.rmtree(claims, ignore_errors=True)
    return worst(codes)


def phases(modes: Modes, request: Request, claims: str) -> list[list[Job]]:
    """Return the guests' jobs: those of one list at once, the lists one after the other.

    `claims` is a directory that is empty, as the guests see it.
    """
    files, options = targets.find(CHECKOUT, request.pytest)

    def phase(mode: Mode, markers: str, files: Sequence[Target], guests: int) -> list[Job]:
        guests = min(guests, len(files))
        share = ["-p", "tests.lab.claims", f"--claims={claims}/{mode}"] if guests > 1 else []
        words = shlex.join([*share, "-m", markers, *options, *map(str, files)])
        return [Job(f"exec {PYTEST} {words}", mode)] * guests

    if modes.plain is modes.grout:
        return [phase(modes.plain, request.markers, files, request.jobs)]
    grout = [target for target in files if target.grout]
    pairs = max(1, min(request.jobs, (os.cpu_count() or 1) // QEMU_CPUS))
    both = (
        phase(modes.plain, f"({request.markers}) and not grout", files, request.jobs),
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
