"""The connection to the daemon. Whatever goes wrong ends in one sentence and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc
import typer

from controller.cli.options import CONNECT_VARIABLE, Target
from dualpath.pb import inspect_pb2_grpc
from dualpath.rpc.connect import (
    BadAddress,
    ClientTls,
    ConnectError,
    probe,
    target_of,
    unix_path,
)

FAILED = 1
USAGE = 2

CALL_S = 10.0
REPAIR_S = 600.0
"""Deadlines of calls: those that read, and those that compare and repair a whole datapath."""

ELSEWHERE = f"name another with --connect or {CONNECT_VARIABLE}"

Stub = Any  # inspect_pb2_grpc.InspectStub is generated without types


def fail(text: str, code: int = FAILED) -> NoReturn:
    """End the command with one sentence on stderr."""
    typer.echo(f"dualpath: {text}", err=True)
    raise typer.Exit(code)


@contextmanager
def connected(context: typer.Context) -> Iterator[Stub]:
    """Yield a stub of the service; turn what gRPC raises into a sentence and an exit code."""
    target: Target = context.obj
    channel = _channel(target)
    try:
        yield inspect_pb2_grpc.InspectStub(channel)  # type: ignore[no-untyped-call]  # generated
    except grpc.RpcError as error:
        _explain(target, error)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    finally:
        channel.close()


def _channel(target: Target) -> grpc.Channel:
    options = [("grpc.max_receive_message_length", -1)]
    try:
        to = target_of(target.connect, tls_of(target))
    except ConnectError as error:
        fail(str(error), USAGE if isinstance(error, BadAddress) else FAILED)
    if path := unix_path(target.connect):
        _probe(path)
    if to.credentials:
        return grpc.secure_channel(to.address, to.credentials, options)
    return grpc.insecure_channel(to.address, options)


def tls_of(target: Target) -> ClientTls | None:
    """Return the files of mutual TLS, all or none; ends the command on some."""
    if not (target.certificate or target.key or target.ca):
        return None
    if not (target.certificate and target.key and target.ca):
        fail("mutual TLS needs all of --cert, --key and --ca", USAGE)
    return ClientTls(target.certificate, target.key, target.ca)


def _probe(path: str) -> None:
    try:
        probe(path)
    except PermissionError:
        fail(f"may not open {path}: become root, or a member of its group")
    except (FileNotFoundError, ConnectionRefusedError):
        fail(f"no daemon listens on {path}: start the controller, or {ELSEWHERE}")
    except OSError as error:
        fail(f"cannot open {path}: {error.strerror or error}; {ELSEWHERE}")


def _explain(target: Target, error: Any) -> NoReturn:  # noqa: ANN401 - grpc has no types
    code, details = error.code(), error.details()
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        fail(details, USAGE)
    if code in (
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.FAILED_PRECONDITION,
    ):
        fail(details)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        fail(f"the daemon at {target.connect} is older than this command: update it")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        fail(f"the daemon at {target.connect} did not answer in time: look at its log")
    if code is not grpc.StatusCode.UNAVAILABLE:
        fail(f"the daemon at {target.connect} failed: {details}")
    if details.startswith("failed to connect"):
        fail(f"no daemon answers at {target.connect}: start the controller, or {ELSEWHERE}")
    if "datapath" in details:
        fail(details)
    fail(f"the daemon at {target.connect} went away: {details}")
