"""Encode and decode the messages of the bus (proto/dualpath/v1/bus.proto). Pure.

Both ends send VERSION and accept no other. frr-bridge outlives the controller, so after an upgrade
a new controller may find an old frr-bridge; the two releases must not misread one another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar, assert_never

from google.protobuf.message import DecodeError as ProtobufError

from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.records import RecordBatch
from dualpath.model.routes import RouteBatch
from dualpath.model.view import BgpSession, FrrVni
from dualpath.pb import bus_pb2
from dualpath.wire.state import (
    mac_from_pb,
    mac_to_pb,
    neighbor_from_pb,
    neighbor_to_pb,
    records_from_pb,
    records_to_pb,
    routes_from_pb,
    routes_to_pb,
)

VERSION = 1
"""The version of bus.proto and state.proto. Increase it if a release changes one of them."""

T = TypeVar("T")
M = TypeVar("M")


class BusError(Exception):
    """A message that no Dualpath of this release sends. Drop it and subscribe again."""


class VersionError(BusError):
    """The other end has another version. Drop its messages: it would misread an answer."""

    def __init__(self, who: str, version: int) -> None:
        super().__init__(f"{who} has bus version {version}, not {VERSION}")


def encode_from_bridge(event: events.FromBridge, *, epoch: int, sequence: int) -> bytes:
    message = bus_pb2.BridgeMessage(version=VERSION, epoch=epoch, sequence=sequence)
    match event:
        case events.Changed(batch):
            if isinstance(batch, RouteBatch):
                message.routes.CopyFrom(routes_to_pb(batch))
            else:
                message.records.CopyFrom(records_to_pb(_of_frr(batch)))
        case events.SessionChanged():
            message.session.CopyFrom(
                bus_pb2.Session(
                    number=event.number,
                    state=event.state,
                    reason=event.reason,
                    stale_after=event.stale_after,
                    acknowledge=event.acknowledge,
                )
            )
        case events.Synced():
            message.synced.SetInParent()
        case events.Configured():
            message.configured.CopyFrom(
                bus_pb2.Configured(
                    request=event.request,
                    ok=event.ok,
                    changed=event.changed,
                    message=event.message,
                    section=event.section,
                )
            )
        case events.Alive():
            message.alive.SetInParent()
        case events.FrrReport():
            message.frr.CopyFrom(_report_to_pb(event))
        case events.Checked():
            batches = [records_to_pb(_of_frr(batch)) for batch in event.batches]
            message.checked.CopyFrom(
                bus_pb2.Checked(request=event.request, differed=event.differed, batches=batches)
            )
        case _:
            assert_never(event)
    return message.SerializeToString()


def decode_from_bridge(data: bytes) -> tuple[int, int, events.FromBridge]:
    """Return (epoch, sequence, event). Raises BusError."""
    message = _parse(bus_pb2.BridgeMessage, data)
    if message.version != VERSION:
        raise VersionError("frr-bridge", message.version)
    return message.epoch, message.sequence, _checked(_from_bridge, message)


def _from_bridge(message: bus_pb2.BridgeMessage) -> events.FromBridge:
    match message.WhichOneof("body"):
        case "routes":
            return events.Changed(routes_from_pb(message.routes))
        case "records":
            return events.Changed(_of_frr(records_from_pb(message.records)))
        case "session":
            session = message.session
            return events.SessionChanged(
                number=session.number,
                state=session.state,
                reason=session.reason,
                stale_after=session.stale_after,
                acknowledge=session.acknowledge,
            )
        case "synced":
            return events.Synced()
        case "configured":
            done = message.configured
            return events.Configured(
                done.request, done.ok, done.changed, done.message, done.section
            )
        case "alive":
            return events.Alive()
        case "frr":
            return _report_from_pb(message.frr)
        case "checked":
            batches = tuple(_of_frr(records_from_pb(b)) for b in message.checked.batches)
            return events.Checked(message.checked.request, message.checked.differed, batches)
        case other:
            raise ValueError(f"a bridge message of kind {other}")


def _report_to_pb(report: events.FrrReport) -> bus_pb2.FrrReport:
    return bus_pb2.FrrReport(
        sessions=[bus_pb2.BgpSession(**asdict(session)) for session in report.sessions],
        vnis=[bus_pb2.FrrVni(**asdict(vni)) for vni in report.vnis],
        undecoded=report.undecoded,
    )


def _report_from_pb(report: bus_pb2.FrrReport) -> events.FrrReport:
    return events.FrrReport(
        tuple(
            BgpSession(
                s.vrf,
                s.peer,
                s.remote_as,
                s.state,
                s.since,
                s.received,
                s.sent,
                s.reason,
                s.bfd,
            )
            for s in report.sessions
        ),
        tuple(
            FrrVni(v.vni, v.layer, v.vrf, v.up, v.macs, v.neighbors, v.vteps) for v in report.vnis
        ),
        report.undecoded,
    )


def encode_from_controller(event: events.FromController) -> bytes:
    message = bus_pb2.ControllerMessage()
    match event:
        case events.Subscribe():
            message.subscribe.credit = event.credit
            message.subscribe.provisions = event.provisions
            message.subscribe.kept = event.kept
            message.subscribe.version = VERSION
        case events.Credit():
            message.credit.epoch = event.epoch
            message.credit.batches = event.batches
        case events.Mirror():
            message.mirror.CopyFrom(
                bus_pb2.Mirror(
                    whole=event.whole,
                    macs=[mac_to_pb(mac) for mac in event.macs],
                    neighbors=[neighbor_to_pb(neighbor) for neighbor in event.neighbors],
                    gone_macs=[mac_to_pb(mac) for mac in event.gone_macs],
                    gone_neighbors=[neighbor_to_pb(n) for n in event.gone_neighbors],
                )
            )
        case events.Programmed():
            message.programmed.CopyFrom(routes_to_pb(event.batch))
        case events.Configure():
            message.configure.request = event.request
            message.configure.settings = event.settings
        case events.Provisioned():
            message.provisioned.SetInParent()
        case events.Release():
            message.release.SetInParent()
        case events.Check():
            message.check.request = event.request
        case _:
            assert_never(event)
    return message.SerializeToString()


def decode_from_controller(data: bytes) -> events.FromController:
    """Return the event. Raises BusError."""
    return _checked(_from_controller, _parse(bus_pb2.ControllerMessage, data))


def _from_controller(message: bus_pb2.ControllerMessage) -> events.FromController:
    match message.WhichOneof("body"):
        case "subscribe":
            subscribe = message.subscribe
            if subscribe.version != VERSION:
                raise VersionError("the controller", subscribe.version)
            return events.Subscribe(subscribe.credit, subscribe.provisions, subscribe.kept)
        case "credit":
            return events.Credit(message.credit.epoch, message.credit.batches)
        case "mirror":
            mirror = message.mirror
            return events.Mirror(
                whole=mirror.whole,
                macs=tuple(map(mac_from_pb, mirror.macs)),
                neighbors=tuple(map(neighbor_from_pb, mirror.neighbors)),
                gone_macs=tuple(map(mac_from_pb, mirror.gone_macs)),
                gone_neighbors=tuple(map(neighbor_from_pb, mirror.gone_neighbors)),
            )
        case "programmed":
            return events.Programmed(routes_from_pb(message.programmed))
        case "configure":
            return events.Configure(message.configure.request, message.configure.settings)
        case "provisioned":
            return events.Provisioned()
        case "release":
            return events.Release()
        case "check":
            return events.Check(message.check.request)
        case other:
            raise ValueError(f"a controller message of kind {other}")


def _parse(kind: Callable[[], Any], data: bytes) -> Any:  # noqa: ANN401  a generated class
    message = kind()
    try:
        message.ParseFromString(data)
    except ProtobufError as error:
        raise BusError(f"not a bus message: {error}") from error
    return message


def _checked(convert: Callable[[M], T], message: M) -> T:
    try:
        return convert(message)
    except ValueError as error:
        raise BusError(str(error)) from error


def _of_frr(batch: RecordBatch) -> RecordBatch:
    """Return the batch. Raises ValueError if it is of a kind that only the intent has."""
    if batch.kind in (Kind.VRF, Kind.VNI, Kind.PORT):
        raise ValueError(f"a {batch.kind.name} does not cross the bus")
    return batch
