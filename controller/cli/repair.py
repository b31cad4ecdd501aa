"""Commands that change something in the daemon."""

from __future__ import annotations

import typer

from controller.cli.client import CALL_S, REPAIR_S, connected
from controller.cli.options import LimitOption, Output, OutputOption
from controller.cli.output import print_message
from dualpath.model.words import counted
from dualpath.pb import inspect_pb2 as pb


def audit(
    context: typer.Context,
    limit: LimitOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Compare what is wanted, what was given and what is there; exit with 1 when they differ.

    Names 1000 rows unless --limit says otherwise, and counts all.

    \b
    dualpath audit
    dualpath audit -o json
    """
    with connected(context) as stub:
        answer = stub.Audit(pb.AuditRequest(limit=limit or 0), timeout=REPAIR_S)
    if output in (Output.JSON, Output.YAML):
        print_message(answer, output)
    else:
        for row in answer.rows:
            kind = pb.Kind.Name(row.kind).removeprefix("KIND_").lower()
            problem = pb.AuditProblem.Name(row.problem).removeprefix("AUDIT_PROBLEM_").lower()
            typer.echo(f"{problem:<11} {' '.join(filter(None, (kind, row.vrf, row.text)))}")
        if answer.unchecked:
            typer.echo(f"FRR's own view was not compared: {answer.unchecked}")
        if not answer.differed:
            typer.echo("nothing differs")
        elif answer.differed > len(answer.rows):
            typer.echo(f"and {answer.differed - len(answer.rows)} more")
    raise typer.Exit(1 if answer.differed else 0)


def resync(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Compare what is wanted with what the datapath holds, now, and repair it.

    \b
    dualpath resync
    """
    with connected(context) as stub:
        answer = stub.Resync(pb.ResyncRequest(), timeout=REPAIR_S)
    if output in (Output.JSON, Output.YAML):
        print_message(answer, output)
    else:
        rows = counted(answer.differed, "row")
        typer.echo(f"{rows} differed and were put right" if answer.differed else "nothing differed")


def release(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Let go at once of what is held for a daemon of FRR that died.

    \b
    dualpath release
    """
    with connected(context) as stub:
        answer = stub.Release(pb.ReleaseRequest(), timeout=CALL_S)
    if output in (Output.JSON, Output.YAML):
        print_message(answer, output)
    else:
        typer.echo(answer.message)


COMMANDS = (audit, resync, release)
