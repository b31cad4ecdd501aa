"""The path of a packet: in FRR, as programmed, and where the two disagree."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import islice

from controller.inspect.filters import Places, places
from controller.inspect.lookup import (
    Address,
    Wanted,
    covering,
    desired,
    longest,
    programmed,
    repeated_by_frr,
)
from controller.inspect.observed import CANNOT_BE_ASKED, observe
from controller.inspect.text import address_text, mac_text
from controller.inspect.view import Inspected, LookUp, Ports
from datapaths.base import Unavailable
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac, Neighbor, RemoteVtep
from dualpath.model.links import Vrf
from dualpath.model.nexthops import called, unsupported_reason
from dualpath.model.routes import DEFAULT_VRF
from dualpath.model.view import RecordRow, RowState, StateView
from dualpath.pb import inspect_pb2 as pb
from dualpath.pb import state_pb2

SLICE = 2048
"""Records looked at between two turns of the event loop: a few milliseconds."""

DROPS = (
    state_pb2.NEXTHOP_TYPE_BLACKHOLE,
    state_pb2.NEXTHOP_TYPE_UNREACHABLE,
    state_pb2.NEXTHOP_TYPE_PROHIBIT,
)


class UnknownVrf(LookupError):
    """No such VRF; the text names those that exist."""


async def explain(
    view: Inspected, ports: Ports, vrf: str, text: str, look_up: LookUp | None = None
) -> pb.ExplainResponse:
    """Follow an address. Raises BadRequest or UnknownVrf."""
    vrf, address = vrf or DEFAULT_VRF, Address.parse(text)
    _check_vrf(view, vrf)
    routes = await covering(view, vrf, address)
    walk = Walk(view, address)
    answer = pb.ExplainResponse(vrf=vrf, address=text, datapath=view.datapath_name())
    for lookup, wanted in (
        (answer.frr, repeated_by_frr),
        (answer.desired, desired),
        (answer.programmed, programmed),
    ):
        route = longest(routes, wanted)
        lookup.SetInParent()
        if route is not None:
            lookup.route.CopyFrom(route)
            lookup.paths.extend(await walk.paths(route, wanted))
    answer.problems.extend(_disagreements(answer))
    if look_up:
        answer.problems.extend(await observe(look_up, view, address, answer))
    else:
        answer.not_observed = CANNOT_BE_ASKED
    answer.problems.extend(walk.problems)
    answer.problems.extend(await _port_problems(view, ports, answer))
    return answer


def _check_vrf(view: StateView, vrf: str) -> None:
    known = {name for name, _ in view.route_tables()} | {DEFAULT_VRF}
    known |= {r.record.name for r in view.records(Kind.VRF) if isinstance(r.record, Vrf)}
    if vrf not in known:
        raise UnknownVrf(f"no VRF {vrf!r}; existing: {', '.join(sorted(known))}")


class Walk:
    """Follows routes to the ports by which packets leave, and notes problems on the path."""

    def __init__(self, view: StateView, address: Address) -> None:
        self._view = view
        self._address = address
        self._places: Places = places(view)
        self._underlay: dict[str, list[pb.Route]] = {}
        self._noted: dict[str, None] = {}  # in order, each once

    @property
    def problems(self) -> Sequence[str]:
        return tuple(self._noted)

    async def paths(self, route: pb.Route, wanted: Wanted) -> list[pb.Path]:
        """Return every way of a route; `wanted` also selects the routes of the underlay."""
        legs = _legs(_nexthop(route, wanted))
        return [path for w, leg in legs for path in await self._ways(w, leg, wanted)]

    async def _ways(self, weight: int, leg: pb.Nexthop, wanted: Wanted) -> list[pb.Path]:
        """Return the ways of one member: several for a host behind an Ethernet segment."""
        path = pb.Path(weight=weight, nexthop=leg)
        found = [path]
        if leg.type == state_pb2.NEXTHOP_TYPE_UNSPECIFIED:
            self._note(_unknown(leg.id))
        elif leg.vtep:
            path.vni, path.vtep = leg.vni, leg.vtep
            path.mac = await self._router_mac(leg.vni, leg.vtep)
        elif leg.device in self._places.vni_of_bridge:
            found = [
                pb.Path(weight=weight, nexthop=leg, vni=path.vni, mac=path.mac, vtep=vtep)
                for vtep in await self._bridged(path, leg)
            ] or found
        elif leg.type not in DROPS:
            path.ports.append(leg.device)
        for one in found:
            if one.vtep:
                await self._tunnel(one, wanted)
        return found

    async def _router_mac(self, vni: int, vtep: str) -> str:
        key = vni, Address.parse(vtep).packed
        async for row in _rows(self._view, Kind.REMOTE_VTEP):
            record = row.record
            if isinstance(record, RemoteVtep) and record.key == key:
                self._check(row, f"the router MAC of VTEP {vtep} in VNI {vni}")
                return mac_text(record.mac)
        self._note(f"no router MAC is known for VTEP {vtep} in VNI {vni}")
        return ""

    async def _bridged(self, path: pb.Path, leg: pb.Nexthop) -> list[str]:
        """Follow an address on an L2VNI: neighbor, MAC, VTEPs. Return [] for a local one.

        A datapath without Ethernet segments uses one VTEP of a segment.
        """
        path.vni = self._places.vni_of_bridge[leg.device]
        host = Address.parse(leg.gateway).packed if leg.gateway else self._address.packed
        neighbor = await self._neighbor(path.vni, host)
        if neighbor is None:
            path.ports.append(leg.device)
            return []
        path.mac = mac_text(neighbor.mac)
        async for row in _rows(self._view, Kind.MAC):
            record = row.record
            if isinstance(record, Mac) and record.key == (path.vni, neighbor.mac):
                self._check(row, f"MAC {path.mac} of VNI {path.vni}")
                vteps = (record.vtep,) if record.vtep else self._view.vteps(record)
                return [address_text(vtep) for vtep in vteps]
        self._note(f"MAC {path.mac} of {address_text(host)} is not known in VNI {path.vni}")
        return []

    async def _neighbor(self, vni: int, address: bytes) -> Neighbor | None:
        async for row in _rows(self._view, Kind.NEIGHBOR):
            if isinstance(row.record, Neighbor) and row.record.key == (vni, address):
                self._check(row, f"neighbor {address_text(address)} of VNI {vni}")
                return row.record
        return None

    async def _tunnel(self, path: pb.Path, wanted: Wanted) -> None:
        """Find the way to the VTEP through the underlay."""
        if path.vtep not in self._underlay:
            vtep = Address.parse(path.vtep)
            self._underlay[path.vtep] = await covering(self._view, DEFAULT_VRF, vtep)
        route = longest(self._underlay[path.vtep], wanted)
        if route is None:
            how = "programmed" if wanted is programmed else "from FRR"
            self._note(f"no route to VTEP {path.vtep} is {how} in VRF {DEFAULT_VRF}")
            return
        path.underlay_prefix = route.prefix
        legs = [leg for _, leg in _legs(_nexthop(route, wanted))]
        path.ports.extend(dict.fromkeys(leg.device for leg in legs if leg.device))
        if not path.ports:
            self._note(f"the route {route.prefix} to VTEP {path.vtep} leads to no port")

    def _check(self, row: RecordRow, what: str) -> None:
        if row.state is RowState.FAILED:
            self._note(f"the datapath refused {what}: {row.error}")
        elif row.state is RowState.PENDING:
            self._note(f"{what} waits to be programmed")

    def _note(self, problem: str) -> None:
        self._noted[problem] = None


async def _rows(view: StateView, kind: Kind) -> AsyncIterator[RecordRow]:
    rows = iter(view.records(kind))
    while part := list(islice(rows, SLICE)):
        for row in part:
            yield row
        await asyncio.sleep(0)


def _nexthop(route: pb.Route, wanted: Wanted) -> pb.Nexthop:
    if wanted is programmed and route.HasField("programmed"):
        return route.programmed
    return route.desired


def _legs(nexthop: pb.Nexthop) -> list[tuple[int, pb.Nexthop]]:
    if nexthop.type == state_pb2.NEXTHOP_TYPE_GROUP:
        return [(member.weight, member.nexthop) for member in nexthop.members]
    return [(1, nexthop)]


def _disagreements(answer: pb.ExplainResponse) -> list[str]:
    """Compare the three lookups."""
    frr, want, have = answer.frr.route, answer.desired.route, answer.programmed.route
    problems = []
    if not want.prefix:
        problems.append(f"FRR has no route to {answer.address} in VRF {answer.vrf}")
    elif frr.prefix != want.prefix:
        problems.append(f"{want.prefix} is held: the present FPM session has not repeated it")
    if want.state == pb.ROW_STATE_FAILED:
        problems.append(f"the datapath refused {want.prefix}: {want.error}")
    elif want.state == pb.ROW_STATE_PENDING:
        problems.append(f"{want.prefix} waits to be programmed")
    if have.state == pb.ROW_STATE_LEAVING:
        problems.append(f"{have.prefix} is no longer wanted, but the datapath still has it")
    elif have.state == pb.ROW_STATE_STALE and not have.HasField("desired"):
        problems.append(f"{have.prefix} was found in the datapath; zebra has not repeated it yet")
    if want.prefix != have.prefix:
        uses = f"the datapath uses {have.prefix}" if have.prefix else "the datapath has no route"
        problems.append(f"{want.prefix or 'no route'} is wanted, {uses}")
    elif have.HasField("programmed") and have.programmed.id != want.desired.id:
        wanted, used = called(want.desired.id), called(have.programmed.id)
        ids = f"{wanted} is wanted, the datapath uses {used}"
        problems.append(f"{want.prefix}: {ids}")
    return problems


async def _port_problems(view: StateView, ports: Ports, answer: pb.ExplainResponse) -> list[str]:
    """Return which ports on the path are down or missing in the datapath."""
    paths = [*answer.desired.paths, *answer.programmed.paths]
    ours = {row.record.key for row in view.records(Kind.PORT)}
    used = {name for path in paths for name in path.ports if name in ours}
    if not used:
        return []
    try:
        up = {port.name: port.up for port in await ports()}
    except Unavailable as error:
        return [f"the datapath does not answer: {error}"]
    missing = [f"the datapath has no port {name}" for name in sorted(used - up.keys())]
    return missing + [f"port {name} is down" for name in sorted(used & up.keys()) if not up[name]]


def _unknown(id_: int) -> str:
    """Return why a nexthop has no contents: FRR did not send it, or no datapath can use it."""
    if reason := unsupported_reason(id_):
        return f"the route cannot be forwarded: {reason}"
    return f"nexthop {id_} is unknown: FRR has not sent it"
