"""Names of VRFs, VNIs and ports in the daemon, for completion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from controller.cli.options import Target

PATIENCE_S = 1.0  # for a user who pressed TAB


def vrfs(target: Target) -> list[str]:
    return ["default", *(row.name for row in _rows(target, "ListVrfs", "vrfs"))]


def vnis(target: Target) -> list[str]:
    return [str(row.vni) for row in _rows(target, "ListVnis", "vnis")]


def ports(target: Target) -> list[str]:
    return [row.name for row in _rows(target, "ListPorts", "ports")]


def _rows(target: Target, method: str, field: str) -> Iterable[Any]:
    """Return rows of a list; none if the daemon does not answer."""
    from dualpath.rpc.connect import ConnectError, probe, target_of, unix_path

    try:
        if path := unix_path(target.connect):
            probe(path)
        address = target_of(target.connect, None).address
    except (ConnectError, OSError):
        return []
    import grpc

    from dualpath.pb import inspect_pb2, inspect_pb2_grpc

    with grpc.insecure_channel(address) as channel:
        stub = inspect_pb2_grpc.InspectStub(channel)  # type: ignore[no-untyped-call]  # generated
        try:
            messages = list(getattr(stub, method)(inspect_pb2.ListRequest(), timeout=PATIENCE_S))
        except grpc.RpcError:
            return []
    return [row for message in messages for row in getattr(message, field)]
