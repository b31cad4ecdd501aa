"""The kernel's own word on where packets to an address go, followed by what is known of it."""

from __future__ import annotations

import errno

from controller.model.nexthops import Nexthop, NexthopType
from controller.model.routes import DEFAULT_VRF
from datapaths.base import Found, Unavailable, Way
from datapaths.kernel.channel import ask
from datapaths.kernel.observe import Observer
from datapaths.kernel.wire.lookup import DROP_OF_ERRNO, Entry, decode_entry, lookup_request
from datapaths.linux.wire.message import DecodeError


def lookup(netns: str, seen: Observer, vrf: str, address: bytes) -> Found | None:
    """Return the entry that covers an address, None without one. Raises Unavailable."""
    device = seen.links.named(vrf) if vrf != DEFAULT_VRF else None
    if vrf != DEFAULT_VRF and not device:
        return None
    try:
        entry = decode_entry(ask(netns, lookup_request(address, device.index if device else 0)))
    except DecodeError as error:
        raise Unavailable(f"netlink: the answer to a lookup makes no sense: {error}") from error
    except OSError as error:
        if error.errno == errno.ENETUNREACH:
            return None
        if drop := DROP_OF_ERRNO.get(error.errno or 0):
            return Found(nexthop=Nexthop(0, drop))
        raise Unavailable(f"netlink: a lookup was refused: {error.strerror}") from error
    return _followed(seen, entry, address)


def _followed(seen: Observer, entry: Entry, address: bytes) -> Found:
    nexthop = _nexthop(seen, entry)
    legs = [(member.weight, seen.nexthops.get(member.id)) for member in nexthop.members]
    if nexthop.type is not NexthopType.GROUP:
        legs = [(1, nexthop)]
    ways = tuple(_way(seen, leg, weight, address) for weight, leg in legs if leg)
    return Found(entry.prefix, entry.length, entry.protocol, nexthop, ways)


def _nexthop(seen: Observer, entry: Entry) -> Nexthop:
    """Return the nexthop of an entry; one that is no object of ours is spelt out."""
    if entry.drop:
        return Nexthop(0, entry.drop)
    if known := seen.nexthops.get(entry.nexthop):
        return known
    link = seen.links.get(entry.oif)
    type_ = NexthopType.GATEWAY if entry.gateway else NexthopType.DEVICE
    return Nexthop(entry.nexthop, type_, entry.gateway, link.name if link else "")


def _way(seen: Observer, leg: Nexthop, weight: int, address: bytes) -> Way:
    """Follow a nexthop through the neighbours and, into an overlay, the FDB."""
    if leg.vni:
        vxlan = seen.links.vxlan(leg.vni)
        mac = seen.layer2.router_mac(vxlan, leg.vtep) if vxlan else b""
        return Way(leg, weight, leg.vni, leg.vtep, mac)
    link = seen.links.named(leg.device)
    host = seen.layer2.host(link.index, leg.gateway or address) if link else None
    if not link or not host:
        return Way(leg, weight)
    vni = seen.links.vni_of(link.index)
    vxlan = seen.links.vxlan(vni) if vni else None
    if not vxlan or not seen.layer2.behind(vxlan, host.mac):
        return Way(leg, weight, mac=host.mac)
    tunnel = seen.layer2.tunnel(vxlan.index, host.mac)
    return Way(leg, weight, vni, tunnel.vtep if tunnel else b"", host.mac)
