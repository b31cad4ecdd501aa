"""Addresses and routes of a NIC: decode them from dumps, encode requests that restore them. Pure.

Attributes are kept as raw bytes, so that those which this code does not know (labels, broadcast
addresses, peers, metrics) are restored too. Lifetimes are times of CLOCK_BOOTTIME, in seconds.
"""

from __future__ import annotations

import socket
import struct
import sys
from dataclasses import dataclass, replace
from typing import Final

from datapaths.linux.wire.links import IFADDRMSG
from dualpath.model.links import Address
from dualpath.netlink import numbers as n
from dualpath.netlink.message import (
    U32,
    DecodeError,
    Message,
    attribute,
    request,
)

RTMSG: Final = struct.Struct("=BBBBBBBBI")  # linux/rtnetlink.h struct rtmsg
IFA_CACHEINFO: Final = struct.Struct("=IIII")  # preferred, valid, created, updated
RTA_CACHEINFO: Final = struct.Struct("=IIiIIIII")  # the third is the expiry, in 1/100 s
RTNEXTHOP: Final = struct.Struct("=HBBi")  # length, flags, hops, index

# linux/if_addr.h
ADDRESS, LOCAL, CACHEINFO, FLAGS, TARGET_NETNSID, PROTO = 1, 2, 6, 8, 10, 11
F_SECONDARY, F_NODAD, F_PERMANENT, F_STABLE_PRIVACY = 0x01, 0x02, 0x80, 0x800
KERNEL_LL = b"\3"  # IFAPROT_KERNEL_LL
F_NOPREFIXROUTE = 0x200
F_STATE = 0x01 | 0x08 | 0x20 | 0x40  # secondary, failed, deprecated, tentative: set by the kernel
FOREVER = 0xFFFF_FFFF

# linux/rtnetlink.h
TABLE_LOCAL = 255
RTA_MULTIPATH, RTA_CACHE, RTA_EXPIRES = 9, 12, 23
RTM_F_CLONED = 0x200
PROTOCOLS = frozenset({0, 3, 4, 9, 16})  # unspec, boot, static, RA, DHCP: not routing daemons
HUNDREDTHS = 100


@dataclass(frozen=True, slots=True)
class NicAddress:
    """An address of a NIC, with all attributes that the kernel dumps."""

    family: int
    length: int
    scope: int
    flags: int
    attributes: tuple[tuple[int, bytes], ...]  # without flags and lifetimes
    valid_until: float | None = None  # None: forever
    preferred_until: float | None = None

    @property
    def ip(self) -> bytes:
        found = dict(self.attributes)
        return found.get(LOCAL) or found.get(ADDRESS, b"")

    @property
    def address(self) -> Address:
        return Address(self.ip, self.length)

    @property
    def plain(self) -> bool:
        """Whether it has no lifetime and no peer."""
        peer = dict(self.attributes).get(ADDRESS, b"")
        return self.valid_until is None and peer in (b"", self.ip)

    @property
    def key(self) -> tuple[bytes, int, bytes]:
        """The identity of an address for the kernel: address, prefix length, peer."""
        return self.ip, self.length, dict(self.attributes).get(ADDRESS, b"")

    def with_prefix_route(self) -> NicAddress:
        """Return the address without IFA_F_NOPREFIXROUTE: forwarding needs the prefix's route."""
        return replace(self, flags=self.flags & ~F_NOPREFIXROUTE)

    @property
    def generated(self) -> bool:
        """Whether the kernel generated it; for a link-local address."""
        return bool(self.flags & F_STABLE_PRIVACY) or dict(self.attributes).get(PROTO) == KERNEL_LL

    def expired(self, now: float) -> bool:
        return self.valid_until is not None and self.valid_until <= now + 1


