"""Outlives the controller while a change is on trial, and takes it back when that is dead.

A process of its own in a session of its own: neither SIGKILL of the controller nor the end of the
SSH session in which it was started reaches it. It ends when nothing is on trial any more. A live
controller takes a change back itself; one that has not done so after a while hangs, and is killed.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from controller.manifests import trial
from controller.manifests.rollback import roll_back
from controller.manifests.trial import Trial
from dualpath.process import logs, options
from dualpath.process.lock import Held, alone, is_held

log = logging.getLogger("controller.manifests.watchdog")  # also when it is run as a program

LOCK = "watchdog.lock"
CONTROLLER_LOCK = "controller.lock"
LOOK_S = 0.2
PATIENCE_S = 30.0  # for a live controller, after the deadline


def start(state_dir: Path, log_level: str, log_format: str) -> subprocess.Popen[bytes]:
    """Start one. Raises OSError."""
    command = [sys.executable, "-P", "-m", "controller.manifests.watchdog"]
    options = [f"--state-dir={state_dir}", f"--log-level={log_level}", f"--log-format={log_format}"]
    return subprocess.Popen(
        [*command, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )


def runs(state_dir: Path) -> bool:
    return is_held(state_dir / LOCK)


def watch(state_dir: Path) -> None:
    """Return when nothing is on trial any more, by whomever."""
    while (found := trial.read(state_dir)) is not None and not found.confirmed:
        at = trial.now()
        if at >= found.deadline:
            _overdue(state_dir, found, at)
        time.sleep(LOOK_S)


def _overdue(state_dir: Path, found: Trial, at: float) -> None:
    try:
        with alone(state_dir / CONTROLLER_LOCK):
            roll_back(state_dir)
    except Held:
        if at >= found.deadline + PATIENCE_S:
            _kill(found.pid)


def _kill(pid: int) -> None:
    """Kill the controller that hangs, and nobody who got its number since."""
    with suppress(OSError):
        if b"controller" in Path(f"/proc/{pid}/cmdline").read_bytes():
            log.error("controller, pid %d, did not take the change back: killing it", pid)
            os.kill(pid, signal.SIGKILL)


def main() -> None:
    parser = options.Parser(
        prog="watchdog", description="Takes an unconfirmed change back when the controller died."
    )
    parser.add_argument("--state-dir", type=options.state_dir, metavar="PATH", required=True)
    logs.add_options(parser.add_argument)
    told = parser.parse_args()
    logs.start(told.log_level, told.log_format)
    with suppress(Held), alone(told.state_dir / LOCK):
        watch(told.state_dir)


if __name__ == "__main__":
    main()
