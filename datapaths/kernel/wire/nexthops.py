"""Nexthop objects and groups. Pure."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from dualpath.model.nexthops import MOST_WEIGHT, Member, Nexthop, NexthopType, member
from dualpath.netlink import numbers as n
from dualpath.netlink.message import (
    DecodeError,
    Message,
    attribute,
    request,
    u32,
)

NHMSG: Final = struct.Struct("=BBBBI")  # linux/nexthop.h: family, scope, protocol, -, flags
GRP: Final = struct.Struct("=IBBH")  # struct nexthop_grp: id, weight - 1, -, -


class Object(NamedTuple):
    """One RTM_NEWNEXTHOP or RTM_DELNEXTHOP."""

    gone: bool
    id: int
    protocol: int
    onlink: bool
    gateway: bytes
    oif: int
    blackhole: bool
    members: tuple[Member, ...]
    fdb: bool = False  # for entries of a VXLAN device, never for routes


def decode(message: Message) -> Object:
    """Decode RTM_NEWNEXTHOP or RTM_DELNEXTHOP. Raises DecodeError."""
    _, _, protocol, _, flags = message.fixed(NHMSG)
    got = message.attributes(NHMSG)
    group = got.raw(n.NHA_GROUP)
    if len(group) % GRP.size:
        raise DecodeError(f"nexthop group of {len(group)} bytes", offset=0)
    if n.NHA_ID not in got:
        raise DecodeError("nexthop without an id", offset=0)
    return Object(
        message.type == n.RTM_DELNEXTHOP,
        got.u32(n.NHA_ID),
        protocol,
        bool(flags & n.RTNH_F_ONLINK),
        got.raw(n.NHA_GATEWAY),
        got.u32(n.NHA_OIF),
        n.NHA_BLACKHOLE in got,
        tuple([member(id_, weight + 1) for id_, weight, _, _ in GRP.iter_unpack(group)]),
        n.NHA_FDB in got,
    )


def dump_request() -> bytes:
    return request(n.RTM_GETNEXTHOP, n.NLM_F_DUMP, NHMSG.pack(0, 0, 0, 0, 0))


def put(nexthop: Nexthop, oif: int) -> bytes:
    """Create or replace a nexthop; `oif` is the device's index, 0 for a group or a blackhole.

    Raises ValueError for a type that has no nexthop object in the kernel.
    """
    family, flags, rest = _content(nexthop, oif)
    body = NHMSG.pack(family, 0, n.RTPROT_DUALPATH, 0, flags) + u32(n.NHA_ID, nexthop.id) + rest
    return request(n.RTM_NEWNEXTHOP, n.NLM_F_CREATE | n.NLM_F_REPLACE, body)


def put_vtep(identity: int, vtep: bytes) -> bytes:
    """Create a nexthop for a VTEP, for groups of `put_vteps`."""
    family = socket.AF_INET if len(vtep) == 4 else socket.AF_INET6
    return _put_fdb(family, identity, attribute(n.NHA_GATEWAY, vtep))


def put_vteps(identity: int, members: Iterable[int]) -> bytes:
    """Create or replace a group for FDB entries; `members` are ids of `put_vtep`."""
    group = b"".join(GRP.pack(member, 0, 0, 0) for member in members)
    return _put_fdb(socket.AF_UNSPEC, identity, attribute(n.NHA_GROUP, group))


def _put_fdb(family: int, identity: int, attributes: bytes) -> bytes:
    body = NHMSG.pack(family, 0, n.RTPROT_DUALPATH, 0, 0) + u32(n.NHA_ID, identity)
    body += attributes + attribute(n.NHA_FDB, b"")
    return request(n.RTM_NEWNEXTHOP, n.NLM_F_CREATE | n.NLM_F_REPLACE, body)


def drop(identity: int) -> bytes:
    """Delete a nexthop. The kernel also deletes the routes that use it, without notifications."""
    body = NHMSG.pack(0, 0, 0, 0, 0) + u32(n.NHA_ID, identity)
    return request(n.RTM_DELNEXTHOP, 0, body)


def _content(nexthop: Nexthop, oif: int) -> tuple[int, int, bytes]:
    """Return address family, flags and attributes."""
    match nexthop.type:
        case NexthopType.GROUP:
            if not all(1 <= m.weight <= MOST_WEIGHT for m in nexthop.members):
                raise ValueError(f"a weight of a group is not in 1 to {MOST_WEIGHT}")
            group = b"".join([GRP.pack(m.id, m.weight - 1, 0, 0) for m in nexthop.members])
            return socket.AF_UNSPEC, 0, attribute(n.NHA_GROUP, group)
        case NexthopType.BLACKHOLE:
            return socket.AF_INET, 0, attribute(n.NHA_BLACKHOLE, b"")
        case NexthopType.UNREACHABLE | NexthopType.PROHIBIT:
            raise ValueError(f"the kernel has no {nexthop.type.name.lower()} nexthop object")
        case NexthopType.DEVICE:
            # AF_INET6: IPv4 routes may use an IPv6 object, but IPv6 routes no IPv4 object.
            return socket.AF_INET6, 0, u32(n.NHA_OIF, oif)
        case NexthopType.GATEWAY:
            family = socket.AF_INET if len(nexthop.gateway) == 4 else socket.AF_INET6
            flags = n.RTNH_F_ONLINK if nexthop.onlink or nexthop.vni else 0
            via = u32(n.NHA_OIF, oif) + attribute(n.NHA_GATEWAY, nexthop.gateway)
            return family, flags, via
