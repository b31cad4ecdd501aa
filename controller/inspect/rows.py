"""Records, status and intent as messages. Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar, cast

from controller.inspect.encoding import Rows, encoded_time
from controller.inspect.filters import Aspect
from controller.inspect.text import address_text, addresses_text, mac_text, timestamp
from datapaths.base import PortState
from dualpath.model.frr import to_json
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Lsp, Mac, Neighbor, RemoteVtep
from dualpath.model.links import HostEnd, Port, Vni, Vrf
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.plan import Plan
from dualpath.model.records import Record
from dualpath.model.routes import DEFAULT_VRF
from dualpath.model.view import (
    BgpSession,
    Change,
    PlaneStatus,
    RecordRow,
    ResourceStatus,
    Role,
    RowState,
    Status,
)
from dualpath.pb import inspect_pb2 as pb
from dualpath.pb import state_pb2

# The stubs want their own enum types, which do not exist at run time: there they are int.
STATES = {s: cast("pb.RowState", pb.RowState.Value(f"ROW_STATE_{s.name}")) for s in RowState}
KINDS = {k: cast("pb.Kind", pb.Kind.Value(f"KIND_{k.name}")) for k in Kind}
ROLES = {r: cast("pb.PlaneRole", pb.PlaneRole.Value(f"PLANE_ROLE_{r.name}")) for r in Role}
TYPES = {
    t: cast("state_pb2.NexthopType", state_pb2.NexthopType.Value(f"NEXTHOP_TYPE_{t.name}"))
    for t in NexthopType
}

Resolve = Callable[[int], Nexthop | None]
"""`StateView.nexthop`."""

_R = TypeVar("_R")


def _record(type_: type[_R], row: RecordRow) -> _R:
    record: Record = row.record
    if not isinstance(record, type_):
        raise TypeError(f"a {record.kind.name} where a {type_.__name__} belongs")
    return record


def _standing(row: RecordRow) -> dict[str, Any]:
    """Return the fields that every row has."""
    return {**_fields(_shared(row)), "changed_at": timestamp(row.changed_at)}


class Nexthops:
    """Nexthops as messages, each built once. Keep it briefly: nexthops are replaced in place."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._made: dict[int, pb.Nexthop | None] = {0: None}

    def message(self, id_: int) -> pb.Nexthop | None:
        """Return None for 0, and a message with only the id for an unknown nexthop."""
        if id_ not in self._made:
            found = self._resolve(id_)
            made = pb.Nexthop(id=id_) if found is None else nexthop(found, self._resolve)
            self._made[id_] = made
        return self._made[id_]


def nexthop(value: Nexthop, resolve: Resolve) -> pb.Nexthop:
    """Return a nexthop with its members expanded, one level deep: groups do not nest."""
    message = pb.Nexthop(
        id=value.id,
        type=TYPES[value.type],
        gateway=address_text(value.gateway),
        device=value.device,
        vni=value.vni,
        vtep=address_text(value.vtep),
        onlink=value.onlink,
    )
    for member in value.members:
        leg = resolve(member.id)
        flat = pb.Nexthop(id=member.id)
        if leg is not None and leg.type is not NexthopType.GROUP:
            flat = nexthop(leg, resolve)
        message.members.add(weight=member.weight, nexthop=flat)
    return message


# -- lists that may be long: see `controller/inspect/encoding.py`

_NEXTHOPS = Rows(pb.ListNexthopsResponse, "nexthop", "changed_at")
_MACS = Rows(pb.ListMacsResponse, "mac", "changed_at")
_NEIGHBORS = Rows(pb.ListNeighborsResponse, "address", "mac", "changed_at")

_Standing = tuple[RowState, str, int]


def _shared(row: RecordRow) -> _Standing:
    return row.state, row.error, row.session


def _fields(standing: _Standing) -> dict[str, Any]:
    state, error, session = standing
    return {"state": STATES[state], "error": error, "session": session}


