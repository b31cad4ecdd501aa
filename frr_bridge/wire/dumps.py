"""The dump requests that frr-bridge sends to the kernel of the control namespace."""

from __future__ import annotations

from dualpath.netlink.message import request, u32
from dualpath.netlink.neighborcolumns import NDMSG
from dualpath.netlink.numbers import (
    AF_UNSPEC,
    IFLA_EXT_MASK,
    NLM_F_DUMP,
    RTEXT_FILTER_SKIP_STATS,
    RTM_GETLINK,
    RTM_GETNEIGH,
    RTM_GETNEXTHOP,
)
from frr_bridge.wire.link import IFINFOMSG
from frr_bridge.wire.nexthop import NHMSG


def get_links() -> bytes:
    """Request all devices, without their counters."""
    body = IFINFOMSG.pack(AF_UNSPEC, 0, 0, 0, 0) + u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
    return request(RTM_GETLINK, NLM_F_DUMP, body)


def get_neighbors(family: int) -> bytes:
    """Request bridge entries (AF_BRIDGE), or the neighbors of one family."""
    return request(RTM_GETNEIGH, NLM_F_DUMP, NDMSG.pack(family, 0, 0, 0, 0, 0, 0))


def get_nexthops() -> bytes:
    return request(RTM_GETNEXTHOP, NLM_F_DUMP, NHMSG.pack(AF_UNSPEC, 0, 0, 0, 0))
