"""`dualpath down`: restores the machine's state before Dualpath."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from controller.cli.command import Option
from controller.cli.options import Output, OutputOption, StateDirOption
from controller.cli.output import to_yaml
from controller.cli.terminal import echo, fail
from dualpath.process import frrfile, options
from dualpath.process.lock import Held, alone

if TYPE_CHECKING:
    from controller.node.teardown import Step


def down(
    state_dir: StateDirOption = Path(options.STATE_DIR),
    netns: Annotated[
        str,
        Option(
            "--netns",
            metavar="NAME|PATH",
            parse=options.namespace,
            help="Forwarding namespace (default: the controller's).",
        ),
    ] = "",
    frr_netns: Annotated[
        str,
        Option(
            "--frr-netns",
            metavar="NAME|PATH",
            parse=options.namespace,
            help="FRR's namespace (default: the controller's).",
        ),
    ] = "",
    dry_run: Annotated[
        bool, Option("--dry-run", help="Show the steps without doing them.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Give back NICs; remove devices and namespaces of Dualpath.

    NICs keep their addresses and routes. Needs root. Stop the controller first; the command refuses
    while it runs. It does not touch FRR and its configuration; FRR's namespace stays while FRR
    runs. You can run it again.

    Exit codes: 0 everything is given back, 1 something is left (it says what),
    2 invalid command line.

    systemctl stop dualpath && dualpath down
    dualpath down --dry-run
    dualpath down --netns dualpath --frr-netns frr -o json
    """
    directory = state_dir
    if os.geteuid() != 0:
        fail("only root may move devices and remove namespaces; run it with sudo")
    import asyncio  # these imports are slow

    from controller.manifests import trial
    from controller.node import namespacerecord, supervisor
    from controller.node.namespacerecord import NamespaceRecord
    from controller.node.teardown import planned, undone

    left = namespacerecord.read(directory) or NamespaceRecord(options.DEFAULT_NETNS)
    left = replace(left, forwarding=netns or left.forwarding, control=frr_netns or left.control)
    if dry_run:
        _show(planned(left), output)
        return
    if not directory.is_dir():
        _show((), output)
        return
    try:
        with alone(directory / "controller.lock"):
            asyncio.run(supervisor.end_bridge_of(directory))  # a killed controller left it
            frrfile.forget(directory)  # from now on it is not for what is there
            steps = list(undone(left))
            if not any(step.problem for step in steps):
                namespacerecord.forget(directory)
                trial.end(directory)  # nothing is left to confirm
    except Held:
        fail(
            f"a controller runs with --state-dir {state_dir}; stop it first, with "
            "`systemctl stop dualpath` or by SIGTERM, and run `dualpath down` again"
        )
    except OSError as error:
        fail(f"--state-dir {state_dir}: {error.strerror}")
    _show(steps, output)
    raise SystemExit(1 if any(step.problem for step in steps) else 0)


def _show(steps: Iterable[Step], output: Output) -> None:
    rows = [asdict(step) for step in steps]
    if output is Output.JSON:
        echo(json.dumps(rows, indent=2))
    elif output is Output.YAML:
        echo(to_yaml(rows).rstrip())
    elif not rows:
        echo("nothing of Dualpath is here")
    for row in rows if output in (Output.TABLE, Output.WIDE) else ():
        end = f": NOT DONE: {row['problem']}" if row["problem"] else ""
        echo(f"{row['what']:<9} {row['name']}: {row['detail']}{end}")