def _times(page: Sequence[RecordRow]) -> Iterable[bytes]:
    return (encoded_time(row.changed_at) for row in page)


def nexthops(page: Sequence[RecordRow], resolve: Resolve) -> pb.ListNexthopsResponse:
    def make(key: _Standing) -> pb.NexthopRow:
        return pb.NexthopRow(**_fields(key))

    values = (nexthop(_record(Nexthop, row), resolve).SerializeToString() for row in page)
    return _NEXTHOPS.message(map(_shared, page), (values, _times(page)), make)


def macs(
    page: Sequence[RecordRow], vteps: Callable[[Mac], tuple[bytes, ...]]
) -> pb.ListMacsResponse:
    """Return MACs; `vteps` returns all VTEPs of a MAC behind an Ethernet segment."""
    values = [_record(Mac, row) for row in page]

    def make(key: tuple[int, bytes, bool, int, tuple[bytes, ...], _Standing]) -> pb.Mac:
        vni, vtep, sticky, segment, several, standing = key
        return pb.Mac(
            vni=vni,
            vtep=address_text(vtep),
            sticky=sticky,
            segment=segment,
            vteps=map(address_text, several),
            **_fields(standing),
        )

    shared = (
        (value.vni, value.vtep, value.sticky, value.segment, vteps(value), _shared(row))
        for value, row in zip(values, page, strict=True)
    )
    own = (mac_text(value.mac).encode() for value in values), _times(page)
    return _MACS.message(shared, own, make)


def neighbors(page: Sequence[RecordRow]) -> pb.ListNeighborsResponse:
    values = [_record(Neighbor, row) for row in page]

    def make(key: tuple[int, bool, _Standing]) -> pb.Neighbor:
        vni, router, standing = key
        return pb.Neighbor(vni=vni, router=router, **_fields(standing))

    shared = (
        (value.vni, value.router, _shared(row)) for value, row in zip(values, page, strict=True)
    )
    own = (
        (address_text(value.address).encode() for value in values),
        (mac_text(value.mac).encode() for value in values),
        _times(page),
    )
    return _NEIGHBORS.message(shared, own, make)


# -- lists that are short


def vtep(row: RecordRow) -> pb.Vtep:
    if isinstance(row.record, Flood):
        value: Flood | RemoteVtep = row.record
        role, router_mac = pb.Vtep.ROLE_FLOOD, b""
    else:
        value = _record(RemoteVtep, row)
        role, router_mac = pb.Vtep.ROLE_ROUTER, value.mac
    return pb.Vtep(
        vni=value.vni,
        vtep=address_text(value.vtep),
        role=role,
        mac=mac_text(router_mac),
        **_standing(row),
    )


def vni(row: RecordRow, vteps: Iterable[bytes] = ()) -> pb.Vni:
    value = _record(Vni, row)
    return pb.Vni(
        vni=value.vni,
        layer=value.layer,
        vrf=value.vrf,
        local=address_text(value.local),
        port=value.port,
        mac=mac_text(value.mac),
        gateways=addresses_text(value.gateways),
        mtu=value.mtu,
        bridge=value.bridge,
        device=value.device,
        vteps=[address_text(packed) for packed in sorted(vteps)],
        **_standing(row),
    )


def vrf(row: RecordRow, l3vnis: Mapping[str, int]) -> pb.Vrf:
    value = _record(Vrf, row)
    l3vni = l3vnis.get(value.name, 0)
    return pb.Vrf(name=value.name, table=value.table, l3vni=l3vni, **_standing(row))


def port(row: RecordRow, links: Mapping[str, PortState]) -> pb.Port:
    value = _record(Port, row)
    type_ = pb.Port.TYPE_NIC
    if value.loopback:
        type_ = pb.Port.TYPE_LOOPBACK
    elif value.host:
        type_ = pb.Port.TYPE_HOST
    return pb.Port(
        name=value.name,
        type=type_,
        vrf="" if value.vni else value.vrf or DEFAULT_VRF,
        vni=value.vni,
        addresses=addresses_text(value.addresses),
        mtu=value.mtu,
        twin=value.twin,
        host=_host(value.host) if value.host else None,
        link=_link(links[value.name]) if value.name in links else None,
        **_standing(row),
    )


