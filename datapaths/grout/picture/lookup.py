"""Look up the route of grout's that covers an address, and describe its nexthop. Pure.

grout answers with the nexthop of the longest match, but not with the prefix.
"""

from __future__ import annotations

import errno

from datapaths.base import Found, Way
from datapaths.grout.picture import ids
from datapaths.grout.picture.hops import NO_MAC, HopTable
from datapaths.grout.picture.observe import Observer
from datapaths.grout.wire import nexthops as wire
from datapaths.grout.wire.addresses import TYPE, family_of
from datapaths.grout.wire.routes import encode_get
from datapaths.grout.wire.table import Api
from dualpath.model.nexthops import FIRST_RESERVED, Nexthop, NexthopType

NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENONET)


def request(api: Api, picture: Observer, vrf: str, address: bytes) -> tuple[str, bytes] | None:
    """Return type and payload of the request for an address; None if grout has no such VRF."""
    family, vrf_id = family_of(address), picture.ifaces.vrf_id(vrf)
    if not vrf_id:
        return None
    return f"{TYPE[family]}_ROUTE_GET", encode_get(api, family, vrf_id, address)


def found(api: Api, picture: Observer, payload: bytes, address: bytes) -> Found:
    """Decode grout's reply to the request. Raises DecodeError."""
    answer = wire.decode(api, payload)
    if ids.is_drop(answer.id):
        return Found(nexthop=Nexthop(answer.id, NexthopType(answer.id - FIRST_RESERVED)))
    if ids.is_group(answer.id) and (ours := picture.hops.records.get(ids.nexthop_of(answer.id))):
        return Found(nexthop=ours, ways=tuple(_ways(picture.hops, ours)))
    way = _host(picture, answer, address)
    return Found(nexthop=way.nexthop, ways=(way,))


def _ways(hops: HopTable, nexthop: Nexthop) -> list[Way]:
    """Return the ways of one of our nexthops; a way into an overlay has the router MAC."""
    if nexthop.type is NexthopType.GROUP:
        parts = [(member.weight, hops.records.get(member.id)) for member in nexthop.members]
    else:
        parts = [(1, nexthop)]
    return [
        Way(part, weight, part.vni, part.vtep, _router_mac(hops, part) if part.vni else b"")
        for weight, part in parts
        if part
    ]


def _router_mac(hops: HopTable, nexthop: Nexthop) -> bytes:
    members = hops.members.get(nexthop.id, ())
    hop = hops.get(members[0][0]) if members else None
    return hop.mac if hop and hop.mac != NO_MAC else b""


def _host(picture: Observer, answer: wire.Nexthop, address: bytes) -> Way:
    """Return the way to a host on a link.

    For a connected network grout answers with its own address; the host has a nexthop of its own.
    """
    name = picture.ifaces.device_name(answer.iface)
    device = Nexthop(0, NexthopType.DEVICE, device=name)
    hop = picture.hops.at(answer.vrf, address, answer.iface)
    if hop is None or hop.mac == wire.ZERO_MAC:  # grout resolves it itself
        return Way(device)
    entry = picture.bridges.get(hop.iface, hop.mac)
    if not entry or not entry.vtep:
        return Way(device, mac=hop.mac)
    return Way(device, 1, picture.ifaces.vni_of(hop.iface), entry.vtep, hop.mac)
