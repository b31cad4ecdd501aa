"""Commands that change something in the daemon."""

from __future__ import annotations

from controller.cli.client import CALL_S, REPAIR_S, connected
from controller.cli.options import LimitOption, Output, OutputOption, Target
from controller.cli.output import print_message
from controller.cli.terminal import echo
from dualpath.model.words import counted
from dualpath.pb import inspect_pb2 as pb


def audit(
    target: Target,
    limit: LimitOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Compare desired, programmed and observed rows.

    Names 1000 rows unless --limit says otherwise, and counts all. Exits with 0 when nothing
    differs, 1 when rows differ, 2 when something could not be compared and the rest is equal.

    dualpath audit
    dualpath audit -o json
    """
    with connected(target) as stub:
        answer = stub.Audit(pb.AuditRequest(limit=limit or 0), timeout=REPAIR_S)
    if output in (Output.JSON, Output.YAML):
        print_message(answer, output)
    else:
        for row in answer.rows:
            kind = pb.Kind.Name(row.kind).removeprefix("KIND_").lower()
            problem = pb.AuditProblem.Name(row.problem).removeprefix("AUDIT_PROBLEM_").lower()
            words = (row.datapath, kind, row.vrf, row.text)
            echo(f"{problem:<11} {' '.join(filter(None, words))}")
        if answer.unchecked:
            echo(f"not compared: {answer.unchecked}")
        if not answer.differed:
            echo("nothing differs elsewhere" if answer.unchecked else "nothing differs")
        elif answer.differed > len(answer.rows):
            echo(f"and {answer.differed - len(answer.rows)} more")
    raise SystemExit(1 if answer.differed else 2 if answer.unchecked else 0)


def resync(target: Target, output: OutputOption = Output.TABLE) -> None:
    """Compare with the datapath now, and repair differences.

    dualpath resync
    """
    with connected(target) as stub:
        answer = stub.Resync(pb.ResyncRequest(), timeout=REPAIR_S)
    if output in (Output.JSON, Output.YAML):
        print_message(answer, output)
    else:
        rows = counted(answer.differed, "row")
        echo(f"{rows} differed and were put right" if answer.differed else "nothing differed")


def release(target: Target, output: OutputOption = Output.TABLE) -> None:
    """Remove rows that are held for a dead FRR daemon.

    Routes that FRR has not repeated are removed at once.

    dualpath release
    """
    with connected(target) as stub:
        answer = stub.Release(pb.ReleaseRequest(), timeout=CALL_S)
    if output in (Output.JSON, Output.YAML):
        print_message(answer, output)
    else:
        echo(answer.message)
