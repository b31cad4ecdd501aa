"""Look up an address in the datapath, and compare the result with the programmed state."""

from __future__ import annotations

from collections.abc import Iterator

from controller.inspect.filters import FAMILIES
from controller.inspect.lookup import Address
from controller.inspect.rows import nexthop as nexthop_message
from controller.inspect.text import address_text, mac_text, protocol_text
from controller.inspect.view import LookUp
from datapaths.base import Found, Unavailable, Unsupported, Way
from dualpath.model.nexthops import DROP_TYPES, Nexthop, called
from dualpath.model.routes import DEFAULT_VRF
from dualpath.model.view import StateView
from dualpath.pb import inspect_pb2 as pb

CANNOT_BE_ASKED = "this datapath has no lookup"


async def observe(
    look_up: LookUp, view: StateView, address: Address, answer: pb.ExplainResponse
) -> list[str]:
    """Look up an address in the datapath, add the result to `answer`, and return its problems."""
    try:
        found = await look_up(answer.vrf, address.packed)
        answer.observed.SetInParent()
        if found:
            answer.observed.route.CopyFrom(_route(view, found, answer.vrf, address))
            for way in found.ways:
                answer.observed.paths.append(await _path(look_up, view, way))
    except Unsupported:
        answer.ClearField("observed")
        answer.not_observed = CANNOT_BE_ASKED
        return []
    except Unavailable as error:
        return [f"the datapath does not answer: {error}"]
    return list(_disagreements(answer))


def _route(view: StateView, found: Found, vrf: str, address: Address) -> pb.Route:
    return pb.Route(
        vrf=vrf,
        family=FAMILIES[address.family],
        prefix=f"{address_text(found.prefix)}/{found.length}" if found.prefix else "",
        protocol=protocol_text(found.protocol) if found.protocol else "",
        programmed=nexthop_message(found.nexthop, view.nexthop) if found.nexthop else None,
    )


async def _path(look_up: LookUp, view: StateView, way: Way) -> pb.Path:
    path = pb.Path(
        weight=way.weight,
        nexthop=nexthop_message(way.nexthop, view.nexthop),
        vni=way.vni,
        vtep=address_text(way.vtep),
        mac=mac_text(way.mac),
    )
    if not way.vtep:
        path.ports.extend(_devices(way.nexthop))
    elif under := await look_up(DEFAULT_VRF, way.vtep):
        if under.prefix:
            path.underlay_prefix = f"{address_text(under.prefix)}/{under.length}"
        ports = [device for leg in under.ways for device in _devices(leg.nexthop)]
        path.ports.extend(dict.fromkeys(ports))
    return path


def _devices(nexthop: Nexthop) -> list[str]:
    return [nexthop.device] if nexthop.device and nexthop.type not in DROP_TYPES else []


def _disagreements(answer: pb.ExplainResponse) -> Iterator[str]:
    """Compare programmed with observed."""
    given, there = answer.programmed.route, answer.observed.route
    if not answer.observed.HasField("route"):
        if given.prefix:
            yield f"{given.prefix} was programmed, but the datapath has no route"
        return
    if not there.prefix and there.programmed.type in _DROPS:
        if given.prefix and given.programmed.type not in _DROPS:
            yield f"{given.prefix} was programmed, but the datapath drops the packet"
        return
    if not there.prefix and not given.prefix:
        yield "no route was programmed, the datapath has one"
    elif there.prefix and given.prefix != there.prefix:
        yield f"{given.prefix or 'no route'} was programmed, the datapath uses {there.prefix}"
    elif given.HasField("programmed") and given.programmed.id != there.programmed.id:
        ids = f"{called(given.programmed.id)} was programmed, the datapath has "
        yield f"{given.prefix}: {ids}{called(there.programmed.id) or 'another'}"
    yield from _other_ways(answer)


def _other_ways(answer: pb.ExplainResponse) -> Iterator[str]:
    """Yield VTEPs that are reached differently than programmed."""
    seen = {path.vtep: path for path in answer.observed.paths if path.vtep}
    for path in answer.programmed.paths:
        if there := seen.get(path.vtep):
            if there.mac != path.mac:
                macs = f"{path.mac or 'none'} was programmed, the datapath has "
                yield f"inner MAC for VTEP {path.vtep}: {macs}{there.mac or 'none'}"
            if sorted(there.ports) != sorted(path.ports):
                yield (
                    f"VTEP {path.vtep}: out of {', '.join(path.ports) or 'no port'} was programmed,"
                    f" the datapath uses {', '.join(there.ports) or 'no port'}"
                )


_DROPS = frozenset(nexthop_message(Nexthop(0, type_), lambda _: None).type for type_ in DROP_TYPES)
