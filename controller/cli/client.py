"""The connection to the daemon. Every error ends in one sentence and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NoReturn

from controller.cli.options import CONNECT_VARIABLE, Target
from controller.cli.terminal import FAILED, USAGE, fail
from dualpath.rpc.connect import (
    BadAddress,
    ClientTls,
    ConnectError,
    check,
    probe,
    target_of,
)

if TYPE_CHECKING:
    import grpc

CALL_S = 10.0
REPAIR_S = 600.0
"""Deadlines of calls: those that read, and those that compare and repair a whole datapath."""

ELSEWHERE = f"name another with --connect or {CONNECT_VARIABLE}"

Stub = Any  # inspect_pb2_grpc.InspectStub is generated without types


@contextmanager
def connected(target: Target) -> Iterator[Stub]:
    """Yield a stub of the service; turn gRPC's errors into one sentence and an exit code."""
    _refuse_absent(target)
    import grpc  # half of the time that a command takes

    from dualpath.pb import inspect_pb2_grpc

    channel = _channel(target)
    try:
        yield inspect_pb2_grpc.InspectStub(channel)  # type: ignore[no-untyped-call]  # generated
    except grpc.RpcError as error:
        _explain(target, error)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    finally:
        channel.close()


def existing(stub: Stub, rows: Iterator[Any], vrf: str, vni: int | None) -> Iterator[Any]:
    """Return the rows; if there are none, end the command for an unknown VRF or VNI."""
    first = list(islice(rows, 1))
    if not first:
        refuse_unknown(stub, vrf, vni)
    return chain(first, rows)


def refuse_unknown(stub: Stub, vrf: str, vni: int | None) -> None:
    """End the command for a VRF or VNI that does not exist, and name the existing ones."""
    from dualpath.pb import inspect_pb2 as pb

    everything = pb.ListRequest()
    if vrf and vrf not in {row.name for m in stub.ListVrfs(everything) for row in m.vrfs}:
        # A VRF without manifests has routes but no row: Explain knows it, and refuses others by
        # name.
        stub.Explain(pb.ExplainRequest(vrf=vrf, address="0.0.0.0"), timeout=CALL_S)
    known = sorted(row.vni for m in stub.ListVnis(everything) for row in m.vnis) if vni else ()
    if vni and vni not in known:
        fail(f"no VNI is {vni}; there are: {', '.join(map(str, known)) or 'none'}")


def _refuse_absent(target: Target) -> None:
    """End the command if no process listens on a UNIX socket; gRPC is not needed to see that."""
    try:
        path = check(target.connect, secured=tls_of(target) is not None)
    except BadAddress as error:
        fail(str(error), USAGE)
    if path:
        _probe(path)


def _channel(target: Target) -> grpc.Channel:
    import grpc

    options = [("grpc.max_receive_message_length", -1)]
    try:
        to = target_of(target.connect, tls_of(target))
    except ConnectError as error:
        fail(str(error), USAGE if isinstance(error, BadAddress) else FAILED)
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
    import grpc

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
