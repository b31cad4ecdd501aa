"""Matches of tc filters, encoded as keys of flower and as a selector of u32. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from dualpath.model.links import Address
from dualpath.netlink.message import attribute

ETH_P_ALL, ETH_P_802_2 = 0x0003, 0x0004  # linux/if_ether.h
ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0800, 0x0806, 0x86DD
ETH_P_JUMBO = 0x8870  # IEEE 802.1AC: LLC in a frame too long for a length field
ICMP, TCP, UDP, ICMPV6, OSPF = 1, 6, 17, 58, 89  # IANA protocol numbers

# linux/pkt_cls.h
TCA_FLOWER_KEY_ETH_DST, TCA_FLOWER_KEY_ETH_DST_MASK = 4, 5
TCA_FLOWER_KEY_ETH_SRC, TCA_FLOWER_KEY_ETH_SRC_MASK = 6, 7
TCA_FLOWER_KEY_ETH_TYPE, TCA_FLOWER_KEY_IP_PROTO = 8, 9
TCA_FLOWER_KEY_IPV4_SRC, TCA_FLOWER_KEY_IPV4_SRC_MASK = 10, 11
TCA_FLOWER_KEY_IPV4_DST, TCA_FLOWER_KEY_IPV4_DST_MASK = 12, 13
TCA_FLOWER_KEY_IPV6_SRC, TCA_FLOWER_KEY_IPV6_SRC_MASK = 14, 15
TCA_FLOWER_KEY_IPV6_DST, TCA_FLOWER_KEY_IPV6_DST_MASK = 16, 17
TCA_FLOWER_KEY_TCP_SRC, TCA_FLOWER_KEY_TCP_DST = 18, 19
TCA_FLOWER_KEY_UDP_SRC, TCA_FLOWER_KEY_UDP_DST = 20, 21
TCA_FLOWER_KEY_ICMPV4_TYPE, TCA_FLOWER_KEY_ICMPV4_TYPE_MASK = 51, 52
TCA_FLOWER_KEY_ICMPV6_TYPE, TCA_FLOWER_KEY_ICMPV6_TYPE_MASK = 55, 56
TCA_FLOWER_KEY_ARP_SIP, TCA_FLOWER_KEY_ARP_SIP_MASK = 57, 58

TCA_U32_SEL, TC_U32_TERMINAL = 5, 1

_U32_SEL: Final = struct.Struct("!BBBxHHhhI")  # struct tc_u32_sel, but for its keys; all zero here
_PORT: Final = struct.Struct("!H")

_DST_KEYS = {ETH_P_IP: TCA_FLOWER_KEY_IPV4_DST, ETH_P_IPV6: TCA_FLOWER_KEY_IPV6_DST}
_SRC_KEYS = {
    ETH_P_ARP: TCA_FLOWER_KEY_ARP_SIP,
    ETH_P_IP: TCA_FLOWER_KEY_IPV4_SRC,
    ETH_P_IPV6: TCA_FLOWER_KEY_IPV6_SRC,
}
_SRC_OFFSETS = {ETH_P_ARP: 14, ETH_P_IP: 12, ETH_P_IPV6: 8}


class Action(Enum):
    """What a filter does with a frame."""

    COPY = "copy"  # to the twin, and on to the forwarding stack
    SHARE = "share"  # the same, and no later filter sees it
    REDIRECT = "redirect"  # to the twin alone
    LEAVE = "leave"  # to the device's own stack, as without filters


@dataclass(frozen=True, slots=True)
class Rule:
    """A match on a frame's headers, and the action; a field that is None, 0 or b"" matches all."""

    action: Action
    ethertype: int
    dst: Address | None = None
    dst_mac: bytes = b""
    src: Address | None = None  # for ARP, the sender's address
    src_mac: bytes = b""
    ip_proto: int = 0
    sport: int = 0
    dport: int = 0
    icmp_type: int | None = None


