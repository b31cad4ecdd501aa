"""Nexthops and groups: few, shared by many routes, replaced in place.

A nexthop has one of three names, depending on where it is:

    zebra's id        inside frr_bridge only; every zebra starts again
    nexthop handle    from frr-bridge to the controller; every frr-bridge starts again
    nexthop id        from the controller to the datapath; outlives both

`Nexthop.id` and the `nexthops` column of a route hold whichever applies. The types `NexthopHandle`
and `NexthopId` keep the last two apart where both meet: in `controller/core/nexthop_ids.py`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import ClassVar, NewType

from dualpath.model.kinds import Kind

NexthopHandle = NewType("NexthopHandle", int)
"""frr-bridge's name for the contents of a nexthop; u32, not 0."""

NexthopId = NewType("NexthopId", int)
"""The controller's lasting name for a nexthop in the datapath; u32, not 0."""

V4_MAPPED = b"\0" * 10 + b"\xff\xff"
"""::ffff:0:0/96: how zebra writes an IPv4 VTEP as the gateway of an IPv6 route."""


class NexthopType(IntEnum):
    GATEWAY = 1  # through `gateway`, out of `device`, or over the overlay of `vni`
    DEVICE = 2  # on link, out of `device`
    BLACKHOLE = 3  # RTN_BLACKHOLE: drop silently
    UNREACHABLE = 4  # RTN_UNREACHABLE: drop, with ICMP host unreachable
    PROHIBIT = 5  # RTN_PROHIBIT: drop, with ICMP administratively prohibited
    GROUP = 6  # ECMP over `members`


DROP_TYPES = (NexthopType.BLACKHOLE, NexthopType.UNREACHABLE, NexthopType.PROHIBIT)

FIRST_RESERVED = 0xFFFF_FF00
BLACKHOLE = FIRST_RESERVED + NexthopType.BLACKHOLE
UNREACHABLE = FIRST_RESERVED + NexthopType.UNREACHABLE
PROHIBIT = FIRST_RESERVED + NexthopType.PROHIBIT
"""Reserved ids, the same for every owner: no object stands behind them."""


UNSUPPORTED = (
    "malformed message",
    "MPLS encapsulation",
    "SRv6 encapsulation (seg6)",
    "SRv6 local action (seg6local)",
    "encapsulation other than VXLAN",
    "VNI above 24 bits",
    "route type",
    "no nexthop",
)
"""Why a route of zebra's cannot be forwarded. Append only: an index in it makes a reserved id."""

FIRST_UNSUPPORTED = FIRST_RESERVED + 0x80
"""Ids from here on name a reason in UNSUPPORTED; no datapath is ever given one."""

MOST_WEIGHT = 256  # the limit of struct nexthop_grp in linux/nexthop.h before Linux 6.12


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a group."""

    id: int
    weight: int = 1  # 1 to MOST_WEIGHT; the kernel's message carries weight - 1


@lru_cache(1 << 16)
def member(id_: int, weight: int) -> Member:
    """Return a member; equal ones are one object, as large groups share most of theirs."""
    return Member(id_, weight)


@dataclass(frozen=True, slots=True)
class Nexthop:
    """The next step of a packet. `id` is a u32, not 0."""

    kind: ClassVar[Kind] = Kind.NEXTHOP

    id: int
    type: NexthopType
    gateway: bytes = b""  # 4 or 16 bytes, network order; an overlay IPv6 one may be v4-mapped
    device: str = ""  # outgoing interface, under its name in both namespaces; "" in an overlay
    vni: int = 0  # the L3VNI that carries it; then `gateway` is a VTEP, and on link
    onlink: bool = False
    members: tuple[Member, ...] = ()

    @property
    def key(self) -> int:
        return self.id

    @property
    def vtep(self) -> bytes:
        """The remote VTEP of an overlay nexthop with ::ffff: taken off, else b""."""
        if not self.vni:
            return b""
        return self.gateway.removeprefix(V4_MAPPED) if len(self.gateway) == 16 else self.gateway

    def __str__(self) -> str:
        if self.type is NexthopType.GROUP:
            return "group " + ", ".join(f"{m.id}x{m.weight}" for m in self.members)
        if self.type in DROP_TYPES:
            return self.type.name.lower()
        via = f"via {ipaddress.ip_address(self.gateway)} " if self.gateway else ""
        return via + (f"vni {self.vni}" if self.vni else f"dev {self.device}")


def reserved(type_: NexthopType) -> int:
    """Return the reserved id of a type that drops packets."""
    return FIRST_RESERVED + type_


def is_reserved(id_: int) -> bool:
    return id_ >= FIRST_RESERVED


def unsupported(reason: str) -> int:
    """Return the reserved id of a nexthop that no datapath can use, by the reason."""
    return FIRST_UNSUPPORTED + (UNSUPPORTED.index(reason) if reason in UNSUPPORTED else 0)


def unsupported_reason(id_: int) -> str:
    """Return why no datapath can use a nexthop, "" when one can."""
    index = id_ - FIRST_UNSUPPORTED
    if index < 0:
        return ""
    return UNSUPPORTED[index] if index < len(UNSUPPORTED) else UNSUPPORTED[0]


def called(id_: int) -> str:
    """Return a name for a nexthop of which only the id is known."""
    if reason := unsupported_reason(id_):
        return f"unsupported: {reason}"
    for type_ in DROP_TYPES:
        if id_ == reserved(type_):
            return type_.name.lower()
    return f"nexthop {id_}" if id_ else ""
