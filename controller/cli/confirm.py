"""`dualpath confirm`: what `controller --confirm-within` put on trial stays."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from controller.cli.client import fail
from controller.cli.options import StateDirOption
from controller.manifests import kept, trial
from dualpath.process import options


def confirm(state_dir: StateDirOption = options.STATE_DIR) -> None:
    """Keep a start or a change of manifests that has to be confirmed (--confirm-within).

    Needs root, and no running controller. Exit codes: 0 it stays, 1 nothing is to be confirmed or
    it is too late, 2 a bad command line.

    \b
    dualpath confirm
    dualpath confirm --state-dir /run/dualpath-pe2
    """
    if os.geteuid() != 0:
        fail("only root may confirm a change; run it with sudo")
    directory = Path(state_dir)
    try:
        trial.confirm(directory, trial.now())
        kept.promote(directory)
    except trial.NothingOnTrial:
        fail("nothing is to be confirmed")
    except trial.TooLate:
        fail("too late: nobody confirmed in time, and the change is being taken back")
    except OSError as error:
        fail(f"--state-dir {state_dir}: {error.strerror}")
    typer.echo("confirmed: it stays")
