"""Builds FPM streams as zebra would write them, and a working Handles."""

from __future__ import annotations

import struct

import numpy as np

from dualpath.model.routes import U32
from dualpath.netlink.message import attribute, encode_message
from dualpath.netlink.numbers import (
    AF_INET,
    NLA_F_NESTED,
    RTA_DST,
    RTA_ENCAP,
    RTA_ENCAP_TYPE,
    RTA_GATEWAY,
    RTA_MULTIPATH,
    RTA_NH_ID,
    RTA_OIF,
    RTA_PRIORITY,
    RTA_TABLE,
    RTM_DELROUTE,
    RTM_NEWROUTE,
    RTN_UNICAST,
)
from frr_bridge.wire.fpm import frame
from frr_bridge.wire.inline import FPM_NH_ENCAP_VXLAN, VXLAN_VNI, InlineNexthop
from frr_bridge.wire.route import RTMSG, RTNEXTHOP

METRIC = 20


class DictHandles:
    """Hands out handles in the order of asking, and remembers for what."""

    def __init__(self) -> None:
        self.ids: dict[int, int] = {}
        self.inlines: dict[InlineNexthop, int] = {}

    def by_id(self, ids: U32) -> U32:
        return np.array([self._of(int(i)) for i in ids], np.uint32)

    def _of(self, identity: int) -> int:
        return self.ids.setdefault(identity, 1 + len(self.ids) * 2)

    def inline(self, nexthop: InlineNexthop) -> int:
        return self.inlines.setdefault(nexthop, 2 + len(self.inlines) * 2)

    def meaning(self) -> dict[int, int | InlineNexthop]:
        """Return what each handle stands for."""
        found: dict[int, int | InlineNexthop] = {h: i for i, h in self.ids.items()}
        found.update({handle: nexthop for nexthop, handle in self.inlines.items()})
        return found


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def encap(vni: int) -> bytes:
    """Return zebra's two attributes for a VXLAN nexthop on FPM."""
    kind = attribute(RTA_ENCAP_TYPE, struct.pack("=H", FPM_NH_ENCAP_VXLAN))
    return kind + attribute(RTA_ENCAP, u32(VXLAN_VNI, vni))


def route(
    prefix: bytes,
    length: int,
    nexthop: bytes = b"",
    *,
    table: int = 254,
    protocol: int = 186,
    kind: int = RTN_UNICAST,
    flags: int = 0,
) -> bytes:
    """Return RTM_NEWROUTE; `nexthop` is the attributes that zebra puts at the end."""
    return encode_message(
        RTM_NEWROUTE, 0x501, 0, _body(prefix, length, table, protocol, kind, flags) + nexthop
    )


def withdrawal(prefix: bytes, length: int, *, table: int = 254, protocol: int = 186) -> bytes:
    return encode_message(RTM_DELROUTE, 0x401, 0, _body(prefix, length, table, protocol, 0, 0))


def _body(prefix: bytes, length: int, table: int, protocol: int, kind: int, flags: int) -> bytes:
    family = AF_INET if len(prefix) == 4 else 10
    small = table if table < 256 else 0
    body = RTMSG.pack(family, length, 0, 0, small, protocol, 0, kind, flags)
    body += attribute(RTA_DST, prefix) + u32(RTA_PRIORITY, METRIC)
    return body if small else body + u32(RTA_TABLE, table)


def by_id(identity: int) -> bytes:
    return u32(RTA_NH_ID, identity)


def gateway(address: bytes, oif: int) -> bytes:
    return attribute(RTA_GATEWAY, address) + u32(RTA_OIF, oif)


def device(oif: int) -> bytes:
    return u32(RTA_OIF, oif)


def multipath(*legs: tuple[int, int, int, bytes]) -> bytes:
    """Return RTA_MULTIPATH of (weight, flags, oif, attributes)."""
    value = b"".join(
        RTNEXTHOP.pack(RTNEXTHOP.size + len(inner), flags, weight - 1, oif) + inner
        for weight, flags, oif, inner in legs
    )
    return attribute(RTA_MULTIPATH | NLA_F_NESTED, value)


def frames(*messages: bytes) -> bytes:
    """Return a stream with each message in a frame of its own."""
    return b"".join(frame(one) for one in messages)
