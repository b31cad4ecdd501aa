"""How identities of the controller become grout's, and back. Pure.

For grout an L3 nexthop *is* its VRF and address: a second id for the same gateway renames it. We
have many: with and without ::ffff:, on link or not. So each identity is a grout *group* of one, and
its member is the one L3 nexthop, the *hop*. A route carries the group's id, and so says after any
restart whose it was; a gateway that changes is one write, and no route's. grout takes groups of
groups, and loses their packets: a record that is a group has the hops of its members.

What a hop cannot say stands in the low bits of its weight in the group, under the real weight.
"""

from __future__ import annotations

from datapaths.grout.wire import numbers as n
from dualpath.model.nexthops import BLACKHOLE, FIRST_RESERVED, PROHIBIT, UNREACHABLE

ORIGIN = 11  # GR_NH_ORIGIN_ZEBRA: what grout has from its own zebra plugin, which we stand in for

FIRST_GROUP = 0x4000_0000
FIRST_HOP = 0x8000_0000
MOST_HOPS = 0x4000_0000

WEIGHT_SHIFT = 8
ONLINK = 1
MAPPED = 2  # the gateway was written ::ffff:a.b.c.d
GROUP = 4  # a member of a group, and not a nexthop of its own

DROPS = {
    BLACKHOLE: n.GR_NH_T_BLACKHOLE,
    UNREACHABLE: n.GR_NH_T_REJECT,
    PROHIBIT: n.GR_NH_T_REJECT,
}
"""Reserved identities are the ids of grout's own drop nexthops."""


def is_group(nh_id: int) -> bool:
    return FIRST_GROUP < nh_id < FIRST_HOP


def is_hop(nh_id: int) -> bool:
    return FIRST_HOP <= nh_id < FIRST_HOP + MOST_HOPS


def is_drop(nh_id: int) -> bool:
    return nh_id >= FIRST_RESERVED


def group_of(identity: int) -> int:
    """Return the id of an identity's group. Raises ValueError when it has none."""
    if not 0 < identity < FIRST_GROUP:
        raise ValueError(f"nexthop ids go from 1 to {FIRST_GROUP - 1}, and {identity} does not")
    return FIRST_GROUP | identity


def identity_of(nh_id: int) -> int:
    return nh_id & ~FIRST_GROUP


def pack_weight(weight: int, tag: int) -> int:
    return weight << WEIGHT_SHIFT | tag


def unpack_weight(packed: int) -> tuple[int, int]:
    """Return weight and tag."""
    return packed >> WEIGHT_SHIFT, packed & ((1 << WEIGHT_SHIFT) - 1)
