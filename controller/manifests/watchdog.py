"""Rolls back a change on trial if the controller cannot: a process that outlives the controller.

It has a session of its own, so neither a SIGKILL of the controller nor the end of the SSH session
that started the controller reaches it. It ends when nothing is on trial any more. A live controller
rolls back a change itself; one that has not done so 30 s after the deadline hangs, and is killed.
"""

from __future__ import annotations

import logging
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
from dualpath.process.pidfd import Process

log = logging.getLogger("controller.manifests.watchdog")  # also when it is run as a program

LOCK = "watchdog.lock"
CONTROLLER_LOCK = "controller.lock"
LOOK_S = 0.2
PATIENCE_S = 30.0  # for a live controller, after the deadline


def start(state_dir: Path, log_level: str, log_format: str) -> subprocess.Popen[bytes]:
    """Start a watchdog. Raises OSError."""
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
    """Return when no change is on trial."""
    controller: Process | None = None
    while (found := trial.read(state_dir)) is not None and not found.confirmed:
        if controller is None or controller.pid != found.pid:
            controller = _controller(found.pid)
        at = trial.now()
        if at >= found.deadline:
            _overdue(state_dir, found, controller, at)
        time.sleep(LOOK_S)


def _controller(pid: int) -> Process | None:
    """Return the controller that has just written its pid into the trial; None if it is dead."""
    with suppress(OSError):
        if b"controller" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return Process(pid)
    return None


def _overdue(state_dir: Path, found: Trial, controller: Process | None, at: float) -> None:
    try:
        with alone(state_dir / CONTROLLER_LOCK):
            roll_back(state_dir)
    except Held:
        if controller and at >= found.deadline + PATIENCE_S:
            log.error("controller, pid %d, did not roll back the change: killing it", found.pid)
            controller.send_signal(signal.SIGKILL)


def main() -> None:
    parser = options.Parser(
        prog="watchdog", description="Rolls back an unconfirmed change when the controller died."
    )
    parser.add_argument("--state-dir", type=options.state_dir, metavar="PATH", required=True)
    logs.add_options(parser.add_argument)
    parsed = parser.parse_args()
    logs.start(parsed.log_level, parsed.log_format)
    with suppress(Held), alone(parsed.state_dir / LOCK):
        watch(parsed.state_dir)


if __name__ == "__main__":
    main()
