"""The connection to the daemon. Whatever goes wrong ends in one sentence and an exit code."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import grpc
import typer

from controller.cli.options import CONNECT_VARIABLE, Target
from controller.pb import inspect_pb2_grpc

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
    path = unix_path(target.connect)
    options = [("grpc.max_receive_message_length", -1)]
    if path:
        _probe(path)
        return grpc.insecure_channel(f"unix:{path}", options)
    local = _is_loopback(target.connect)
    if target.certificate or target.key or target.ca:
        return grpc.secure_channel(target.connect, _credentials(target), options)
    if not local:
        fail(f"{target.connect} is not on this host: give --cert, --key and --ca", USAGE)
    return grpc.insecure_channel(target.connect, options)


def unix_path(connect: str) -> str | None:
    """Return the path of a UNIX socket, None for ADDRESS:PORT."""
    path = connect.removeprefix("unix:").removeprefix("//")
    if connect.startswith("unix:") and not path.startswith("/"):
        fail(f"{connect}: the path of a UNIX socket must be absolute", USAGE)
    return path if path.startswith("/") else None


def _probe(path: str) -> None:
    """Say why a UNIX socket does not answer, which gRPC does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except PermissionError:
            fail(f"may not open {path}: become root, or a member of its group")
        except (FileNotFoundError, ConnectionRefusedError):
            fail(f"no daemon listens on {path}: start the controller, or {ELSEWHERE}")
        except OSError as error:
            fail(f"cannot open {path}: {error.strerror or error}; {ELSEWHERE}")


def _is_loopback(connect: str) -> bool:
    host, _, port = connect.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        fail(f"{connect!r} is neither unix:/PATH nor ADDRESS:PORT", USAGE)
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return host == "localhost"
    return address.is_loopback


def _credentials(target: Target) -> grpc.ChannelCredentials:
    if not (target.certificate and target.key and target.ca):
        fail("mutual TLS needs all of --cert, --key and --ca", USAGE)
    return grpc.ssl_channel_credentials(
        _read(target.ca), private_key=_read(target.key), certificate_chain=_read(target.certificate)
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        fail(f"cannot read {path}: {error.strerror}")


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