@dataclass(frozen=True, slots=True)
class NicRoute:
    """A route over one NIC, or a multipath route over this and other NICs."""

    fixed: bytes  # struct rtmsg
    attributes: tuple[tuple[int, bytes], ...]  # without the device's index and cache information
    index: int  # the NIC's index in `multipath`
    multipath: bytes = b""
    expires_at: float | None = None
    stays: bool = False  # restored at home only: the forwarding namespace's kernel refused it

    @property
    def table(self) -> int:
        found = dict(self.attributes).get(n.RTA_TABLE)
        return int.from_bytes(found, sys.byteorder) if found else self.fixed[4]

    @property
    def portable(self) -> bool:
        """Whether it is restored in the forwarding namespace: main table, one NIC, not refused."""
        return not self.stays and self.table == n.RT_TABLE_MAIN and not self.multipath

    @property
    def metric(self) -> int:
        found = dict(self.attributes).get(n.RTA_PRIORITY)
        return int.from_bytes(found, sys.byteorder) if found else 0

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now + 1

    def less(self, metric: int) -> NicRoute:
        """Return the route with its metric reduced by `metric`, or as it is if that is smaller."""
        if self.metric < metric:
            return self
        kept = {**dict(self.attributes), n.RTA_PRIORITY: U32.pack(self.metric - metric)}
        return replace(self, attributes=tuple(sorted(kept.items())))

    def key(self, extra_metric: int = 0) -> tuple[bytes, ...]:
        """The identity of a route for the kernel, with `extra_metric` added to its metric."""
        found = dict(self.attributes)
        wanted = (found.get(t, b"") for t in (n.RTA_DST, n.RTA_GATEWAY))
        metric = U32.pack(self.metric + extra_metric)
        return bytes(self.fixed[:2]), U32.pack(self.table), metric, *wanted


def decode_address(message: Message, index: int, now: float) -> NicAddress | None:
    """Decode an address of one device; None for another device, and for a temporary address."""
    family, length, flags, scope, owner = message.fixed(IFADDRMSG)
    if message.type != n.RTM_NEWADDR or owner != index:
        return None
    found = message.attributes(IFADDRMSG).values()
    if more := found.pop(FLAGS, b""):
        flags = int.from_bytes(more, sys.byteorder)
    if family == socket.AF_INET6 and flags & F_SECONDARY:
        return None  # temporary (RFC 8981): the kernel derives it from another address
    until: list[float | None] = [None, None]
    cache = found.pop(CACHEINFO, b"")
    if len(cache) >= IFA_CACHEINFO.size:
        preferred, valid, _, _ = IFA_CACHEINFO.unpack_from(cache)
        until = [None if it == FOREVER else now + it for it in (valid, preferred)]
    found.pop(TARGET_NETNSID, None)
    kept = tuple(sorted(found.items()))
    return NicAddress(family, length, scope, flags & ~(F_STATE | F_PERMANENT), kept, *until)


def encode_address(entry: NicAddress, index: int, now: float) -> bytes:
    """Return the request that adds an address, without duplicate address detection."""
    flags = entry.flags | (F_NODAD if entry.family == socket.AF_INET6 else 0)
    body = IFADDRMSG.pack(entry.family, entry.length, flags & 0xFF, entry.scope, index)
    body += b"".join(attribute(type_, value) for type_, value in entry.attributes)
    body += attribute(FLAGS, U32.pack(flags))
    if (entry.preferred_until, entry.valid_until) != (None, None):
        left = [_left(it, now) for it in (entry.preferred_until, entry.valid_until)]
        body += attribute(CACHEINFO, IFA_CACHEINFO.pack(*left, 0, 0))
    return request(n.RTM_NEWADDR, n.NLM_F_CREATE | n.NLM_F_EXCL, body)


def encode_removal(entry: NicAddress, index: int) -> bytes:
    """Return the request that removes an address."""
    body = IFADDRMSG.pack(entry.family, entry.length, 0, entry.scope, index)
    kept = (it for it in entry.attributes if it[0] in (ADDRESS, LOCAL))
    return request(n.RTM_DELADDR, 0, body + b"".join(attribute(*it) for it in kept))


