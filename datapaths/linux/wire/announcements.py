"""Announcements of hosts by ARP (RFC 826, 5227) and neighbor discovery (RFC 4861). Pure."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0800, 0x0806, 0x86DD  # linux/if_ether.h
ETH_HLEN = 14
IPPROTO_ICMPV6 = 58
ARP: Final = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826, Ethernet and IPv4
ARP_HEADER: Final = (1, ETH_P_IP, 6, 4)
ARP_REQUEST, ARP_REPLY = 1, 2
IPV6: Final = struct.Struct("!IHBB16s16s")  # RFC 8200 section 3
ND: Final = struct.Struct("!BBHI16s")  # RFC 4861 sections 4.3 and 4.4
NEIGHBOR_SOLICITATION, NEIGHBOR_ADVERTISEMENT = 135, 136
SOLICITED, OVERRIDE = 1 << 30, 1 << 29
SOURCE_LINK_LAYER, TARGET_LINK_LAYER = 1, 2
HOP_LIMIT = 255  # RFC 4861 section 7.1: the sender is on this link

PACKET_OUTGOING = 4  # linux/if_packet.h
SKF_AD_PROTOCOL, SKF_AD_PKTTYPE = 0xFFFF_F000, 0xFFFF_F004  # linux/filter.h, SKF_AD_OFF + 0, 4

Instruction = tuple[int, int, int, int]


class Announcement(NamedTuple):
    """A host announced that `address` is at `mac`."""

    address: bytes
    mac: bytes
    gratuitous: bool  # unsolicited, to all hosts


def decode(frame: bytes) -> Announcement | None:
    """Decode the announcement in a frame; None if the frame announces nothing.

    A probe (RFC 5227: sender 0.0.0.0; RFC 4862: source ::) announces nothing yet. An advertisement
    without the override flag must not replace a row (RFC 4861 section 7.2.5).
    """
    if len(frame) < ETH_HLEN:
        return None
    protocol = int.from_bytes(frame[12:14])
    if protocol == ETH_P_ARP:
        return _arp(frame[ETH_HLEN:])
    return _nd(frame[ETH_HLEN:]) if protocol == ETH_P_IPV6 else None


def unanswered(frame: bytes) -> bytes:
    """Return a gratuitous ARP request as the reply that announces the same, others as they are.

    Neither hosts nor grout's ARP suppression answer a reply.
    """
    heard = decode(frame)
    if not heard or not heard.gratuitous or int.from_bytes(frame[12:14]) != ETH_P_ARP:
        return frame
    at = ETH_HLEN + 6  # ar$op of RFC 826
    return frame[:at] + ARP_REPLY.to_bytes(2) + frame[at + 2 :]


def _arp(body: bytes) -> Announcement | None:
    if len(body) < ARP.size:
        return None
    *kind, operation, mac, address, _, target = ARP.unpack_from(body)
    if tuple(kind) != ARP_HEADER or operation not in (ARP_REQUEST, ARP_REPLY):
        return None
    return _claim(address, mac, address == target)


def _nd(body: bytes) -> Announcement | None:
    if len(body) < IPV6.size + ND.size:
        return None
    _, length, following, hops, source, _ = IPV6.unpack_from(body)
    kind, code, _, flags, target = ND.unpack_from(body, IPV6.size)
    if following != IPPROTO_ICMPV6 or hops != HOP_LIMIT or code:
        return None
    options = body[IPV6.size + ND.size : IPV6.size + length]
    if kind == NEIGHBOR_SOLICITATION:
        return _claim(source, _link_layer(options, SOURCE_LINK_LAYER))
    if kind == NEIGHBOR_ADVERTISEMENT and flags & OVERRIDE:
        return _claim(target, _link_layer(options, TARGET_LINK_LAYER), not flags & SOLICITED)
    return None


def _link_layer(options: bytes, wanted: int) -> bytes:
    """Return a link-layer address option (RFC 4861 section 4.6.1); b"" if it is missing."""
    while len(options) >= 8 and options[1]:
        if options[0] == wanted:
            return options[2:8]
        options = options[options[1] * 8 :]
    return b""


def _claim(address: bytes, mac: bytes, gratuitous: bool = False) -> Announcement | None:
    if not any(address) or not any(mac) or mac[0] & 1:  # unspecified, absent, a group
        return None
    return Announcement(address, mac, gratuitous)


def socket_filter() -> list[Instruction]:
    """Return a filter (linux/filter.h) for received ARP, solicitations and advertisements."""
    load_u16, load_u8, equal, give = 0x28, 0x30, 0x15, 0x06
    next_header, icmp_type = ETH_HLEN + 6, ETH_HLEN + IPV6.size
    return [
        (load_u16, 0, 0, SKF_AD_PKTTYPE),
        (equal, 8, 0, PACKET_OUTGOING),
        (load_u16, 0, 0, 12),
        (equal, 7, 0, ETH_P_ARP),
        (equal, 0, 5, ETH_P_IPV6),
        (load_u8, 0, 0, next_header),
        (equal, 0, 3, IPPROTO_ICMPV6),
        (load_u8, 0, 0, icmp_type),
        (equal, 2, 0, NEIGHBOR_SOLICITATION),
        (equal, 1, 0, NEIGHBOR_ADVERTISEMENT),
        (give, 0, 0, 0),
        (give, 0, 0, 0xFFFF),
    ]
