"""The command that replays a recording of frr-bridge."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

from controller.cli.command import Argument, Option
from controller.cli.options import Output, OutputOption
from controller.cli.output import to_yaml
from controller.cli.terminal import FAILED, echo, fail, warn
from dualpath.process import options

if TYPE_CHECKING:
    from controller.replay import Operation
    from frr_bridge.recording.pcapng import Entry

_GZIP = b"\x1f\x8b"
_LINE = "{:>11}  {} {:<11} {:<10} {:<34} {}"


def replay(
    files: Annotated[
        list[Path], Argument("FILE", help="A recording, or its files in order; may be gzipped.")
    ],
    until: Annotated[
        float,
        Option(
            "--until",
            metavar="SECONDS",
            parse=options.seconds,
            help="Stop at this time after the begin of the first file; 0: at the end.",
        ),
    ] = 0.0,
    speed: Annotated[
        float,
        Option(
            "--speed",
            metavar="FACTOR",
            parse=options.seconds,
            help="1: original speed, 2: twice as fast; 0: do not wait.",
        ),
    ] = 0.0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Replay a recording of frr-bridge, and show what it makes the datapath do.

    The recording (`frr-bridge --record FILE`) runs through the code of frr-bridge and of the
    controller into a datapath in memory. It needs no daemon and no root, and changes nothing.
    A recording has no manifests, so VRFs and VNIs come from FRR's devices.

    With -o json or yaml, one document per operation. Exit codes: 0 complete, 1 a file is
    damaged or not a recording (the part before the damage is replayed).

    dualpath replay bug.pcapng
    dualpath replay bug.pcapng.1 bug.pcapng
    dualpath replay bug.pcapng --until 12.5 -o json
    """
    import asyncio

    from frr_bridge.recording.pcapng import RecordingError  # numpy takes a while

    try:
        asyncio.run(_run(files, until, speed, output))
    except RecordingError as error:
        sys.stdout.flush()
        fail(str(error), FAILED)


async def _run(files: list[Path], until: float, speed: float, output: Output) -> None:
    from controller.replay import Replay

    replaying = Replay()
    if output in (Output.TABLE, Output.WIDE):
        echo(_LINE.format("SECONDS", " ", "KIND", "VRF", "ROW", "VALUE").rstrip())
    try:
        async for operation in replaying.operations(_entries(files), until_s=until, speed=speed):
            echo(_text(operation, output))
    finally:
        for remark in replaying.remarks:
            warn(remark)
        if output in (Output.TABLE, Output.WIDE):
            echo(_sum(replaying.summary()))


def _entries(files: list[Path]) -> Iterator[Entry]:
    """Yield the packets of all files. Names the file in a RecordingError."""
    from frr_bridge.recording.pcapng import RecordingError, read

    for path in files:
        try:
            with _opened(path) as stream:
                yield from read(stream)
        except RecordingError as error:
            raise RecordingError(f"{path}: {error}") from None
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise RecordingError(f"{path}: the gzip file is damaged: {error}") from None
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror}") from None


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as plain:
        packed = plain.read(2) == _GZIP
    return gzip.open(path) if packed else path.open("rb")  # type: ignore[return-value]


def _text(operation: Operation, output: Output) -> str:
    match output:
        case Output.JSON:
            return json.dumps(asdict(operation))
        case Output.YAML:
            return "---\n" + to_yaml(asdict(operation)).rstrip()
        case Output.TABLE | Output.WIDE:
            refused = f"  REFUSED: {operation.refused}" if operation.refused else ""
            return _LINE.format(
                f"{operation.at_s:.6f}",
                operation.op,
                operation.kind,
                operation.vrf or "-",
                operation.row,
                operation.value + refused,
            ).rstrip()


def _sum(summary: dict[str, object]) -> str:
    programmed = summary["programmed"]
    assert isinstance(programmed, dict)
    rows = ", ".join(f"{count} {kind}" for kind, count in programmed.items()) or "nothing"
    return (
        f"{summary['entries']} entries, {summary['seconds']} s; session {summary['session']} is "
        f"{summary['state']}; {summary['decode_errors']} messages not decoded; the datapath holds "
        f"{rows}"
    )