def dump_routes(index: int, family: int, table: int = 0) -> bytes:
    """Return the dump request for the routes over a device, of one table, or of all (0)."""
    fixed = RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    body = fixed + attribute(n.RTA_OIF, U32.pack(index))
    if table:
        body += attribute(n.RTA_TABLE, U32.pack(table))
    return request(n.RTM_GETROUTE, n.NLM_F_DUMP, body)


def decode_route(message: Message, index: int, now: float) -> NicRoute | None:
    """Decode a route over a device; None for another device, and for a route that the kernel or a
    routing daemon would create again."""
    fixed = message.fixed(RTMSG)
    found = message.attributes(RTMSG).values()
    by_one = found.pop(n.RTA_OIF, b"") == U32.pack(index)
    multipath = found.pop(RTA_MULTIPATH, b"")
    ours = by_one or index in (found_index for _, found_index in _hops(multipath))
    if message.type != n.RTM_NEWROUTE or not ours or fixed[5] not in PROTOCOLS:
        return None
    if fixed[7] != n.RTN_UNICAST or fixed[8] & RTM_F_CLONED or n.RTA_NH_ID in found:
        return None
    expires = None
    cache = found.pop(RTA_CACHE, b"")
    if len(cache) >= RTA_CACHEINFO.size and (left := RTA_CACHEINFO.unpack_from(cache)[2]) > 0:
        expires = now + left / HUNDREDTHS
    found.pop(RTA_EXPIRES, None)
    kept = RTMSG.pack(*fixed[:8], fixed[8] & n.RTNH_F_ONLINK)
    return NicRoute(kept, tuple(sorted(found.items())), index, multipath, expires)


def encode_route(entry: NicRoute, index: int, now: float, extra_metric: int = 0) -> bytes:
    """Return the request that adds a route, with `extra_metric` added to its metric."""
    kept = [it for it in entry.attributes if not (extra_metric and it[0] == n.RTA_PRIORITY)]
    body = entry.fixed + b"".join(attribute(type_, value) for type_, value in kept)
    if extra_metric:
        body += attribute(n.RTA_PRIORITY, U32.pack(entry.metric + extra_metric))
    if entry.expires_at is not None and entry.fixed[0] == socket.AF_INET6:
        body += attribute(RTA_EXPIRES, U32.pack(_left(entry.expires_at, now)))
    if not entry.multipath:
        body += attribute(n.RTA_OIF, U32.pack(index))
        return request(n.RTM_NEWROUTE, n.NLM_F_CREATE | n.NLM_F_EXCL, body)
    patched = bytearray(entry.multipath)
    for at, owner in _hops(entry.multipath):
        length, flags, hops, _ = RTNEXTHOP.unpack_from(patched, at)
        new = index if owner == entry.index else owner
        RTNEXTHOP.pack_into(patched, at, length, flags & n.RTNH_F_ONLINK, hops, new)
    body += attribute(RTA_MULTIPATH, bytes(patched))
    # Replace: the kernel kept the route over the other NICs when this one moved.
    return request(n.RTM_NEWROUTE, n.NLM_F_CREATE | n.NLM_F_REPLACE, body)


def _hops(multipath: bytes) -> list[tuple[int, int]]:
    """Return (offset, device index) of the parts of an RTA_MULTIPATH."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(multipath):
        if len(multipath) - at < RTNEXTHOP.size:
            raise DecodeError("half a next hop", offset=at)
        length, _, _, index = RTNEXTHOP.unpack_from(multipath, at)
        if not RTNEXTHOP.size <= length <= len(multipath) - at:
            raise DecodeError(f"next hop of {length} bytes", offset=at)
        found.append((at, index))
        at += (length + 3) & ~3
    return found


def _left(until: float | None, now: float) -> int:
    return FOREVER if until is None else max(0, round(until - now))