def _host(value: HostEnd) -> pb.HostEnd:
    return pb.HostEnd(
        netns=value.netns,
        name=value.name,
        mac=mac_text(value.mac),
        addresses=addresses_text(value.addresses),
        bridge=value.bridge,
    )


def _link(value: PortState) -> pb.Link:
    return pb.Link(
        up=value.up,
        mac=mac_text(value.mac),
        mtu=value.mtu,
        addresses=value.addresses,
        rx_packets=value.rx_packets,
        rx_bytes=value.rx_bytes,
        tx_packets=value.tx_packets,
        tx_bytes=value.tx_bytes,
        rx_dropped=value.rx_dropped,
        tx_errors=value.tx_errors,
        driver=value.driver,
    )


def lsp(row: RecordRow) -> pb.Lsp:
    value = _record(Lsp, row)
    return pb.Lsp(label=value.label, nexthops=value.nexthops, **_standing(row))


def change(value: Change, where: Aspect) -> pb.Change:
    vrf, vni, _ = where
    return pb.Change(
        sequence=value.sequence,
        at=timestamp(value.at),
        kind=KINDS[value.kind],
        text=value.text,
        vrf=vrf,
        vni=vni,
        state=STATES[value.state],
        withdrawn=value.withdrawn,
        detail=value.detail,
    )


def status(value: Status, sequence: int) -> pb.StatusResponse:
    message = pb.StatusResponse(
        version=value.version,
        datapath=value.datapath,
        netns=value.netns,
        frr_netns=value.frr_netns,
        started_at=timestamp(value.started_at),
        ready=value.ready,
        not_ready=value.not_ready,
        degraded=value.degraded,
        trial=value.trial,
        bridge=value.bridge,
        session=value.session,
        session_state=value.session_state,
        reason=value.reason,
        stale_after=timestamp(value.stale_after),
        repaired=value.repaired,
        undecoded=value.undecoded,
        sequence=sequence,
    )
    for count in value.counts:
        message.counts.add(
            kind=KINDS[count.kind],
            desired=count.desired,
            programmed=count.programmed,
            failed=count.failed,
            stale=count.stale,
            unmanaged=count.unmanaged,
        )
    message.resources.extend(map(_resource, value.resources))
    message.sessions.extend(_session(session) for session in value.sessions)
    message.vnis.extend(pb.FrrVniState(**asdict(vni)) for vni in value.vnis)
    message.datapaths.extend(map(_plane, value.planes))
    return message


def _plane(value: PlaneStatus) -> pb.PlaneState:
    return pb.PlaneState(
        name=value.name,
        role=ROLES[value.role],
        desired=value.desired,
        programmed=value.programmed,
        failed=value.failed,
        problem=value.problem,
        ports=value.ports,
    )


def _session(value: BgpSession) -> pb.BgpSessionState:
    return pb.BgpSessionState(**{**asdict(value), "since": timestamp(value.since)})


def plan(value: Plan, datapath: str) -> pb.IntentResponse:
    return pb.IntentResponse(
        node_name=value.node_name,
        node_index=value.node_index,
        node_labels=value.node_labels,
        forwarding=value.forwarding,
        control=value.control,
        underlay_mtu=value.underlay_mtu,
        datapath=datapath,
        devices=[
            pb.PlannedDevice(kind=d.kind, name=d.name, resource=d.resource, attributes=d.attributes)
            for d in value.devices
        ],
        frr_settings=to_json(value.frr).decode(),
    )


def _resource(status: ResourceStatus) -> pb.ResourceStatus:
    """Return a status; its `message` already names all violations."""
    fields = asdict(status)
    del fields["violations"]
    return pb.ResourceStatus(**fields)
