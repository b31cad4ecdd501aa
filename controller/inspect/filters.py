"""The filters of requests, and page tokens. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import assert_never

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Flood, Lsp, Mac, Neighbor, RemoteVtep
from dualpath.model.links import Port, Vni, Vrf
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.records import Record
from dualpath.model.routes import DEFAULT_VRF, Family
from dualpath.model.view import Change, RecordRow, StateView
from dualpath.pb import inspect_pb2 as pb

FAMILIES = {Family.INET: pb.FAMILY_IPV4, Family.INET6: pb.FAMILY_IPV6}
MAX_GROUP_DEPTH = 2
MAX_DIGITS = 18  # of a position in a page token: fits 64 bits


class BadRequest(ValueError):
    """The request is invalid; the text is one sentence for its sender."""


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
        if "%" in text:  # a scope: no prefix has one
            raise ValueError
    except ValueError:
        raise BadRequest(f"{text!r} is not a prefix, such as 10.0.0.0/24") from None
    network = interface.network
    if interface.ip != network.network_address:
        raise BadRequest(f"{text} has bits set beyond its length: did you mean {network}?")
    family = Family.INET if interface.version == 4 else Family.INET6
    return family, network.network_address.packed, network.prefixlen


Position = tuple[int, int]
"""Kind and number of the last row of a page."""


def position(row: RecordRow) -> Position:
    return row.record.kind, row.number


def page_token(row: RecordRow) -> str:
    """Return the page token that continues a list after this row."""
    return f"{row.record.kind:d}-{row.number}"


def parse_position(token: str) -> Position:
    """Read the page token of a list of records. Raises BadRequest."""
    if not token:
        return 0, 0
    if not (found := re.fullmatch(r"([0-9]{1,3})-([0-9]{1,18})", token)):
        raise BadRequest(f"page token {token!r} does not belong to this list")
    return int(found[1]), int(found[2])


@dataclass
class Places:
    """The VRF of each VNI, bridge and port, and the L3VNI of each VRF."""

    by_vni: dict[int, str] = field(default_factory=dict)
    by_device: dict[str, str] = field(default_factory=dict)
    vni_of_bridge: dict[str, int] = field(default_factory=dict)
    l3vnis: dict[str, int] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Add a VNI or a port. Add VNIs before ports."""
        match record:
            case Vni(vni=vni, vrf=vrf, bridge=bridge):
                self.by_vni[vni] = self.by_device[bridge] = vrf
                self.vni_of_bridge[bridge] = vni
                if record.layer == 3:
                    self.l3vnis[vrf] = vni
            case Port(name=name, vni=vni, vrf=vrf):
                self.by_device[name] = self.by_vni.get(vni, "") if vni else vrf or DEFAULT_VRF
            case _:
                pass


def places(view: StateView) -> Places:
    found = Places()
    for kind in (Kind.VNI, Kind.PORT):
        for row in view.records(kind):
            found.add(row.record)
    return found


Aspect = tuple[str, int, set[int]]
"""VRF, VNI and widths of addresses that a row belongs to. A row may have several."""

Resolve = Callable[[int], Nexthop | None]


def aspects(record: Record, known: Places, resolve: Resolve, depth: int = 0) -> Iterator[Aspect]:
    """Yield the aspects of a record; a group has those of every member."""
    by_vni = known.by_vni
    match record:
        case Vrf(name=name):
            yield name, known.l3vnis.get(name, 0), set()
        case Vni(vni=vni, vrf=vrf, local=local):
            yield vrf, vni, {len(local)}
        case Port(name=name, vni=vni, addresses=addresses):
            yield known.by_device.get(name, ""), vni, {len(a.ip) for a in addresses}
        case RemoteVtep(vni=vni, vtep=vtep) | Flood(vni=vni, vtep=vtep):
            yield by_vni.get(vni, ""), vni, {len(vtep)}
        case EthernetSegment(vteps=vteps):
            yield "", 0, {len(vtep) for vtep in vteps}
        case Mac(vni=vni, vtep=vtep):
            yield by_vni.get(vni, ""), vni, {len(vtep)}
        case Neighbor(vni=vni, address=address):
            yield by_vni.get(vni, ""), vni, {len(address)}
        case Nexthop(type=NexthopType.GROUP, members=members):
            for leg in map(resolve, (member.id for member in members)):
                if leg is not None and depth < MAX_GROUP_DEPTH:
                    yield from aspects(leg, known, resolve, depth + 1)
        case Nexthop(vni=vni, device=device, gateway=gateway):
            vrf = by_vni.get(vni, "") if vni else known.by_device.get(device, "")
            yield vrf, vni, {len(gateway)}
        case Lsp():
            yield "", 0, set()
        case _:
            assert_never(record)


def aspects_of_change(change: Change, known: Places, resolve: Resolve) -> list[Aspect]:
    """Return the aspects of a change. A withdrawn route has its VRF's L3VNI."""
    found = list(aspects(change.record, known, resolve)) if change.record else []
    if found and change.kind is not Kind.ROUTE:
        return found
    widths = {change.family.width} if change.family else set()
    vnis = {vni for _, vni, _ in found} or {known.l3vnis.get(change.vrf, 0)}
    return [(change.vrf, vni, widths) for vni in sorted(vnis, reverse=True)]


class PlaceFilter:
    """The filters by VRF, VNI and family, which lists and Watch share. Raises BadRequest."""

    def __init__(self, request: pb.ListRequest | pb.WatchRequest) -> None:
        self._vrf = request.vrf
        self._vni = request.vni
        self._family = parse_family(request.family)
        self.given = bool(self._vrf or self._vni or self._family)

    def first(self, where: Iterable[Aspect]) -> Aspect | None:
        """Return the first aspect that passes."""
        return next(filter(self._wants, where), None)

    def passes(self, where: Iterable[Aspect]) -> bool:
        return not self.given or self.first(where) is not None

    def _wants(self, aspect: Aspect) -> bool:
        vrf, vni, widths = aspect
        return (
            self._vrf in ("", vrf)
            and self._vni in (0, vni)
            and (not self._family or self._family.width in widths)
        )


class RecordFilter:
    """The filters of a ListRequest over records."""

    def __init__(self, request: pb.ListRequest, view: StateView) -> None:
        self._place = PlaceFilter(request)
        self._states: frozenset[int] = frozenset(request.states)
        self._resolve = view.nexthop
        self._places = places(view) if self._place.given else Places()

    def passes(self, row: RecordRow) -> bool:
        if self._states and row.state not in self._states:
            return False
        return self._place.passes(aspects(row.record, self._places, self._resolve))
