"""Batches of routes and records to and from proto/dualpath/v1/state.proto. No I/O.

This module checks the shapes, for the bus and for gRPC alike. The receiver checks the values.
"""

from __future__ import annotations

from typing import assert_never

import numpy as np

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Flood, Lsp, Mac, Neighbor, RemoteVtep
from dualpath.model.links import Port, Vni, Vrf
from dualpath.model.nexthops import Nexthop, NexthopType, member
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import Family, RouteBatch
from dualpath.pb import state_pb2 as pb
from dualpath.wire import links


def routes_to_pb(batch: RouteBatch) -> pb.RouteBatch:
    return pb.RouteBatch(
        vrf=batch.vrf,
        family=batch.family,
        ops=batch.ops.tobytes(),
        prefixes=batch.prefixes.tobytes(),
        lengths=batch.lengths.tobytes(),
        protocols=batch.protocols.tobytes(),
        nexthops=batch.nexthops.astype("<u4", copy=False).tobytes(),
    )


def routes_from_pb(message: pb.RouteBatch) -> RouteBatch:
    """Return the batch. Raises ValueError when the columns do not fit together."""
    family = Family(message.family)
    if len(message.prefixes) % family.width or len(message.nexthops) % 4:
        raise ValueError("a column ends within a row")
    lengths = np.frombuffer(message.lengths, np.uint8)
    if len(lengths) and int(lengths.max()) > family.width * 8:
        raise ValueError(f"a prefix of {int(lengths.max())} bits")
    return RouteBatch(
        vrf=message.vrf,
        family=family,
        ops=np.frombuffer(message.ops, np.uint8),
        prefixes=np.frombuffer(message.prefixes, np.uint8).reshape(-1, family.width),
        lengths=lengths,
        protocols=np.frombuffer(message.protocols, np.uint8),
        nexthops=np.frombuffer(message.nexthops, "<u4").astype(np.uint32, copy=False),
    )


def records_to_pb(batch: RecordBatch) -> pb.RecordBatch:
    return pb.RecordBatch(
        kind=batch.kind,
        upserts=[record_to_pb(record) for record in batch.upserts],
        withdrawals=[record_to_pb(record) for record in batch.withdrawals],
    )


def records_from_pb(message: pb.RecordBatch) -> RecordBatch:
    """Return the batch. Raises ValueError on a record of another kind."""
    return RecordBatch(
        Kind(message.kind),
        tuple(record_from_pb(record) for record in message.upserts),
        tuple(record_from_pb(record) for record in message.withdrawals),
    )


def record_to_pb(record: Record) -> pb.Record:
    match record:
        case Nexthop():
            return pb.Record(nexthop=nexthop_to_pb(record))
        case RemoteVtep(vni, vtep, mac):
            return pb.Record(remote_vtep=pb.RemoteVtepRecord(vni=vni, vtep=vtep, mac=mac))
        case Flood(vni, vtep):
            return pb.Record(flood=pb.FloodRecord(vni=vni, vtep=vtep))
        case EthernetSegment(id_, vteps):
            return pb.Record(ethernet_segment=pb.EthernetSegmentRecord(id=id_, vteps=vteps))
        case Mac():
            return pb.Record(mac=mac_to_pb(record))
        case Neighbor():
            return pb.Record(neighbor=neighbor_to_pb(record))
        case Lsp(label, nexthops):
            return pb.Record(lsp=pb.LspRecord(label=label, nexthops=nexthops))
        case Vrf(name, table):
            return pb.Record(vrf=pb.VrfRecord(name=name, table=table))
        case Vni():
            return pb.Record(vni=links.vni_to_pb(record))
        case Port():
            return pb.Record(port=links.port_to_pb(record))
        case _:
            assert_never(record)


def record_from_pb(message: pb.Record) -> Record:
    match message.WhichOneof("record"):
        case "nexthop":
            return nexthop_from_pb(message.nexthop)
        case "remote_vtep":
            return RemoteVtep(
                message.remote_vtep.vni, message.remote_vtep.vtep, message.remote_vtep.mac
            )
        case "flood":
            return Flood(message.flood.vni, message.flood.vtep)
        case "ethernet_segment":
            segment = message.ethernet_segment
            return EthernetSegment(segment.id, tuple(segment.vteps))
        case "mac":
            return mac_from_pb(message.mac)
        case "neighbor":
            return neighbor_from_pb(message.neighbor)
        case "lsp":
            return Lsp(message.lsp.label, tuple(message.lsp.nexthops))
        case "vrf":
            return Vrf(message.vrf.name, message.vrf.table)
        case "vni":
            return links.vni_from_pb(message.vni)
        case "port":
            return links.port_from_pb(message.port)
        case other:
            raise ValueError(f"a record of kind {other}")


def nexthop_to_pb(nexthop: Nexthop) -> pb.NexthopRecord:
    return pb.NexthopRecord(
        id=nexthop.id,
        type=pb.NexthopType.Name(nexthop.type),
        gateway=nexthop.gateway,
        device=nexthop.device,
        vni=nexthop.vni,
        onlink=nexthop.onlink,
        members=[m.id for m in nexthop.members],
        weights=[m.weight for m in nexthop.members],
    )


def nexthop_from_pb(message: pb.NexthopRecord) -> Nexthop:
    """Return the nexthop. Raises ValueError if a member has no weight, or a weight no member."""
    return Nexthop(
        id=message.id,
        type=NexthopType(message.type),
        gateway=message.gateway,
        device=message.device,
        vni=message.vni,
        onlink=message.onlink,
        members=tuple([member(*one) for one in zip(message.members, message.weights, strict=True)]),
    )


def mac_to_pb(mac: Mac) -> pb.MacRecord:
    return pb.MacRecord(
        vni=mac.vni, mac=mac.mac, vtep=mac.vtep, sticky=mac.sticky, segment=mac.segment
    )


def mac_from_pb(message: pb.MacRecord) -> Mac:
    return Mac(message.vni, message.mac, message.vtep, message.sticky, message.segment)


def neighbor_to_pb(neighbor: Neighbor) -> pb.NeighborRecord:
    return pb.NeighborRecord(
        vni=neighbor.vni, address=neighbor.address, mac=neighbor.mac, router=neighbor.router
    )


def neighbor_from_pb(message: pb.NeighborRecord) -> Neighbor:
    return Neighbor(message.vni, message.address, message.mac, message.router)
