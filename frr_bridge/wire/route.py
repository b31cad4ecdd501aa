"""One RTM_NEWROUTE or RTM_DELROUTE of IPv4 or IPv6: the reference for the columnar decoder.

`columns` must accept and refuse the same messages as this module; a test compares the two.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dualpath.model.nexthops import NexthopType
from dualpath.model.routes import Family
from dualpath.netlink.message import Attributes, DecodeError, Message, unpack
from dualpath.netlink.numbers import (
    AF_INET,
    AF_INET6,
    RTA_DST,
    RTA_ENCAP,
    RTA_ENCAP_TYPE,
    RTA_GATEWAY,
    RTA_MULTIPATH,
    RTA_NH_ID,
    RTA_OIF,
    RTA_SRC,
    RTA_TABLE,
    RTA_VIA,
    RTM_DELROUTE,
    RTN_BLACKHOLE,
    RTN_PROHIBIT,
    RTN_UNICAST,
    RTN_UNREACHABLE,
    RTNH_F_ONLINK,
)
from frr_bridge.wire.inline import Content, InlineNexthop, Unsupported, single, vni_of

RTMSG = struct.Struct("=BBBBBBBBI")  # struct rtmsg in linux/rtnetlink.h
RTNEXTHOP = struct.Struct("=HBBi")  # struct rtnexthop
RTVIA = struct.Struct("=H")  # struct rtvia, without the address


DROPS = {
    RTN_BLACKHOLE: NexthopType.BLACKHOLE,
    RTN_UNREACHABLE: NexthopType.UNREACHABLE,
    RTN_PROHIBIT: NexthopType.PROHIBIT,
}
FAMILIES = {int(family): family for family in Family}
VIA_WIDTHS = {AF_INET: 4, AF_INET6: 16}


@dataclass(frozen=True, slots=True)
class ZebraRoute:
    """A route as zebra or the kernel sent it."""

    deleted: bool
    family: Family
    table: int  # 1 to 2**32 - 1
    prefix: bytes  # family.width bytes, host bits zero
    length: int
    protocol: int  # RTPROT_*
    nexthop_id: int = 0  # RTA_NH_ID; 0 when the nexthop is inline, and on a deletion
    nexthop: Content | None = None  # None with an id, and on a deletion


def decode_route(message: Message) -> ZebraRoute:
    """Decode the body of a route message whose family is AF_INET or AF_INET6.

    Raises DecodeError when its key (table, prefix) cannot be decoded. If only the nexthop cannot be
    decoded, return the route with an `Unsupported` one.
    """
    start = message.payload
    number, length, src_length, _, table, protocol, _, kind, flags = message.fixed(RTMSG)
    family = FAMILIES.get(number)
    if family is None:
        raise DecodeError("address family", offset=start)
    attributes = message.attributes(RTMSG, partly=True)
    if src_length or RTA_SRC in attributes:
        raise DecodeError("source-specific route", offset=start)
    prefix = _prefix(attributes, family, length, start)
    table = attributes.u32(RTA_TABLE, table)
    if not table:
        raise DecodeError("table 0", offset=start)
    if message.type == RTM_DELROUTE:
        return ZebraRoute(True, family, table, prefix, length, protocol)
    identity, nexthop = _way(message.buffer, attributes, family, kind, flags, start)
    return ZebraRoute(False, family, table, prefix, length, protocol, identity, nexthop)


def _way(
    buffer: bytes, attributes: Attributes, family: Family, kind: int, flags: int, offset: int
) -> tuple[int, Content | None]:
    """Return a nexthop's id, or the nexthop."""
    try:
        if attributes.error:
            raise attributes.error
        if kind in DROPS:
            return 0, InlineNexthop(DROPS[kind])
        if kind != RTN_UNICAST:
            raise DecodeError("route type", offset=offset)
        if identity := attributes.u32(RTA_NH_ID):
            return identity, None
        return 0, _nexthop(buffer, attributes, family, flags, offset)
    except DecodeError as error:
        return 0, Unsupported(error.reason, error)


def _prefix(attributes: Attributes, family: Family, length: int, offset: int) -> bytes:
    width = family.width
    host = width * 8 - length
    if host < 0:
        raise DecodeError("prefix length", offset=offset)
    address = attributes.address(RTA_DST, width)
    if not address:
        if length:
            raise DecodeError("no destination", offset=offset)
        return bytes(width)  # the kernel leaves RTA_DST out of a default route
    return (int.from_bytes(address) >> host << host).to_bytes(width)


def _nexthop(
    buffer: bytes, attributes: Attributes, family: Family, flags: int, offset: int
) -> InlineNexthop:
    if RTA_MULTIPATH in attributes:
        return _multipath(buffer, *attributes.span(RTA_MULTIPATH), family)
    return _leg(attributes, family, attributes.u32(RTA_OIF), flags, offset)


def _leg(
    attributes: Attributes, family: Family, oif: int, flags: int, offset: int
) -> InlineNexthop:
    if RTA_VIA in attributes:
        gateway = via(attributes)
    else:
        gateway = attributes.address(RTA_GATEWAY, family.width)
    vni = vni_of(attributes, RTA_ENCAP_TYPE, RTA_ENCAP)
    return single(gateway, oif, vni, bool(flags & RTNH_F_ONLINK), offset=offset)


def via(attributes: Attributes) -> bytes:
    """Return the address in RTA_VIA: a gateway of another family than the route's."""
    value = attributes.raw(RTA_VIA)
    offset = attributes.span(RTA_VIA)[0]
    (family,) = unpack(RTVIA, value, 0, len(value))
    address = value[RTVIA.size :]
    if VIA_WIDTHS.get(family) != len(address):
        raise DecodeError("RTA_VIA", offset=offset)
    return address


def _multipath(buffer: bytes, start: int, end: int, family: Family) -> InlineNexthop:
    members: list[tuple[InlineNexthop, int]] = []
    for at, stop, flags, hops, oif in rtnexthops(buffer, start, end):
        attributes = Attributes(buffer, at + RTNEXTHOP.size, stop)
        members.append((_leg(attributes, family, oif, flags, at), hops + 1))
    if not members:
        raise DecodeError("no nexthop", offset=start)
    if len(members) == 1:
        return members[0][0]
    return InlineNexthop(NexthopType.GROUP, members=tuple(members))


def rtnexthops(buffer: bytes, start: int, end: int) -> list[tuple[int, int, int, int, int]]:
    """Return (start, end, flags, hops, ifindex) of each nexthop of an RTA_MULTIPATH."""
    legs: list[tuple[int, int, int, int, int]] = []
    while start < end:
        length, flags, hops, oif = unpack(RTNEXTHOP, buffer, start, end)
        if not RTNEXTHOP.size <= length <= end - start or oif < 0:
            raise DecodeError("rtnexthop", offset=start)
        legs.append((start, start + length, flags, hops, oif))
        start += (length + 3) & ~3
    return legs
