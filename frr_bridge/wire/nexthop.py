"""RTM_NEWNEXTHOP and RTM_DELNEXTHOP: nexthop objects and groups, from FPM or the kernel."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dualpath.model.nexthops import NexthopType
from dualpath.netlink.message import Attributes, DecodeError, Message
from dualpath.netlink.numbers import (
    NEXTHOP_GRP_TYPE_RES,
    NHA_BLACKHOLE,
    NHA_ENCAP,
    NHA_ENCAP_TYPE,
    NHA_FDB,
    NHA_GATEWAY,
    NHA_GROUP,
    NHA_GROUP_TYPE,
    NHA_ID,
    NHA_OIF,
    RTM_DELNEXTHOP,
    RTNH_F_ONLINK,
)
from frr_bridge.wire.inline import Content, InlineNexthop, Unsupported, single, vni_of

NHMSG = struct.Struct("=BBBBI")  # struct nhmsg in linux/nexthop.h
NEXTHOP_GRP = struct.Struct("=IBBH")  # struct nexthop_grp; the third is weight_high since 6.12


@dataclass(frozen=True, slots=True)
class ZebraNexthop:
    """A nexthop object under zebra's id: one nexthop, a group of ids, or its deletion."""

    id: int
    deleted: bool
    protocol: int = 0  # RTPROT_*
    nexthop: Content | None = None  # None in a group and on a deletion
    members: tuple[tuple[int, int], ...] = ()  # ids with weights from 1; () is not a group
    resilient: bool = False  # NEXTHOP_GRP_TYPE_RES; the members mean the same
    fdb: bool = False  # NHA_FDB: for bridge entries, never for routes


def decode_nexthop(message: Message) -> ZebraNexthop:
    """Decode a nexthop. Raises DecodeError when its id cannot be decoded.

    If only its contents cannot be decoded, return it with an `Unsupported` nexthop.
    """
    start = message.payload
    _, _, protocol, _, flags = message.fixed(NHMSG)
    attributes = message.attributes(NHMSG, partly=True)
    identity = attributes.u32(NHA_ID)
    if not identity:
        raise attributes.error or DecodeError("nexthop without an id", offset=start)
    if message.type == RTM_DELNEXTHOP:
        return ZebraNexthop(identity, True, protocol)
    fdb = NHA_FDB in attributes
    try:
        if attributes.error:
            raise attributes.error
        if NHA_GROUP in attributes:
            members = _members(message.buffer, *attributes.span(NHA_GROUP))
            if any(member == identity for member, _ in members):
                raise DecodeError("nexthop group that contains itself", offset=start)
            resilient = attributes.u16(NHA_GROUP_TYPE) == NEXTHOP_GRP_TYPE_RES
            return ZebraNexthop(identity, False, protocol, None, members, resilient, fdb)
        nexthop: Content = _nexthop(attributes, flags, start)
    except DecodeError as error:
        nexthop = Unsupported(error.reason, error)
    return ZebraNexthop(identity, False, protocol, nexthop, fdb=fdb)


def _nexthop(attributes: Attributes, flags: int, offset: int) -> InlineNexthop:
    if NHA_BLACKHOLE in attributes:
        return InlineNexthop(NexthopType.BLACKHOLE)
    gateway = attributes.address(NHA_GATEWAY, 4, 16)
    vni = vni_of(attributes, NHA_ENCAP_TYPE, NHA_ENCAP)
    onlink = bool(flags & RTNH_F_ONLINK)
    return single(gateway, attributes.u32(NHA_OIF), vni, onlink, offset=offset)


def _members(buffer: bytes, start: int, end: int) -> tuple[tuple[int, int], ...]:
    if start == end or (end - start) % NEXTHOP_GRP.size:
        raise DecodeError("nexthop group", offset=start)
    entries = NEXTHOP_GRP.iter_unpack(buffer[start:end])
    members = tuple((identity, low + (high << 8) + 1) for identity, low, high, _ in entries)
    if not all(identity for identity, _ in members):
        raise DecodeError("nexthop group with id 0", offset=start)
    return members
