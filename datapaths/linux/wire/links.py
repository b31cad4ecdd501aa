"""Read links, addresses and routing rules by netlink: structures, requests. Pure."""

from __future__ import annotations

import struct
from typing import Final

from dualpath.netlink import numbers as n
from dualpath.netlink.message import attribute, request, u32

IFINFOMSG: Final = struct.Struct("=BBHiII")  # linux/rtnetlink.h: family, -, type, index, flags, -
IFADDRMSG: Final = struct.Struct("=BBBBI")  # linux/if_addr.h: family, len, flags, scope, index
FIB_RULE_HDR: Final = struct.Struct("=BBBBBBBBI")
"""linux/fib_rules.h: family, dst_len, src_len, tos, table, -, -, action, flags."""


def dump_request() -> bytes:
    """Return the dump request for all links, without counters."""
    return request(n.RTM_GETLINK, n.NLM_F_DUMP, _body(0) + _NO_COUNTERS)


def get_request(name: str = "", index: int = 0, *, counters: bool = False) -> bytes:
    """Return the request for one link, by name or by index."""
    body = _body(index) + (b"" if counters else _NO_COUNTERS)
    if name:
        body += attribute(n.IFLA_IFNAME, name.encode() + b"\0")
    return request(n.RTM_GETLINK, 0, body)


def addresses_request(family: int = n.AF_UNSPEC, index: int = 0) -> bytes:
    """Return the dump request for the addresses of one link, or of all."""
    return request(n.RTM_GETADDR, n.NLM_F_DUMP, IFADDRMSG.pack(family, 0, 0, 0, index))


def rules_request(family: int) -> bytes:
    """Return the dump request for the routing rules of one family."""
    return request(n.RTM_GETRULE, n.NLM_F_DUMP, FIB_RULE_HDR.pack(family, 0, 0, 0, 0, 0, 0, 0, 0))


def _body(index: int) -> bytes:
    return IFINFOMSG.pack(n.AF_UNSPEC, 0, 0, index, 0, 0)


_NO_COUNTERS: Final = u32(n.IFLA_EXT_MASK, n.RTEXT_FILTER_SKIP_STATS)
