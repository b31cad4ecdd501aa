"""RTM_NEWROUTE and RTM_DELROUTE of AF_MPLS: label bindings, for display only."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dualpath.netlink.message import Attributes, DecodeError, Message
from dualpath.netlink.numbers import (
    RTA_DST,
    RTA_MULTIPATH,
    RTA_NEWDST,
    RTA_OIF,
    RTA_VIA,
    RTM_DELROUTE,
)
from frr_bridge.wire.route import RTMSG, RTNEXTHOP, rtnexthops, via

LSE = struct.Struct("!I")  # label stack entry: label 20 bits, TC 3, bottom of stack 1, TTL 8
LABEL_SHIFT = 12


@dataclass(frozen=True, slots=True)
class LspNexthop:
    """The next hop of a labeled packet, and the labels it is sent with, outermost first."""

    gateway: bytes = b""  # 4 or 16 bytes; b"" is on link
    oif: int = 0  # interface index in the control namespace
    labels: tuple[int, ...] = ()  # () is a pop


@dataclass(frozen=True, slots=True)
class LspMessage:
    """A label binding, or its deletion."""

    deleted: bool
    label: int
    protocol: int = 0  # RTPROT_*
    nexthops: tuple[LspNexthop, ...] = ()  # () on a deletion


def decode_lsp(message: Message) -> LspMessage:
    start = message.payload
    protocol = message.fixed(RTMSG)[5]
    attributes = message.attributes(RTMSG)
    labels = _labels(attributes, RTA_DST)
    if len(labels) != 1:
        raise DecodeError("one label", offset=start)
    deleted = message.type == RTM_DELROUTE
    nexthops = () if deleted else _nexthops(message.buffer, attributes, start)
    return LspMessage(deleted, labels[0], protocol, nexthops)


def _nexthops(buffer: bytes, attributes: Attributes, offset: int) -> tuple[LspNexthop, ...]:
    if RTA_MULTIPATH in attributes:
        legs = rtnexthops(buffer, *attributes.span(RTA_MULTIPATH))
        found = tuple(
            _leg(Attributes(buffer, start + RTNEXTHOP.size, end), oif)
            for start, end, _, _, oif in legs
        )
    else:
        found = (_leg(attributes, attributes.u32(RTA_OIF)),)
    if not all(leg.gateway or leg.oif for leg in found) or not found:
        raise DecodeError("no nexthop", offset=offset)
    return found


def _leg(attributes: Attributes, oif: int) -> LspNexthop:
    gateway = via(attributes) if RTA_VIA in attributes else b""
    return LspNexthop(gateway, oif, _labels(attributes, RTA_NEWDST))


def _labels(attributes: Attributes, kind: int) -> tuple[int, ...]:
    stack = attributes.raw(kind)
    if len(stack) % LSE.size:
        raise DecodeError("label stack", offset=attributes.span(kind)[0])
    return tuple(entry >> LABEL_SHIFT for (entry,) in LSE.iter_unpack(stack))