def flower_keys(rule: Rule) -> bytes:
    parts: list[tuple[int, bytes]] = []
    if rule.ethertype != ETH_P_ALL:
        parts.append((TCA_FLOWER_KEY_ETH_TYPE, _PORT.pack(rule.ethertype)))
    if rule.dst_mac:
        parts.append((TCA_FLOWER_KEY_ETH_DST, rule.dst_mac))
        parts.append((TCA_FLOWER_KEY_ETH_DST_MASK, b"\xff" * 6))
    if rule.src_mac:
        parts.append((TCA_FLOWER_KEY_ETH_SRC, rule.src_mac))
        parts.append((TCA_FLOWER_KEY_ETH_SRC_MASK, b"\xff" * 6))
    for address, keys in ((rule.dst, _DST_KEYS), (rule.src, _SRC_KEYS)):
        if address:
            parts.append((keys[rule.ethertype], address.ip))
            parts.append((keys[rule.ethertype] + 1, _mask(len(address.ip), address.length)))
    if rule.ip_proto:
        parts.append((TCA_FLOWER_KEY_IP_PROTO, bytes([rule.ip_proto])))
    tcp = rule.ip_proto == TCP
    if rule.sport:
        key = TCA_FLOWER_KEY_TCP_SRC if tcp else TCA_FLOWER_KEY_UDP_SRC
        parts.append((key, _PORT.pack(rule.sport)))
    if rule.dport:
        key = TCA_FLOWER_KEY_TCP_DST if tcp else TCA_FLOWER_KEY_UDP_DST
        parts.append((key, _PORT.pack(rule.dport)))
    if rule.icmp_type is not None:
        v4 = rule.ip_proto == ICMP
        key = TCA_FLOWER_KEY_ICMPV4_TYPE if v4 else TCA_FLOWER_KEY_ICMPV6_TYPE
        parts.append((key, bytes([rule.icmp_type])))
        parts.append((key + 1, b"\xff"))
    return b"".join(attribute(key, value) for key, value in parts)


def u32_selector(rule: Rule) -> bytes:
    words = list(_u32_words(rule)) or [(0, 0, 0)]
    # struct tc_u32_key: mask and value in network order, offset and offset mask in the host's.
    keys = [struct.pack("!II", m, v) + struct.pack("=ii", at, 0) for at, v, m in words]
    selector = _U32_SEL.pack(TC_U32_TERMINAL, 0, len(words), 0, 0, 0, 0, 0)
    return attribute(TCA_U32_SEL, selector + b"".join(keys))


def _u32_words(rule: Rule) -> Iterator[tuple[int, int, int]]:
    """Yield (offset from the network header, value, mask) of each word; the rarest match first."""
    v4 = rule.ethertype == ETH_P_IP
    if rule.dst_mac:
        yield -12, int.from_bytes(rule.dst_mac[2:]), 0xFFFFFFFF
        yield -16, int.from_bytes(rule.dst_mac[:2]), 0x0000FFFF
    if rule.src_mac:
        yield -8, int.from_bytes(rule.src_mac[:4]), 0xFFFFFFFF
        yield -4, int.from_bytes(rule.src_mac[4:]) << 16, 0xFFFF0000
    if rule.dst:
        yield from reversed(list(_u32_address(16 if v4 else 24, rule.dst)))
    if rule.src:
        yield from reversed(list(_u32_address(_SRC_OFFSETS[rule.ethertype], rule.src)))
    if not rule.ip_proto:
        return
    if v4:
        yield 8, rule.ip_proto << 16, 0x00FF0000
    else:
        yield 4, rule.ip_proto << 8, 0x0000FF00
    if rule.sport or rule.dport or rule.icmp_type is not None:
        if v4:  # the ports are at a fixed offset: no IP options, and not a later fragment
            yield 0, 0x05000000, 0x0F000000
            yield 4, 0, 0x00001FFF
        yield from _u32_ports(20 if v4 else 40, rule)


def _u32_address(offset: int, dst: Address) -> Iterator[tuple[int, int, int]]:
    mask = _mask(len(dst.ip), dst.length)
    for at in range(0, len(dst.ip), 4):
        if word := int.from_bytes(mask[at : at + 4]):
            yield offset + at, int.from_bytes(dst.ip[at : at + 4]), word


def _u32_ports(offset: int, rule: Rule) -> Iterator[tuple[int, int, int]]:
    if rule.icmp_type is not None:
        yield offset, rule.icmp_type << 24, 0xFF000000
    else:
        mask = (0xFFFF0000 if rule.sport else 0) | (0xFFFF if rule.dport else 0)
        yield offset, rule.sport << 16 | rule.dport, mask


def _mask(width: int, length: int) -> bytes:
    bits = width * 8
    return ((1 << bits) - (1 << bits - length)).to_bytes(width)
