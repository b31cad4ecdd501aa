"""`dualpath confirm`: keep a change that `controller --confirm-within` put on trial."""

from __future__ import annotations

import os
from pathlib import Path

from controller.cli.options import StateDirOption
from controller.cli.terminal import echo, fail
from controller.manifests import trial
from dualpath.process import options


def confirm(state_dir: StateDirOption = Path(options.STATE_DIR)) -> None:
    """Keep a start or a change that is on trial.

    A change is on trial if the controller runs with --confirm-within. Needs root, and no running
    controller. Exit codes: 0 the change stays, 1 nothing is on trial or the time is over,
    2 invalid command line.

    dualpath confirm
    dualpath confirm --state-dir /run/dualpath-pe2
    """
    if os.geteuid() != 0:
        fail("only root may confirm a change; run it with sudo")
    try:
        trial.confirm(state_dir, trial.now())
        from controller.manifests import store  # imports the compiler of manifests, which is slow

        store.promote(state_dir)
    except trial.NothingOnTrial:
        fail("nothing is on trial")
    except trial.TooLate:
        fail("too late: the time is over, and the change is being rolled back")
    except OSError as error:
        fail(f"--state-dir {state_dir}: {error.strerror}")
    echo("confirmed: the change stays")
