"""How the controller's nexthop ids become grout's, and back. Pure.

For grout an L3 nexthop *is* its VRF and address: adding the same gateway under a second id renames
the first. The controller has several nexthop ids for one gateway: with and without ::ffff:, onlink
or not. So each nexthop id becomes a *group*, and its only member is the L3 nexthop of the address,
the *hop* (`hops`).

    controller                                     grout
    nexthop 7  via 10.0.0.1 dev eth1               0x40000007 = {0x80000000 weight 0x100}
    nexthop 8  via ::ffff:10.0.0.1 dev eth1        0x40000008 = {0x80000000 weight 0x102}
    nexthop 9  group {7 weight 3, 8 weight 1}      0x40000009 = {0x80000000 weight 0x304,
                                                                 0x80000000 weight 0x106}
    blackhole                                      the reserved id itself

- A route has the group's id, so a dump after any restart contains the controller's nexthop id.
- A gateway that changes is one write of its group, and no write of a route.
- What a hop cannot express (ONLINK, MAPPED, GROUP) is in the low 8 bits of a member's weight; the
  real weight is above them. So a member's share of the packets is off by 3 % at most.

Rejected: groups of groups. grout accepts them and loses their packets, so a group of the controller
has the hops of its members.
"""

from __future__ import annotations

from datapaths.grout.wire import numbers as n
from dualpath.model.nexthops import BLACKHOLE, FIRST_RESERVED, PROHIBIT, UNREACHABLE

ORIGIN = 11  # GR_NH_ORIGIN_ZEBRA: the origin of grout's own zebra plugin, which we replace

FIRST_GROUP = 0x4000_0000
FIRST_HOP = 0x8000_0000
MOST_HOPS = 0x4000_0000

WEIGHT_SHIFT = 8
ONLINK = 1
MAPPED = 2  # zebra gave the gateway as ::ffff:a.b.c.d
GROUP = 4  # the grout group is a group of the controller's too, not a single nexthop

DROPS = {
    BLACKHOLE: n.GR_NH_T_BLACKHOLE,
    UNREACHABLE: n.GR_NH_T_REJECT,
    PROHIBIT: n.GR_NH_T_REJECT,
}
"""grout's types of the reserved nexthop ids, which are the same on both sides."""


def is_group(nh_id: int) -> bool:
    return FIRST_GROUP < nh_id < FIRST_HOP


def is_hop(nh_id: int) -> bool:
    return FIRST_HOP <= nh_id < FIRST_HOP + MOST_HOPS


def is_drop(nh_id: int) -> bool:
    return nh_id >= FIRST_RESERVED


def group_of(nexthop_id: int) -> int:
    """Return the id of a nexthop id's group. Raises ValueError when it can have none."""
    if not 0 < nexthop_id < FIRST_GROUP:
        raise ValueError(f"nexthop id {nexthop_id} is not in 1 to {FIRST_GROUP - 1}")
    return FIRST_GROUP | nexthop_id


def nexthop_of(nh_id: int) -> int:
    return nh_id & ~FIRST_GROUP


def pack_weight(weight: int, tag: int) -> int:
    return weight << WEIGHT_SHIFT | tag


def unpack_weight(packed: int) -> tuple[int, int]:
    """Return weight and tag."""
    return packed >> WEIGHT_SHIFT, packed & ((1 << WEIGHT_SHIFT) - 1)
