"""grout's own word on where packets to an address go, followed by what is known of it.

grout answers with the nexthop of the longest match, and does not say which prefix that is.
"""

from __future__ import annotations

import errno

from datapaths.base import Found, Unavailable, Way
from datapaths.grout.channel import Channel, Refused
from datapaths.grout.picture import ids
from datapaths.grout.picture.hops import NO_MAC, HopTable
from datapaths.grout.picture.observe import Observer
from datapaths.grout.wire import nexthops as wire
from datapaths.grout.wire.addresses import TYPE, family_of
from datapaths.grout.wire.routes import encode_get
from datapaths.grout.wire.table import DecodeError
from dualpath.model.nexthops import FIRST_RESERVED, Nexthop, NexthopType

NOWHERE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENONET)


async def look_up(channel: Channel, seen: Observer, vrf: str, address: bytes) -> Found | None:
    """Return what covers an address, None without. Raises Unavailable."""
    family, vrf_id = family_of(address), seen.ifaces.vrf_id(vrf)
    if not vrf_id:
        return None
    request = encode_get(channel.api, family, vrf_id, address)
    try:
        answer = wire.decode(channel.api, await channel.call(f"{TYPE[family]}_ROUTE_GET", request))
    except Refused as error:
        if error.errno in NOWHERE:
            return None
        raise Unavailable(f"grout: {error}") from error
    except DecodeError as error:
        raise Unavailable(f"grout's answer to a lookup makes no sense: {error}") from error
    return _followed(seen, answer, address)


def _followed(seen: Observer, answer: wire.Nexthop, address: bytes) -> Found:
    if ids.is_drop(answer.id):
        return Found(nexthop=Nexthop(answer.id, NexthopType(answer.id - FIRST_RESERVED)))
    if ids.is_group(answer.id) and (ours := seen.hops.records.get(ids.identity_of(answer.id))):
        return Found(nexthop=ours, ways=tuple(_ways(seen.hops, ours)))
    way = _host(seen, answer, address)
    return Found(nexthop=way.nexthop, ways=(way,))


def _ways(hops: HopTable, nexthop: Nexthop) -> list[Way]:
    """Follow a nexthop of ours; into an overlay to the router MAC."""
    if nexthop.type is NexthopType.GROUP:
        legs = [(member.weight, hops.records.get(member.id)) for member in nexthop.members]
    else:
        legs = [(1, nexthop)]
    return [
        Way(leg, weight, leg.vni, leg.vtep, _router_mac(hops, leg) if leg.vni else b"")
        for weight, leg in legs
        if leg
    ]


def _router_mac(hops: HopTable, leg: Nexthop) -> bytes:
    members = hops.legs.get(leg.id, ())
    hop = hops.get(members[0][0]) if members else None
    return hop.mac if hop and hop.mac != NO_MAC else b""


def _host(seen: Observer, answer: wire.Nexthop, address: bytes) -> Way:
    """Return the way to what is on a link.

    grout's nexthop of a connected network is its own address there; that of the host is beside it.
    """
    device = Nexthop(0, NexthopType.DEVICE, device=seen.ifaces.device_name(answer.iface))
    hop = seen.hops.at(answer.vrf, address, answer.iface)
    if hop is None or hop.mac == wire.ZERO_MAC:  # one that grout resolves itself
        return Way(device)
    entry = seen.bridges.get(hop.iface, hop.mac)
    if not entry or not entry.vtep:
        return Way(device, mac=hop.mac)
    return Way(device, 1, seen.ifaces.vni_of(hop.iface), entry.vtep, hop.mac)
