"""Probes of one host, as Ethernet frames: ARP (RFC 826), neighbor solicitations (RFC 4861).

A probe goes to the host's own MAC, so no other host receives it. An IPv6 probe has the
solicited-node group as its destination address all the same (RFC 6085): to a probe of the address
itself, Linux answers without its MAC, and grout ignores such an answer.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

ARP = struct.Struct("!6s6sHHHBBH6s4s6s4s")
IPV6 = struct.Struct("!6s6sHIHBB16s16s")
SOLICITATION = struct.Struct("!BBHI16sBB6s")
PSEUDO = struct.Struct("!16s16sII")  # RFC 8200 section 8.1

ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0800, 0x0806, 0x86DD  # linux/if_ether.h
ARPHRD_ETHER, ARPOP_REQUEST = 1, 1  # linux/if_arp.h
ICMPV6, NEIGHBOR_SOLICITATION, SOURCE_LINK_LAYER = 58, 135, 1
HOP_LIMIT = 255  # RFC 4861 section 7.1.1: it came from the link
SOLICITED_NODE = bytes.fromhex("ff0200000000000000000001ff")


@dataclass(frozen=True, slots=True)
class Station:
    """The source or the target of a probe; both have an address of the same family."""

    mac: bytes
    address: bytes  # 4 or 16 bytes


def probe(source: Station, host: Station) -> bytes:
    """Return the frame that asks a host for its MAC."""
    return _arp(source, host) if len(host.address) == 4 else _solicitation(source, host)


def _arp(source: Station, host: Station) -> bytes:
    return ARP.pack(
        *(host.mac, source.mac, ETH_P_ARP),
        *(ARPHRD_ETHER, ETH_P_IP, 6, 4, ARPOP_REQUEST),
        *(source.mac, source.address, bytes(6), host.address),
    )


def _solicitation(source: Station, host: Station) -> bytes:
    group, size = SOLICITED_NODE + host.address[-3:], SOLICITATION.size
    pseudo = PSEUDO.pack(source.address, group, size, ICMPV6)
    body = _body(source, host, _checksum(pseudo + _body(source, host, 0)))
    return (
        IPV6.pack(
            *(host.mac, source.mac, ETH_P_IPV6),
            *(6 << 28, size, ICMPV6, HOP_LIMIT, source.address, group),
        )
        + body
    )


def _body(source: Station, host: Station, checksum: int) -> bytes:
    option = SOURCE_LINK_LAYER, 1, source.mac  # its length is in units of 8 bytes
    return SOLICITATION.pack(NEIGHBOR_SOLICITATION, 0, checksum, 0, host.address, *option)


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of an even number of bytes."""
    return ~(int.from_bytes(data) % 0xFFFF) & 0xFFFF
