"""`dualpath down`: the machine as it was before Dualpath."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
import yaml

from controller.cli.client import fail
from controller.cli.options import NetnsOption, Output, OutputOption, StateDirOption
from controller.manifests import trial
from controller.node import footprint
from controller.node.footprint import Footprint
from controller.node.supervisor import running
from controller.node.teardown import Step, planned, undone
from dualpath.process import options
from dualpath.process.lock import Held, alone


def down(
    state_dir: StateDirOption = options.STATE_DIR,
    netns: Annotated[
        str, NetnsOption(help="Forwarding namespace (default: as the controller had it).")
    ] = "",
    frr_netns: Annotated[
        str, NetnsOption(help="FRR's namespace (default: as the controller had it).")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Give back NICs with their addresses and routes, and remove devices and namespaces of ours.

    Needs root. Refuses while the controller runs: stop that first. FRR and its configuration are
    left alone; the namespace that FRR runs in stays until FRR has ended. May be done again.

    Exit codes: 0 all is given back, 1 something is not (it says what), 2 a bad command line.

    \b
    systemctl stop dualpath && dualpath down
    dualpath down --dry-run
    dualpath down --netns dualpath --frr-netns frr -o json
    """
    directory = Path(state_dir)
    if os.geteuid() != 0:
        fail("only root may move devices and remove namespaces; run it with sudo")
    left = footprint.read(directory) or Footprint(options.DEFAULT_NETNS)
    left = replace(left, forwarding=netns or left.forwarding, control=frr_netns or left.control)
    if dry_run:
        _show(planned(left), output)
        return
    if not directory.is_dir():
        _show((), output)
        return
    try:
        with alone(directory / "controller.lock"):
            _end_bridge(directory)
            steps = list(undone(left))
            if not any(step.problem for step in steps):
                footprint.forget(directory)
                trial.end(directory)  # nothing is left to confirm
    except Held:
        fail(
            f"a controller runs with --state-dir {state_dir}; stop it first, with "
            "`systemctl stop dualpath` or by SIGTERM, and run `dualpath down` again"
        )
    except OSError as error:
        fail(f"--state-dir {state_dir}: {error.strerror}")
    _show(steps, output)
    raise typer.Exit(1 if any(step.problem for step in steps) else 0)


def _end_bridge(state_dir: Path) -> None:
    """End a frr-bridge that a killed controller left."""
    if pid := running(state_dir):
        os.kill(pid, signal.SIGTERM)


def _show(steps: Iterable[Step], output: Output) -> None:
    rows = [asdict(step) for step in steps]
    if output is Output.JSON:
        typer.echo(json.dumps(rows, indent=2))
    elif output is Output.YAML:
        typer.echo(yaml.safe_dump(rows, sort_keys=False).rstrip())
    elif not rows:
        typer.echo("nothing of Dualpath is here")
    for row in rows if output in (Output.TABLE, Output.WIDE) else ():
        end = f": NOT DONE: {row['problem']}" if row["problem"] else ""
        typer.echo(f"{row['what']:<9} {row['name']}: {row['detail']}{end}")
