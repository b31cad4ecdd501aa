"""Nexthops and groups: few, shared by many routes, replaced in place.

A nexthop has an identity that its owner chose. It is zebra's nowhere but inside frr_bridge:
the bridge gives every nexthop that it meets a *handle* of its own, because zebra's ids start
over when zebra does, and the controller gives each a lasting id in the datapath.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from dualpath.model.kinds import Kind

V4_MAPPED = b"\0" * 10 + b"\xff\xff"
"""::ffff:0:0/96: how zebra writes an IPv4 VTEP as the gateway of an IPv6 route."""


class NexthopType(IntEnum):
    GATEWAY = 1  # through `gateway`, out of `device` or over the overlay of `vni`
    DEVICE = 2  # on link, out of `device`
    BLACKHOLE = 3  # RTN_BLACKHOLE: dropped in silence
    UNREACHABLE = 4  # RTN_UNREACHABLE: dropped, ICMP host unreachable
    PROHIBIT = 5  # RTN_PROHIBIT: dropped, ICMP administratively prohibited
    GROUP = 6  # ECMP over `members`


DROP_TYPES = (NexthopType.BLACKHOLE, NexthopType.UNREACHABLE, NexthopType.PROHIBIT)

FIRST_RESERVED = 0xFFFF_FF00
BLACKHOLE = FIRST_RESERVED + NexthopType.BLACKHOLE
UNREACHABLE = FIRST_RESERVED + NexthopType.UNREACHABLE
PROHIBIT = FIRST_RESERVED + NexthopType.PROHIBIT
"""Reserved identities, the same for every owner: no object stands behind them."""


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
"""Why a route that zebra sent cannot be forwarded. Append only: places in it are identities."""

FIRST_UNSUPPORTED = FIRST_RESERVED + 0x80
"""Identities from here on name a reason in UNSUPPORTED; no datapath is ever given one."""

MOST_WEIGHT = 256  # what struct nexthop_grp in linux/nexthop.h holds before Linux 6.12


@dataclass(frozen=True, slots=True)
class Member:
    """One leg of a group."""

    id: int
    weight: int = 1  # 1 to MOST_WEIGHT; the kernel's wire carries weight - 1


@dataclass(frozen=True, slots=True)
class Nexthop:
    """Where packets go next. `id` is a u32, not 0."""

    kind: ClassVar[Kind] = Kind.NEXTHOP

    id: int
    type: NexthopType
    gateway: bytes = b""  # 4 or 16 bytes, network order; an overlay IPv6 one may be v4-mapped
    device: str = ""  # outgoing interface, by the name it has on both sides; "" in an overlay
    vni: int = 0  # the L3VNI that carries it; then `gateway` is a VTEP and on link
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
    """Return the reserved identity of a type that drops packets."""
    return FIRST_RESERVED + type_


def is_reserved(identity: int) -> bool:
    return identity >= FIRST_RESERVED


def unsupported(reason: str) -> int:
    """Return the reserved identity of a nexthop that no datapath can use, by its reason."""
    return FIRST_UNSUPPORTED + (UNSUPPORTED.index(reason) if reason in UNSUPPORTED else 0)


def unsupported_reason(identity: int) -> str:
    """Return why no datapath can use a nexthop, "" when one can."""
    place = identity - FIRST_UNSUPPORTED
    if place < 0:
        return ""
    return UNSUPPORTED[place] if place < len(UNSUPPORTED) else UNSUPPORTED[0]


def called(identity: int) -> str:
    """Return what people call a nexthop that is known by its identity alone."""
    if reason := unsupported_reason(identity):
        return f"unsupported: {reason}"
    for type_ in DROP_TYPES:
        if identity == reserved(type_):
            return type_.name.lower()
    return f"nexthop {identity}" if identity else ""
