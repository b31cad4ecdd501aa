"""Which rows a request is about. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import assert_never

from controller.model.kinds import Kind
from controller.model.layer2 import Flood, Lsp, Mac, Neighbor, RemoteVtep
from controller.model.links import Port, Vni, Vrf
from controller.model.nexthops import Nexthop, NexthopType
from controller.model.records import Record
from controller.model.routes import DEFAULT_VRF, Family
from controller.model.view import RecordRow, StateView
from controller.pb import inspect_pb2 as pb

FAMILIES = {Family.INET: pb.FAMILY_IPV4, Family.INET6: pb.FAMILY_IPV6}
MAX_GROUP_DEPTH = 2
MAX_DIGITS = 18  # of a position in a page token: what a column of 64 bits can be asked for


class BadRequest(ValueError):
    """The request cannot be understood; the text is one sentence for its sender."""


def parse_family(value: int) -> Family | None:
    if value == pb.FAMILY_UNSPECIFIED:
        return None
    for family, number in FAMILIES.items():
        if number == value:
            return family
    raise BadRequest(f"family {value} is unknown: FAMILY_IPV4 or FAMILY_IPV6")


def parse_prefix(text: str) -> tuple[Family, bytes, int]:
    """Read `10.0.0.0/24`, or a host route's address. Raises BadRequest."""
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        raise BadRequest(f"{text!r} is not a prefix, such as 10.0.0.0/24") from None
    network = interface.network
    if interface.ip != network.network_address:
        raise BadRequest(f"{text} has bits set beyond its length: did you mean {network}?")
    family = Family.INET if interface.version == 4 else Family.INET6
    return family, network.network_address.packed, network.prefixlen


def parse_position(token: str) -> int:
    """Read the page token of a list of records. Raises BadRequest."""
    if token and not (token.isascii() and token.isdigit() and len(token) <= MAX_DIGITS):
        raise BadRequest(f"page token {token!r} is not one of this list's")
    return int(token or 0)


@dataclass
class Places:
    """Which VRF a VNI, a bridge or a port belongs to, and which L3VNI a VRF has."""

    by_vni: dict[int, str] = field(default_factory=dict)
    by_device: dict[str, str] = field(default_factory=dict)
    vni_of_bridge: dict[str, int] = field(default_factory=dict)
    l3vnis: dict[str, int] = field(default_factory=dict)


def places(view: StateView) -> Places:
    found = Places()
    for row in view.records(Kind.VNI):
        if isinstance(row.record, Vni):
            found.by_vni[row.record.vni] = row.record.vrf
            found.by_device[row.record.bridge] = row.record.vrf
            found.vni_of_bridge[row.record.bridge] = row.record.vni
            if row.record.layer == 3:
                found.l3vnis[row.record.vrf] = row.record.vni
    for row in view.records(Kind.PORT):
        if isinstance(row.record, Port):
            port = row.record
            vrf = found.by_vni.get(port.vni, "") if port.vni else port.vrf or DEFAULT_VRF
            found.by_device[port.name] = vrf
    return found


class RecordFilter:
    """The filters of a ListRequest over records."""

    def __init__(self, request: pb.ListRequest, view: StateView) -> None:
        self._vrf = request.vrf
        self._vni = request.vni
        self._family = parse_family(request.family)
        self._states: frozenset[int] = frozenset(request.states)
        self._view = view
        self._places = places(view) if request.vrf else Places()

    def passes(self, row: RecordRow) -> bool:
        if self._states and row.state not in self._states:
            return False
        if not (self._vrf or self._vni or self._family):
            return True
        return any(
            (not self._vrf or self._vrf == vrf)
            and (not self._vni or self._vni == vni)
            and (not self._family or self._family.width in widths)
            for vrf, vni, widths in self._aspects(row.record)
        )

    def _aspects(self, record: Record, depth: int = 0) -> Iterator[tuple[str, int, set[int]]]:
        """Yield (VRF, VNI, widths of addresses); of a group, for each of its legs."""
        by_vni = self._places.by_vni
        match record:
            case Vrf(name=name):
                yield name, 0, set()
            case Vni(vni=vni, vrf=vrf, local=local):
                yield vrf, vni, {len(local)}
            case Port(name=name, vni=vni, addresses=addresses):
                yield self._places.by_device.get(name, ""), vni, {len(a.ip) for a in addresses}
            case RemoteVtep(vni=vni, vtep=vtep) | Flood(vni=vni, vtep=vtep):
                yield by_vni.get(vni, ""), vni, {len(vtep)}
            case Mac(vni=vni, vtep=vtep):
                yield by_vni.get(vni, ""), vni, {len(vtep)}
            case Neighbor(vni=vni, address=address):
                yield by_vni.get(vni, ""), vni, {len(address)}
            case Nexthop(type=NexthopType.GROUP, members=members):
                for leg in map(self._view.nexthop, (member.id for member in members)):
                    if leg is not None and depth < MAX_GROUP_DEPTH:
                        yield from self._aspects(leg, depth + 1)
            case Nexthop(vni=vni, device=device, gateway=gateway):
                vrf = by_vni.get(vni, "") if vni else self._places.by_device.get(device, "")
                yield vrf, vni, {len(gateway)}
            case Lsp():
                yield "", 0, set()
            case _:
                assert_never(record)
