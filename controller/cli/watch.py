"""The command that shows changes as they happen."""

from __future__ import annotations

import sys
from typing import Annotated

from controller.cli.client import connected, refuse_unknown
from controller.cli.columns import kind_text, state_text
from controller.cli.command import Option
from controller.cli.options import (
    UINT64,
    Kind,
    Output,
    OutputOption,
    Target,
    WatchStatesOption,
    Where,
    kind_names,
)
from controller.cli.output import to_yaml
from controller.cli.values import json_text, plain
from dualpath.pb import inspect_pb2 as pb

LINE = "{:<12}  {:>9}  {:<11}  {:<12}  {:<24}  {:<10}  {}"


def watch(
    target: Target,
    where: Where,
    after: Annotated[
        int | None,
        Option(
            "--after",
            low=0,
            high=UINT64,
            help="Start after this sequence number; 0: from the oldest remembered change.",
        ),
    ] = None,
    kind: Annotated[
        list[Kind] | None, Option("--kind", help="Only this kind; may be repeated.")
    ] = None,
    state: WatchStatesOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show changes as they happen, until interrupted.

    A change is a row that was programmed, withdrawn or refused, or a changed unmanaged row
    (connected route, LSP). For pending, stale and leaving rows use the lists.

    With -o json, one object per line.

    dualpath watch --kind route --vrf red
    dualpath watch --after 1500 -o json
    """
    request = pb.WatchRequest(after=after, kinds=kind_names(kind), **where.request(state))
    with connected(target) as stub:
        refuse_unknown(stub, where.vrf, where.vni)
        if output in (Output.TABLE, Output.WIDE):
            _write(LINE.format("AT", "SEQUENCE", "KIND", "VRF", "ROW", "STATE", "DETAIL"))
            sys.stdout.flush()
        for message in stub.Watch(request):
            for change in message.changes:
                _write(_text(change, output))
            sys.stdout.flush()


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


def _text(change: pb.Change, output: Output) -> str:
    match output:
        case Output.JSON:
            return json_text(change)
        case Output.YAML:
            return "---\n" + to_yaml(plain(change)).rstrip()
        case Output.TABLE | Output.WIDE:
            return _line(change, wide=output is Output.WIDE)


def _line(change: pb.Change, *, wide: bool) -> str:
    at = change.at.ToJsonString()
    return LINE.format(
        at if wide else at[11:23],
        change.sequence,
        kind_text(change.kind),
        change.vrf or "-",
        change.text,
        "gone" if change.withdrawn else state_text(change.state),
        change.detail,
    ).rstrip()
