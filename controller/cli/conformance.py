"""The command that checks another datapath against the contract."""

from __future__ import annotations

import json
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

from controller.cli.client import tls_of
from controller.cli.command import Argument, Option
from controller.cli.options import Output, OutputOption, Target, device_name
from controller.cli.output import to_yaml
from controller.cli.terminal import FAILED, USAGE, echo, fail
from dualpath.rpc.connect import BadAddress, ConnectError

if TYPE_CHECKING:
    from datapaths.conformance.run import Plan, Result


def conformance(
    target: Target,
    address: Annotated[str, Argument("ADDR", help="The datapath: unix:/PATH or ADDRESS:PORT.")],
    only: Annotated[
        str, Option("--only", metavar="TEXT", help="Only checks with this text in their name.")
    ] = "",
    device: Annotated[
        str,
        Option(
            "--device",
            metavar="NAME",
            parse=device_name,
            help="An interface there with 10.0.0.1/24 and fd00::1/64 (default: create a port).",
        ),
    ] = "",
    vrf: Annotated[
        str,
        Option(
            "--vrf",
            metavar="NAME",
            parse=device_name,
            help="Create this VRF for the routes (default: the main table).",
        ),
    ] = "default",
    output: OutputOption = Output.TABLE,
) -> None:
    """Check a datapath server against the contract.

    The contract is dualpath.v1.Datapath. The server must be idle: no controller uses it, and it has
    no rows. The checks remove the rows that they create. Exit codes: 0 no check failed, 1 a check
    failed, or the server could not be checked.

    dualpath conformance unix:/run/dualpath/datapath.sock
    dualpath conformance unix:/tmp/mine.sock --only routes -o json
    """
    import asyncio

    from datapaths.conformance.run import Plan  # importing numpy takes a while

    plan = Plan(address, tls_of(target), device, vrf, only)
    try:
        results = asyncio.run(_run(plan, output))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    _sum(results, output)
    raise SystemExit(FAILED if any(result.outcome == "failed" for result in results) else 0)


async def _run(plan: Plan, output: Output) -> list[Result]:
    from datapaths.base import DatapathError
    from datapaths.conformance.run import NotIdle, run
    from datapaths.conformance.verdict import Violation

    results: list[Result] = []
    try:
        async with aclosing(run(plan)) as found:
            async for result in found:
                results.append(result)
                if output in (Output.TABLE, Output.WIDE):
                    echo(_line(result, wide=output is Output.WIDE))
    except (ConnectError, DatapathError, NotIdle, Violation) as error:
        fail(str(error), USAGE if isinstance(error, BadAddress) else FAILED)
    if not results:
        fail(f"no check has {plan.only!r} in its name", USAGE)
    return results


def _line(result: Result, *, wide: bool) -> str:
    reason = f": {result.reason}" if result.reason else ""
    name = result.name if wide else f"{result.name.partition('.')[0]:<8}{result.sentence}"
    took = f"  {result.seconds:.3f} s" if wide and result.seconds else ""
    return f"{result.outcome:<8}{name}{took}{reason}"


def _sum(results: list[Result], output: Output) -> None:
    counts = {
        outcome: sum(result.outcome == outcome for result in results)
        for outcome in ("passed", "failed", "skipped")
    }
    if output in (Output.TABLE, Output.WIDE):
        echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
        return
    checks = [
        {
            "name": result.name,
            "sentence": result.sentence,
            "outcome": str(result.outcome),
            "reason": result.reason,
            "seconds": round(result.seconds, 6),
        }
        for result in results
    ]
    answer = {**counts, "checks": checks}
    text = json.dumps(answer, indent=2) + "\n" if output is Output.JSON else to_yaml(answer)
    sys.stdout.write(text)
