"""The datapath contract to and from proto/dualpath/v1/datapath.proto. No I/O.

Decoding trusts nothing: it raises ValueError with the error.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from typing import assert_never

from datapaths.base import (
    Batch,
    Capabilities,
    CaughtUp,
    Facts,
    Feature,
    FibUse,
    Found,
    Learned,
    LearnedMac,
    LearnedNeighbor,
    Lost,
    NodeStats,
    PortChanged,
    PortState,
    RowFailure,
    Way,
)
from datapaths.remote.bounds import DumpMeter, OutOfBounds, check_count, cut
from datapaths.remote.checks import check, check_found, check_learned
from dualpath.model.kinds import Kind
from dualpath.model.routes import Family, RouteBatch
from dualpath.model.words import errno_name, errno_number
from dualpath.pb import datapath_pb2 as pb
from dualpath.wire.state import (
    nexthop_from_pb,
    nexthop_to_pb,
    record_from_pb,
    record_to_pb,
    records_from_pb,
    records_to_pb,
    routes_from_pb,
    routes_to_pb,
)

DEFAULT_BATCH_ROWS = 4096
MOST_BATCH_ROWS = 65536  # of IPv6 routes 1.5 MiB


def request_to_pb(batch: Batch) -> pb.ApplyRequest:
    if isinstance(batch, RouteBatch):
        return pb.ApplyRequest(routes=routes_to_pb(batch))
    return pb.ApplyRequest(records=records_to_pb(batch))


def dumped_to_pb(batch: Batch) -> pb.DumpResponse:
    if isinstance(batch, RouteBatch):
        return pb.DumpResponse(routes=routes_to_pb(batch))
    return pb.DumpResponse(records=records_to_pb(batch))


def dumped_from_pb(message: pb.DumpResponse, kind: Kind, meter: DumpMeter) -> Batch:
    """Return a batch of a dump of `kind`, counted in `meter`. Raises ValueError."""
    records = message.records
    meter.add(message.ByteSize(), len(records.upserts) + len(records.withdrawals))
    batch = batch_from_pb(message)
    found = Kind.ROUTE if isinstance(batch, RouteBatch) else batch.kind
    if found is not kind:
        raise ValueError(f"asked for {kind.name}, got {found.name}")
    return batch


def batch_from_pb(message: pb.ApplyRequest | pb.DumpResponse) -> Batch:
    """Return the batch, unchecked: a dump may show a device that another program has changed."""
    match message.WhichOneof("batch"):
        case "routes":
            return routes_from_pb(message.routes)
        case "records":
            return records_from_pb(message.records)
        case _:
            raise ValueError("a message without a batch")


def request_from_pb(message: pb.ApplyRequest) -> Batch:
    """Return the batch of a request, checked."""
    batch = batch_from_pb(message)
    check(batch)
    return batch


def kind_from_pb(number: int) -> Kind:
    try:
        return Kind(number)
    except ValueError:
        raise ValueError(f"unknown kind {number}") from None


def failures_to_pb(failures: Iterable[RowFailure]) -> pb.ApplyResponse:
    """Group rows by error and reason: a full table refuses many rows for the same reason."""
    groups: dict[tuple[int, str], list[int]] = {}
    for row in failures:
        groups.setdefault((row.errno, row.reason), []).append(row.index)
    reply = pb.ApplyResponse()
    for (number, reason), rows in groups.items():
        reply.failures.add(error=errno_name(number), reason=reason, rows=rows)
    return reply


def failures_from_pb(message: pb.ApplyResponse, rows: int) -> list[RowFailure]:
    """Return the failures of a batch of `rows` rows, in its order."""
    count = sum(len(group.rows) for group in message.failures)
    if count > rows:
        raise OutOfBounds(f"{count} failures of {rows} rows: more failures than rows")
    found: dict[int, RowFailure] = {}
    for group in message.failures:
        number, reason = _failure(group.error, group.reason)
        for index in group.rows:
            if index >= rows:
                raise ValueError(f"a failure of a row that is not among the {rows}")
            if index in found:
                raise ValueError(f"row {index} failed twice")
            found[index] = RowFailure(index, number, reason)
    return [found[index] for index in sorted(found)]


def _failure(name: str, reason: str) -> tuple[int, str]:
    """Return an errno and a reason. For an unknown name return EIO and "NAME: reason"."""
    if number := errno_number(name):
        return number, cut(reason)
    return errno.EIO, cut(": ".join(filter(None, (cut(name), cut(reason)))))


def capabilities_to_pb(value: Capabilities) -> pb.CapabilitiesResponse:
    return pb.CapabilitiesResponse(
        name=value.name,
        version=value.version,
        kinds=sorted(value.kinds),
        lacks=sorted(value.lacks),
        batch_rows=value.batch_rows,
        looks_up=value.looks_up,
    )


def capabilities_from_pb(message: pb.CapabilitiesResponse) -> Capabilities:
    """Read capabilities, without kinds and features of a later release."""
    known, features = set(Kind), set(Feature)
    return Capabilities(
        name=cut(message.name or "unnamed"),
        version=cut(message.version),
        kinds=frozenset(Kind(number) for number in message.kinds if number in known),
        lacks=frozenset(Feature(word) for word in message.lacks if word in features),
        batch_rows=min(message.batch_rows or DEFAULT_BATCH_ROWS, MOST_BATCH_ROWS),
        looks_up=message.looks_up,
    )


def ports_to_pb(ports: Iterable[PortState]) -> pb.PortsResponse:
    return pb.PortsResponse(
        ports=(
            pb.PortState(
                name=port.name,
                up=port.up,
                mac=port.mac,
                mtu=port.mtu,
                addresses=port.addresses,
                rx_packets=port.rx_packets,
                rx_bytes=port.rx_bytes,
                tx_packets=port.tx_packets,
                tx_bytes=port.tx_bytes,
                rx_dropped=port.rx_dropped,
                tx_errors=port.tx_errors,
                driver=port.driver,
            )
            for port in ports
        )
    )


def ports_from_pb(message: pb.PortsResponse) -> list[PortState]:
    check_count(len(message.ports), "ports")
    check_count(sum(len(port.addresses) for port in message.ports), "addresses of ports")
    return [
        PortState(
            name=cut(port.name),
            up=port.up,
            mac=port.mac,
            mtu=port.mtu,
            addresses=tuple(map(cut, port.addresses)),
            rx_packets=port.rx_packets,
            rx_bytes=port.rx_bytes,
            tx_packets=port.tx_packets,
            tx_bytes=port.tx_bytes,
            rx_dropped=port.rx_dropped,
            tx_errors=port.tx_errors,
            driver=cut(port.driver),
        )
        for port in message.ports
    ]


def facts_to_pb(facts: Facts) -> pb.FactsResponse:
    return pb.FactsResponse(
        values=(pb.Fact(name=name, value=value) for name, value in facts.values),
        fibs=(
            pb.FibUse(
                vrf=fib.vrf,
                family=fib.family,
                used=fib.used,
                limit=fib.limit,
                blocks=fib.blocks,
            )
            for fib in facts.fibs
        ),
        nodes=(
            pb.NodeStats(
                name=node.name, packets=node.packets, batches=node.batches, cycles=node.cycles
            )
            for node in facts.nodes
        ),
    )


def facts_from_pb(message: pb.FactsResponse) -> Facts:
    check_count(len(message.values) + len(message.fibs) + len(message.nodes), "facts")
    return Facts(
        tuple((cut(fact.name), cut(fact.value)) for fact in message.values),
        tuple(
            FibUse(cut(f.vrf), Family(f.family), f.used, f.limit, f.blocks) for f in message.fibs
        ),
        tuple(NodeStats(cut(n.name), n.packets, n.batches, n.cycles) for n in message.nodes),
    )


def lookup_from_pb(message: pb.LookUpRequest) -> tuple[str, bytes]:
    if len(message.address) not in (4, 16):
        raise ValueError(f"an address of {len(message.address)} bytes")
    return message.vrf, message.address


def found_to_pb(found: Found | None) -> pb.LookUpResponse:
    if found is None:
        return pb.LookUpResponse()
    route = pb.FoundRoute(prefix=found.prefix, length=found.length, protocol=found.protocol)
    if found.nexthop:
        route.nexthop.CopyFrom(nexthop_to_pb(found.nexthop))
    for way in found.ways:
        route.ways.add(
            nexthop=nexthop_to_pb(way.nexthop),
            weight=way.weight,
            vni=way.vni,
            vtep=way.vtep,
            mac=way.mac,
        )
    return pb.LookUpResponse(route=route)


def found_from_pb(message: pb.LookUpResponse) -> Found | None:
    if not message.HasField("route"):
        return None
    route = message.route
    found = Found(
        route.prefix,
        route.length,
        route.protocol,
        nexthop_from_pb(route.nexthop) if route.HasField("nexthop") else None,
        tuple(
            Way(nexthop_from_pb(way.nexthop), way.weight, way.vni, way.vtep, way.mac)
            for way in route.ways
        ),
    )
    check_found(found)
    return found


def learned_to_pb(events: Sequence[Learned]) -> pb.LearnedResponse:
    return pb.LearnedResponse(events=map(event_to_pb, events))


def learned_from_pb(message: pb.LearnedResponse) -> Iterator[Learned]:
    """Yield the events, without those of a type that a later release added."""
    for event in message.events:
        if event.WhichOneof("event"):
            yield _event_from_pb(event)


def event_to_pb(event: Learned) -> pb.LearnedEvent:
    match event:
        case LearnedMac(vni, mac, gone):
            return pb.LearnedEvent(mac=pb.LearnedMac(vni=vni, mac=mac, gone=gone))
        case LearnedNeighbor(vni, address, mac, gone):
            neighbor = pb.LearnedNeighbor(vni=vni, address=address, mac=mac, gone=gone)
            return pb.LearnedEvent(neighbor=neighbor)
        case PortChanged(name, up):
            return pb.LearnedEvent(port=pb.PortChanged(name=name, up=up))
        case Lost(kind, records, routes):
            lost = pb.Lost(kind=kind, records=map(record_to_pb, records))
            if routes is not None:
                lost.routes.CopyFrom(routes_to_pb(routes))
            return pb.LearnedEvent(lost=lost)
        case CaughtUp():
            return pb.LearnedEvent(caught_up=pb.CaughtUp())
        case _:
            assert_never(event)


def _event_from_pb(message: pb.LearnedEvent) -> Learned:
    match message.WhichOneof("event"):
        case "mac":
            event: Learned = LearnedMac(message.mac.vni, message.mac.mac, message.mac.gone)
        case "neighbor":
            host = message.neighbor
            event = LearnedNeighbor(host.vni, host.address, host.mac, host.gone)
        case "port":
            event = PortChanged(message.port.name, message.port.up)
        case "lost":
            event = _lost_from_pb(message.lost)
        case _:
            event = CaughtUp()
    check_learned(event)
    return event


def _lost_from_pb(message: pb.Lost) -> Lost:
    routes = routes_from_pb(message.routes) if message.HasField("routes") else None
    records = tuple(record_from_pb(record) for record in message.records)
    return Lost(kind_from_pb(message.kind), records, routes)
