"""Batches of routes and records to and from proto/dualpath/v1/state.proto. No I/O.

Shapes are checked here, whatever crosses by the bus or by gRPC; sense is checked by who takes it.
"""

from __future__ import annotations

from typing import assert_never

import numpy as np

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Flood, Lsp, Mac, Neighbor, RemoteVtep
from dualpath.model.links import Port, Vni, Vrf
from dualpath.model.nexthops import Member, Nexthop, NexthopType
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


def routes_from_pb(said: pb.RouteBatch) -> RouteBatch:
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


def records_to_pb(batch: RecordBatch) -> pb.RecordBatch:
    return pb.RecordBatch(
        kind=batch.kind,
        upserts=[record_to_pb(record) for record in batch.upserts],
        withdrawals=[record_to_pb(record) for record in batch.withdrawals],
    )


def records_from_pb(said: pb.RecordBatch) -> RecordBatch:
    """Return the batch. Raises ValueError on a record that is not of its kind."""
    return RecordBatch(
        Kind(said.kind),
        tuple(record_from_pb(record) for record in said.upserts),
        tuple(record_from_pb(record) for record in said.withdrawals),
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


def record_from_pb(said: pb.Record) -> Record:
    match said.WhichOneof("record"):
        case "nexthop":
            return nexthop_from_pb(said.nexthop)
        case "remote_vtep":
            return RemoteVtep(said.remote_vtep.vni, said.remote_vtep.vtep, said.remote_vtep.mac)
        case "flood":
            return Flood(said.flood.vni, said.flood.vtep)
        case "ethernet_segment":
            segment = said.ethernet_segment
            return EthernetSegment(segment.id, tuple(segment.vteps))
        case "mac":
            return mac_from_pb(said.mac)
        case "neighbor":
            return neighbor_from_pb(said.neighbor)
        case "lsp":
            return Lsp(said.lsp.label, tuple(said.lsp.nexthops))
        case "vrf":
            return Vrf(said.vrf.name, said.vrf.table)
        case "vni":
            return links.vni_from_pb(said.vni)
        case "port":
            return links.port_from_pb(said.port)
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
        members=[pb.NexthopMember(id=m.id, weight=m.weight) for m in nexthop.members],
    )


def nexthop_from_pb(said: pb.NexthopRecord) -> Nexthop:
    return Nexthop(
        id=said.id,
        type=NexthopType(said.type),
        gateway=said.gateway,
        device=said.device,
        vni=said.vni,
        onlink=said.onlink,
        members=tuple(Member(member.id, member.weight) for member in said.members),
    )


def mac_to_pb(mac: Mac) -> pb.MacRecord:
    return pb.MacRecord(
        vni=mac.vni, mac=mac.mac, vtep=mac.vtep, sticky=mac.sticky, segment=mac.segment
    )


def mac_from_pb(said: pb.MacRecord) -> Mac:
    return Mac(said.vni, said.mac, said.vtep, said.sticky, said.segment)


def neighbor_to_pb(neighbor: Neighbor) -> pb.NeighborRecord:
    return pb.NeighborRecord(
        vni=neighbor.vni, address=neighbor.address, mac=neighbor.mac, router=neighbor.router
    )


def neighbor_from_pb(said: pb.NeighborRecord) -> Neighbor:
    return Neighbor(said.vni, said.address, said.mac, said.router)
