"""Ask the kernel for its route to an address, and follow that through neighbors and FDB."""

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


def lookup(netns: str, observer: Observer, vrf: str, address: bytes) -> Found | None:
    """Return the route that the kernel uses for an address, or None. Raises Unavailable."""
    device = observer.links.named(vrf) if vrf != DEFAULT_VRF else None
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
    return _followed(observer, entry, address)


def _followed(observer: Observer, entry: Entry, address: bytes) -> Found:
    nexthop = _nexthop(observer, entry)
    members = [(member.weight, observer.nexthops.get(member.id)) for member in nexthop.members]
    if nexthop.type is not NexthopType.GROUP:
        members = [(1, nexthop)]
    ways = (
        way
        for weight, member in members
        if member
        for way in _ways(observer, member, weight, address)
    )
    return Found(entry.prefix, entry.length, entry.protocol, nexthop, tuple(ways))


def _nexthop(observer: Observer, entry: Entry) -> Nexthop:
    """Return the nexthop of an entry; if it is not one of ours, derive it from the attributes."""
    if entry.drop:
        return Nexthop(0, entry.drop)
    if known := observer.nexthops.get(entry.nexthop):
        return known
    link = observer.links.get(entry.oif)
    type_ = NexthopType.GATEWAY if entry.gateway else NexthopType.DEVICE
    return Nexthop(entry.nexthop, type_, entry.gateway, link.name if link else "")


def _ways(observer: Observer, member: Nexthop, weight: int, address: bytes) -> Iterator[Way]:
    """Follow a nexthop through the neighbors and, into an overlay, the FDB.

    A MAC behind an Ethernet segment has a way through each VTEP of the segment.
    """
    if member.vni:
        vxlan = observer.links.vxlan(member.vni)
        mac = observer.layer2.router_mac(vxlan, member.vtep) if vxlan else b""
        yield Way(member, weight, member.vni, member.vtep, mac)
        return
    link = observer.links.named(member.device)
    host = observer.layer2.host(link.index, member.gateway or address) if link else None
    vni = observer.links.vni_of(link.index) if link and host else 0
    vxlan = observer.links.vxlan(vni) if vni else None
    if not vxlan or not host or not observer.layer2.behind(vxlan, host.mac):
        yield Way(member, weight, mac=host.mac if host else b"")
        return
    for vtep in _vteps(observer, observer.layer2.tunnel(vxlan.index, host.mac)):
        yield Way(member, weight, vni, vtep, host.mac)


def _vteps(observer: Observer, tunnel: Tunnel | None) -> tuple[bytes, ...]:
    """Return the VTEPs of an FDB entry; b"" for an unknown one."""
    segment = observer.segments.get(tunnel.group) if tunnel else None
    vteps = segment.vteps if segment else (tunnel.vtep,) if tunnel else ()
    return vteps or (b"",)
