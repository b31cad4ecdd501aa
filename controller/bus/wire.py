"""Events to and from the bytes that cross the bus (proto/dualpath/v1/bus.proto). No sockets.

The datapath contract over gRPC uses the same messages for batches, so these conversions serve it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar, assert_never

import numpy as np
from google.protobuf.message import DecodeError as ProtobufError

from controller.model import events
from controller.model.kinds import Kind
from controller.model.layer2 import Flood, Lsp, Mac, Neighbor, RemoteVtep
from controller.model.nexthops import Member, Nexthop, NexthopType
from controller.model.records import Record, RecordBatch
from controller.model.routes import Family, RouteBatch
from controller.model.view import BgpSession, FrrVni
from controller.pb import bus_pb2, state_pb2

T = TypeVar("T")
M = TypeVar("M")


class BusError(Exception):
    """Bytes that no release of ours sends: drop them and subscribe again."""


def encode_from_bridge(event: events.FromBridge, *, epoch: int, sequence: int) -> bytes:
    message = bus_pb2.BridgeMessage(epoch=epoch, sequence=sequence)
    match event:
        case events.Changed(batch):
            if isinstance(batch, RouteBatch):
                message.routes.CopyFrom(routes_to_pb(batch))
            else:
                message.records.CopyFrom(records_to_pb(batch))
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
        case _:
            assert_never(event)
    return message.SerializeToString()


def decode_from_bridge(data: bytes) -> tuple[int, int, events.FromBridge]:
    """Return (epoch, sequence, event). Raises BusError."""
    message = _parse(bus_pb2.BridgeMessage, data)
    return message.epoch, message.sequence, _checked(_from_bridge, message)


def _from_bridge(message: bus_pb2.BridgeMessage) -> events.FromBridge:
    match message.WhichOneof("body"):
        case "routes":
            return events.Changed(routes_from_pb(message.routes))
        case "records":
            return events.Changed(records_from_pb(message.records))
        case "session":
            said = message.session
            return events.SessionChanged(
                number=said.number,
                state=said.state,
                reason=said.reason,
                stale_after=said.stale_after,
                acknowledge=said.acknowledge,
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
        case other:
            raise ValueError(f"a bridge message of kind {other}")


def _report_to_pb(report: events.FrrReport) -> bus_pb2.FrrReport:
    return bus_pb2.FrrReport(
        sessions=[bus_pb2.BgpSession(**asdict(session)) for session in report.sessions],
        vnis=[bus_pb2.FrrVni(**asdict(vni)) for vni in report.vnis],
    )


def _report_from_pb(said: bus_pb2.FrrReport) -> events.FrrReport:
    return events.FrrReport(
        tuple(
            BgpSession(s.vrf, s.peer, s.remote_as, s.state, s.since, s.received, s.sent, s.reason)
            for s in said.sessions
        ),
        tuple(FrrVni(v.vni, v.layer, v.vrf, v.up, v.macs, v.neighbors, v.vteps) for v in said.vnis),
    )


def encode_from_controller(event: events.FromController) -> bytes:
    message = bus_pb2.ControllerMessage()
    match event:
        case events.Subscribe():
            message.subscribe.credit = event.credit
            message.subscribe.provisions = event.provisions
            message.subscribe.kept = event.kept
        case events.Credit():
            message.credit.epoch = event.epoch
            message.credit.batches = event.batches
        case events.Mirror():
            message.mirror.CopyFrom(
                bus_pb2.Mirror(
                    whole=event.whole,
                    macs=[_mac_to_pb(mac) for mac in event.macs],
                    neighbors=[_neighbor_to_pb(neighbor) for neighbor in event.neighbors],
                    gone_macs=[_mac_to_pb(mac) for mac in event.gone_macs],
                    gone_neighbors=[_neighbor_to_pb(n) for n in event.gone_neighbors],
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
        case _:
            assert_never(event)
    return message.SerializeToString()


def decode_from_controller(data: bytes) -> events.FromController:
    """Return the event. Raises BusError."""
    return _checked(_from_controller, _parse(bus_pb2.ControllerMessage, data))


def _from_controller(message: bus_pb2.ControllerMessage) -> events.FromController:
    match message.WhichOneof("body"):
        case "subscribe":
            asked = message.subscribe
            return events.Subscribe(asked.credit, asked.provisions, asked.kept)
        case "credit":
            return events.Credit(message.credit.epoch, message.credit.batches)
        case "mirror":
            said = message.mirror
            return events.Mirror(
                whole=said.whole,
                macs=tuple(map(_mac_from_pb, said.macs)),
                neighbors=tuple(map(_neighbor_from_pb, said.neighbors)),
                gone_macs=tuple(map(_mac_from_pb, said.gone_macs)),
                gone_neighbors=tuple(map(_neighbor_from_pb, said.gone_neighbors)),
            )
        case "programmed":
            return events.Programmed(routes_from_pb(message.programmed))
        case "configure":
            return events.Configure(message.configure.request, message.configure.settings)
        case "provisioned":
            return events.Provisioned()
        case "release":
            return events.Release()
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


def routes_to_pb(batch: RouteBatch) -> state_pb2.RouteBatch:
    return state_pb2.RouteBatch(
        vrf=batch.vrf,
        family=batch.family,
        ops=batch.ops.tobytes(),
        prefixes=batch.prefixes.tobytes(),
        lengths=batch.lengths.tobytes(),
        protocols=batch.protocols.tobytes(),
        nexthops=batch.nexthops.astype("<u4", copy=False).tobytes(),
    )


def routes_from_pb(said: state_pb2.RouteBatch) -> RouteBatch:
    """Return the batch. Raises ValueError when the columns do not fit together."""
    family = Family(said.family)
    if len(said.prefixes) % family.width or len(said.nexthops) % 4:
        raise ValueError("a column ends within a row")
    lengths = np.frombuffer(said.lengths, np.uint8)
    if len(lengths) and int(lengths.max()) > family.width * 8:
        raise ValueError(f"a prefix of {int(lengths.max())} bits")
    return RouteBatch(
        vrf=said.vrf,
        family=family,
        ops=np.frombuffer(said.ops, np.uint8),
        prefixes=np.frombuffer(said.prefixes, np.uint8).reshape(-1, family.width),
        lengths=lengths,
        protocols=np.frombuffer(said.protocols, np.uint8),
        nexthops=np.frombuffer(said.nexthops, "<u4").astype(np.uint32, copy=False),
    )


def records_to_pb(batch: RecordBatch) -> state_pb2.RecordBatch:
    return state_pb2.RecordBatch(
        kind=batch.kind,
        upserts=[_record_to_pb(record) for record in batch.upserts],
        withdrawals=[_record_to_pb(record) for record in batch.withdrawals],
    )


def records_from_pb(said: state_pb2.RecordBatch) -> RecordBatch:
    """Return the batch. Raises ValueError on a record that is not of its kind."""
    return RecordBatch(
        Kind(said.kind),
        tuple(_record_from_pb(record) for record in said.upserts),
        tuple(_record_from_pb(record) for record in said.withdrawals),
    )


def _record_to_pb(record: Record) -> state_pb2.Record:
    match record:
        case Nexthop():
            return state_pb2.Record(nexthop=_nexthop_to_pb(record))
        case RemoteVtep(vni, vtep, mac):
            return state_pb2.Record(
                remote_vtep=state_pb2.RemoteVtepRecord(vni=vni, vtep=vtep, mac=mac)
            )
        case Flood(vni, vtep):
            return state_pb2.Record(flood=state_pb2.FloodRecord(vni=vni, vtep=vtep))
        case Mac():
            return state_pb2.Record(mac=_mac_to_pb(record))
        case Neighbor():
            return state_pb2.Record(neighbor=_neighbor_to_pb(record))
        case Lsp(label, nexthops):
            return state_pb2.Record(lsp=state_pb2.LspRecord(label=label, nexthops=nexthops))
        case _:
            raise ValueError(f"a {record.kind.name} does not cross the bus")


def _record_from_pb(said: state_pb2.Record) -> Record:
    match said.WhichOneof("record"):
        case "nexthop":
            return _nexthop_from_pb(said.nexthop)
        case "remote_vtep":
            return RemoteVtep(said.remote_vtep.vni, said.remote_vtep.vtep, said.remote_vtep.mac)
        case "flood":
            return Flood(said.flood.vni, said.flood.vtep)
        case "mac":
            return _mac_from_pb(said.mac)
        case "neighbor":
            return _neighbor_from_pb(said.neighbor)
        case "lsp":
            return Lsp(said.lsp.label, tuple(said.lsp.nexthops))
        case other:
            raise ValueError(f"a record of kind {other}")


def _nexthop_to_pb(nexthop: Nexthop) -> state_pb2.NexthopRecord:
    return state_pb2.NexthopRecord(
        id=nexthop.id,
        type=state_pb2.NexthopType.Name(nexthop.type),
        gateway=nexthop.gateway,
        device=nexthop.device,
        vni=nexthop.vni,
        onlink=nexthop.onlink,
        members=[state_pb2.NexthopMember(id=m.id, weight=m.weight) for m in nexthop.members],
    )


def _nexthop_from_pb(said: state_pb2.NexthopRecord) -> Nexthop:
    return Nexthop(
        id=said.id,
        type=NexthopType(said.type),
        gateway=said.gateway,
        device=said.device,
        vni=said.vni,
        onlink=said.onlink,
        members=tuple(Member(member.id, member.weight) for member in said.members),
    )


def _mac_to_pb(mac: Mac) -> state_pb2.MacRecord:
    return state_pb2.MacRecord(vni=mac.vni, mac=mac.mac, vtep=mac.vtep, sticky=mac.sticky)


def _mac_from_pb(said: state_pb2.MacRecord) -> Mac:
    return Mac(said.vni, said.mac, said.vtep, said.sticky)


def _neighbor_to_pb(neighbor: Neighbor) -> state_pb2.NeighborRecord:
    return state_pb2.NeighborRecord(
        vni=neighbor.vni, address=neighbor.address, mac=neighbor.mac, router=neighbor.router
    )


def _neighbor_from_pb(said: state_pb2.NeighborRecord) -> Neighbor:
    return Neighbor(said.vni, said.address, said.mac, said.router)
