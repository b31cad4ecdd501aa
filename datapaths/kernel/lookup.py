"""The kernel's own route to an address, followed through neighbors and FDB."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from datapaths.base import Found, Unavailable, Way
from datapaths.kernel.channel import ask
from datapaths.kernel.layer2 import Tunnel
from datapaths.kernel.observe import Observer
from datapaths.kernel.wire.lookup import DROP_OF_ERRNO, Entry, decode_entry, lookup_request
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.routes import DEFAULT_VRF
from dualpath.netlink.message import DecodeError


def lookup(netns: str, seen: Observer, vrf: str, address: bytes) -> Found | None:
    """Return the route that the kernel takes to an address; None if none. Raises Unavailable."""
    device = seen.links.named(vrf) if vrf != DEFAULT_VRF else None
    if vrf != DEFAULT_VRF and not device:
        return None
    try:
        entry = decode_entry(ask(netns, lookup_request(address, device.index if device else 0)))
    except DecodeError as error:
        raise Unavailable(f"netlink: cannot decode the reply to a lookup: {error}") from error
    except OSError as error:
        if error.errno == errno.ENETUNREACH:
            return None
        if drop := DROP_OF_ERRNO.get(error.errno or 0):
            return Found(nexthop=Nexthop(0, drop))
        raise Unavailable(f"netlink: the kernel refused a lookup: {error.strerror}") from error
    return _followed(seen, entry, address)


def _followed(seen: Observer, entry: Entry, address: bytes) -> Found:
    nexthop = _nexthop(seen, entry)
    legs = [(member.weight, seen.nexthops.get(member.id)) for member in nexthop.members]
    if nexthop.type is not NexthopType.GROUP:
        legs = [(1, nexthop)]
    ways = (way for weight, leg in legs if leg for way in _ways(seen, leg, weight, address))
    return Found(entry.prefix, entry.length, entry.protocol, nexthop, tuple(ways))


def _nexthop(seen: Observer, entry: Entry) -> Nexthop:
    """Return the nexthop of an entry, made up from its attributes if it is no object of ours."""
    if entry.drop:
        return Nexthop(0, entry.drop)
    if known := seen.nexthops.get(entry.nexthop):
        return known
    link = seen.links.get(entry.oif)
    type_ = NexthopType.GATEWAY if entry.gateway else NexthopType.DEVICE
    return Nexthop(entry.nexthop, type_, entry.gateway, link.name if link else "")


def _ways(seen: Observer, leg: Nexthop, weight: int, address: bytes) -> Iterator[Way]:
    """Follow a nexthop through the neighbors and, into an overlay, the FDB.

    A MAC behind an Ethernet segment has a way through each VTEP of the segment.
    """
    if leg.vni:
        vxlan = seen.links.vxlan(leg.vni)
        mac = seen.layer2.router_mac(vxlan, leg.vtep) if vxlan else b""
        yield Way(leg, weight, leg.vni, leg.vtep, mac)
        return
    link = seen.links.named(leg.device)
    host = seen.layer2.host(link.index, leg.gateway or address) if link else None
    vni = seen.links.vni_of(link.index) if link and host else 0
    vxlan = seen.links.vxlan(vni) if vni else None
    if not vxlan or not host or not seen.layer2.behind(vxlan, host.mac):
        yield Way(leg, weight, mac=host.mac if host else b"")
        return
    for vtep in _vteps(seen, seen.layer2.tunnel(vxlan.index, host.mac)):
        yield Way(leg, weight, vni, vtep, host.mac)


def _vteps(seen: Observer, tunnel: Tunnel | None) -> tuple[bytes, ...]:
    """Return the VTEPs that an entry leads to; b"" for an unknown one."""
    segment = seen.segments.get(tunnel.group) if tunnel else None
    vteps = segment.vteps if segment else (tunnel.vtep,) if tunnel else ()
    return vteps or (b"",)
