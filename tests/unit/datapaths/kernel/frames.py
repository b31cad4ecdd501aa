"""Whole Ethernet frames as hosts send them: ARP (RFC 826) and neighbor discovery (RFC 4861)."""

from __future__ import annotations

import struct

ALL = b"\xff" * 6
ALL_NODES = bytes.fromhex("ff02") + bytes(13) + b"\1"
SOLICITED, OVERRIDE = 0x4000_0000, 0x2000_0000


def arp(
    operation: int, mac: bytes, address: bytes, target: bytes, target_mac: bytes = bytes(6)
) -> bytes:
    fixed = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return ALL + mac + b"\x08\x06" + fixed + mac + address + target_mac + target


def advertisement(mac: bytes, address: bytes, flags: int = OVERRIDE, hops: int = 255) -> bytes:
    body = struct.pack("!I16sBB6s", flags, address, 2, 1, mac)
    return _icmp6(mac, address, ALL_NODES, 136, body, hops)


def solicitation(mac: bytes, source: bytes, target: bytes) -> bytes:
    group = bytes.fromhex("ff0200000000000000000001ff") + target[-3:]
    return _icmp6(mac, source, group, 135, struct.pack("!I16sBB6s", 0, target, 1, 1, mac), 255)


def _icmp6(mac: bytes, source: bytes, group: bytes, kind: int, body: bytes, hops: int) -> bytes:
    size = len(body) + 4
    pseudo = source + group + struct.pack("!II", size, 58)
    total = int.from_bytes(pseudo + bytes([kind, 0, 0, 0]) + body) % 0xFFFF
    message = struct.pack("!BBH", kind, 0, ~total & 0xFFFF) + body
    header = struct.pack("!IHBB", 6 << 28, size, 58, hops)
    return b"\x33\x33" + group[-4:] + mac + b"\x86\xdd" + header + source + group + message
