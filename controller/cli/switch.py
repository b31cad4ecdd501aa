"""The command that moves ports between datapaths."""

from __future__ import annotations

import json
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from controller.cli.command import Argument, Option
from controller.cli.options import Output, OutputOption, StateDirOption, device_name
from controller.cli.terminal import echo, fail, warn
from dualpath.process import options
from dualpath.rpc.connect import probe

MOST_S = 86400
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


class Datapath(StrEnum):
    KERNEL = "kernel"
    DPDK = "dpdk"


def span(text: str) -> int:
    """Accept a time such as 90, 60s, 5m or 1h; return seconds."""
    found = re.fullmatch(r"([0-9]{1,5})([smh]?)", text)
    seconds = int(found[1]) * UNITS[found[2]] if found else 0
    if not 1 <= seconds <= MOST_S:
        raise ArgumentTypeError(f"{text!r}: give a time from 1s to 24h, such as 60s or 5m")
    return seconds


def switch(
    to: Annotated[
        Datapath | None, Argument("kernel|dpdk", help="The datapath that shall forward.")
    ] = None,
    port: Annotated[
        list[str] | None,
        Option("--port", metavar="NAME", parse=device_name, help="Only this port; repeatable."),
    ] = None,
    keep: Annotated[
        bool, Option("--keep", help="Keep the old datapath programmed, as a standby.")
    ] = False,
    back_after: Annotated[
        int | None,
        Option(
            "--back-after",
            metavar="TIME",
            parse=span,
            help="Undo the switch after this time (60s, 5m), unless you --confirm it.",
        ),
    ] = None,
    confirm: Annotated[bool, Option("--confirm", help="Keep a switch with --back-after.")] = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Show the steps without doing them.")
    ] = False,
    state_dir: StateDirOption = Path(options.STATE_DIR),
    output: OutputOption = Output.TABLE,
) -> None:
    """Move ports to another datapath while packets flow.

    The other datapath is started, programmed in full and audited before a port moves. An abort
    (^C, a failed check, the death of a process) moves every port back. The kernel always stays
    programmed; `switch kernel` ends grout unless --keep is given. Needs root, and a controller that
    was started with --datapath=kernel, --start-grout and --grout-netns. With -o json, each step is
    one JSON object on a line. If the manifests name a `datapath`, change it there: an order for the
    other one is refused.

    Exit codes: 0 done, 1 refused or rolled back (it says why), 2 invalid command line.

    dualpath switch dpdk --dry-run
    dualpath switch dpdk --back-after 5m && dualpath switch --confirm
    dualpath switch dpdk --port pe-e-100
    dualpath switch kernel --keep
    """
    if confirm == (to is not None):
        fail("give either a datapath (kernel or dpdk) or --confirm", 2)
    with _connected(state_dir / options.OPERATE) as stub:
        if confirm:
            _confirm(stub)
            return
        assert to is not None
        from dualpath.pb import operate_pb2 as pb

        request = pb.SwitchRequest(
            to=to.value,
            ports=port or (),
            keep=keep,
            dry_run=dry_run,
            back_after_s=back_after or 0,
        )
        for progress in stub.Switch(request):
            _show(progress, output)


def _confirm(stub: Any) -> None:  # noqa: ANN401 - generated without types
    from dualpath.pb import operate_pb2 as pb

    if not stub.ConfirmSwitch(pb.ConfirmSwitchRequest(), timeout=60.0).confirmed:
        fail("no switch waits for a confirmation")
    echo("confirmed: the change stays")


def _show(progress: Any, output: Output) -> None:  # noqa: ANN401
    from dualpath.pb import operate_pb2 as pb

    step = pb.SwitchStep.Name(progress.step).removeprefix("SWITCH_STEP_").lower().replace("_", " ")
    if output in (Output.JSON, Output.YAML):
        line = {"step": step, "text": progress.text, "seconds": round(progress.seconds, 3)}
        echo(json.dumps(line))
    else:
        echo(f"{progress.seconds:7.2f} s  {step:<9}  {progress.text}")
    sys.stdout.flush()


@contextmanager
def _connected(socket: Path) -> Iterator[Any]:
    """Yield a stub of dualpath.v1.Operate; every error ends in one sentence."""
    try:
        probe(str(socket))
    except PermissionError:
        fail(f"only root may move ports between datapaths (not allowed to open {socket})")
    except OSError:
        fail(
            f"no controller that can switch listens on {socket}: start it with --datapath=kernel, "
            "--start-grout and --grout-netns NAME, or name another --state-dir"
        )
    import grpc

    from dualpath.pb import operate_pb2_grpc

    channel = grpc.insecure_channel(f"unix:{socket}")
    try:
        yield operate_pb2_grpc.OperateStub(channel)  # type: ignore[no-untyped-call]  # generated
    except grpc.RpcError as error:
        fail(_words(error.code().name, error.details() or ""))
    except KeyboardInterrupt:
        warn("interrupted: unless it was committed, the controller rolls the switch back")
        raise SystemExit(130) from None
    finally:
        channel.close()


def _words(code: str, details: str) -> str:
    if code in ("ABORTED", "FAILED_PRECONDITION", "INVALID_ARGUMENT"):
        return details
    return f"the controller went away during the switch ({details}); it rolls back when it is back"
