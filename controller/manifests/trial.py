"""A change on trial is kept only if it is confirmed in time: one file in the state directory.

The file exists from before the change until the change is confirmed or rolled back:

    nothing -> written (begin) -> confirmed (confirm) -> gone            the change stays
                               -> claimed (claim) -> rolled back -> gone the change goes

Confirming and claiming use one lock, so exactly one of them succeeds. An absent file confirms
nothing, because somebody may have removed it. The deadline is a time of CLOCK_BOOTTIME: it outlives
the controller, and setting the clock does not move it. A reboot undoes the change by itself, so a
file of an earlier boot is ignored.
"""

from __future__ import annotations

import errno
import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dualpath.process.lock import Held, alone

NAME = "unconfirmed.json"
LOCK = "unconfirmed.lock"
MODE = 0o600
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TURN_S = 0.02
_TURNS = 250


@dataclass(frozen=True, slots=True)
class Trial:
    """A change on trial, and its deadline."""

    deadline: float  # seconds of CLOCK_BOOTTIME
    boot: str
    pid: int  # the controller's
    first: bool  # a first start: rolling back removes everything
    keeps: tuple[str, ...] = ()  # NICs fetched before the change; a rollback returns the others
    claimed: bool = False  # being rolled back: too late to confirm
    confirmed: bool = False  # the change stays


class NothingOnTrial(Exception):
    """There is nothing to confirm."""


class TooLate(Exception):
    """The change is being rolled back already."""


def now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot() -> str:
    return BOOT_ID.read_text().strip()


def read(state_dir: Path) -> Trial | None:
    """Return the change on trial; None if there is none, or if a reboot ended it."""
    try:
        stored = json.loads((state_dir / NAME).read_text(encoding="utf-8"))
        found = Trial(**{**stored, "keeps": tuple(stored["keeps"])})
        if not (math.isfinite(found.deadline) and isinstance(found.pid, int)):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.boot == boot() else None


def begin(state_dir: Path, trial: Trial) -> None:
    """Put a change on trial, before anything is changed. Raises OSError."""
    with _turn(state_dir):
        _write(state_dir, trial)


def confirm(state_dir: Path, at: float) -> None:
    """Keep the change. Raises NothingOnTrial, or TooLate from the deadline on."""
    if not state_dir.is_dir():
        raise NothingOnTrial
    with _turn(state_dir):
        trial = read(state_dir)
        if trial is None or trial.confirmed:
            raise NothingOnTrial
        if trial.claimed or at >= trial.deadline:
            raise TooLate
        _write(state_dir, replace(trial, confirmed=True))


def claim(state_dir: Path) -> Trial | None:
    """Claim the change to roll it back: it can no longer be confirmed. None without a change."""
    with _turn(state_dir):
        trial = read(state_dir)
        if trial is None or trial.confirmed:
            return None
        trial = replace(trial, claimed=True)
        _write(state_dir, trial)
        return trial


def end(state_dir: Path) -> None:
    """End the trial: remove its file."""
    (state_dir / NAME).unlink(missing_ok=True)


def _write(state_dir: Path, trial: Trial) -> None:
    file = state_dir / NAME
    partial = file.with_suffix(".new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        json.dump(asdict(trial), opened)
        opened.flush()
        os.fsync(opened.fileno())
    partial.replace(file)


@contextmanager
def _turn(state_dir: Path) -> Iterator[None]:
    """Hold the lock, waiting up to 5 s for others, who hold it briefly. Raises OSError."""
    for left in reversed(range(_TURNS)):
        try:
            with alone(state_dir / LOCK):
                yield
                return
        except Held:
            if not left:
                raise OSError(errno.EBUSY, f"another process holds {LOCK}") from None
            time.sleep(_TURN_S)
