"""RTM_GETROUTE for one address: the table entry that the kernel uses. Pure."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Final

from datapaths.kernel.wire.routes import RTMSG
from dualpath.model.nexthops import NexthopType
from dualpath.model.routes import Family
from dualpath.netlink import numbers as n
from dualpath.netlink.message import (
    Message,
    attribute,
    request,
    u32,
)

RTM_F_FIB_MATCH: Final = 0x2000  # linux/rtnetlink.h: return the entry, not the resolved route

DROPS: Final = {
    n.RTN_BLACKHOLE: NexthopType.BLACKHOLE,
    n.RTN_UNREACHABLE: NexthopType.UNREACHABLE,
    n.RTN_PROHIBIT: NexthopType.PROHIBIT,
}
DROP_OF_ERRNO: Final = {  # fib_props in net/ipv4/fib_semantics.c: a lookup that finds such a route
    errno.EINVAL: NexthopType.BLACKHOLE,
    errno.EHOSTUNREACH: NexthopType.UNREACHABLE,
    errno.EACCES: NexthopType.PROHIBIT,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """The entry of a routing table that a lookup found."""

    prefix: bytes
    length: int
    protocol: int  # RTPROT_*
    drop: NexthopType | None
    nexthop: int  # RTA_NH_ID, 0 is none
    gateway: bytes
    oif: int  # 0 for a multipath entry


def lookup_request(address: bytes, vrf: int) -> bytes:
    """Return the request for the entry that covers an address.

    `vrf` is the index of the VRF's device; 0 is the main table.
    """
    family = Family.INET if len(address) == 4 else Family.INET6
    body = RTMSG.pack(family, len(address) * 8, 0, 0, 0, 0, 0, 0, RTM_F_FIB_MATCH)
    body += attribute(n.RTA_DST, address) + (u32(n.RTA_OIF, vrf) if vrf else b"")
    return request(n.RTM_GETROUTE, 0, body)


def decode_entry(message: Message) -> Entry:
    """Decode the reply, an RTM_NEWROUTE. Raises DecodeError."""
    family, length, _, _, _, protocol, _, kind, _ = message.fixed(RTMSG)
    got = message.attributes(RTMSG)
    width = 4 if family == Family.INET else 16
    return Entry(
        got.raw(n.RTA_DST) or bytes(width),
        length,
        protocol,
        DROPS.get(kind),
        got.u32(n.RTA_NH_ID),
        got.raw(n.RTA_GATEWAY),
        got.u32(n.RTA_OIF),
    )
