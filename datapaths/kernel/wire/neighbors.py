"""Neighbors, bridge FDB, VXLAN FDB and flood entries: all are RTM_*NEIGH messages. Pure.

A message about a bridge FDB entry has the bridge in NDA_MASTER. One about a VXLAN device's own
entry has no NDA_MASTER.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from dualpath.model.nexthops import V4_MAPPED
from dualpath.netlink import numbers as n
from dualpath.netlink.message import (
    NLMSGHDR,
    RTATTR,
    Message,
    attribute,
    request,
    u32,
)
from dualpath.netlink.neighborcolumns import NDMSG, neighbor_columns

ZERO_MAC: Final = bytes(6)

_FDB: Final = struct.Struct("=IHHIIBBHiHBB")  # nlmsghdr and ndmsg
_REPLACE: Final = n.NLM_F_CREATE | n.NLM_F_REPLACE


class Entry(NamedTuple):
    """One RTM_NEWNEIGH or RTM_DELNEIGH."""

    gone: bool
    family: int
    ifindex: int
    state: int  # NUD_*
    flags: int  # NTF_*
    destination: bytes  # the neighbor's address, or the VTEP of an FDB entry, or b""
    mac: bytes
    master: int  # the bridge of a bridge FDB entry, else 0
    protocol: int
    vlan: int
    nexthop: int = 0  # the id of a group of VTEPs, instead of a destination


def decode(message: Message) -> Entry:
    """Decode RTM_NEWNEIGH or RTM_DELNEIGH. Raises DecodeError."""
    family, _, _, ifindex, state, flags, _ = message.fixed(NDMSG)
    got = message.attributes(NDMSG)
    return Entry(
        message.type == n.RTM_DELNEIGH,
        family,
        ifindex,
        state,
        flags,
        got.raw(n.NDA_DST),
        got.raw(n.NDA_LLADDR),
        got.u32(n.NDA_MASTER),
        got.u8(n.NDA_PROTOCOL),
        got.u16(n.NDA_VLAN),
        got.u32(n.NDA_NH_ID),
    )


def decode_all(buffer: bytes, offsets: Sequence[int]) -> list[Entry] | None:
    """Decode the messages of `buffer`, cut at `offsets`, if all of them are plain entries."""
    columns = neighbor_columns(buffer, offsets)
    if columns is None:
        return None
    return list(
        map(
            Entry,
            columns.deleted,
            columns.family,
            columns.ifindex,
            columns.state,
            columns.flags,
            columns.dst,
            columns.lladdr,
            columns.number(n.NDA_MASTER),
            columns.number(n.NDA_PROTOCOL),
            columns.number(n.NDA_VLAN),
            columns.number(n.NDA_NH_ID),
        )
    )


def dump_request(family: int) -> bytes:
    """Return the dump request for the neighbors of a family; AF_BRIDGE dumps all FDBs."""
    return request(n.RTM_GETNEIGH, n.NLM_F_DUMP, NDMSG.pack(family, 0, 0, 0, 0, 0, 0))


def put_self(vxlan: int, mac: bytes, vtep: bytes, group: int = 0) -> bytes:
    """Return the VXLAN device's entry: frames for `mac` go to `vtep`, or to a member of `group`.

    An entry with a group is static: newer kernels refuse any other ("A nexthop fdb cannot be
    dynamic", vxlan_core.c of Linux 7.2), also with NTF_EXT_LEARNED.
    """
    state, flags, to = n.NUD_REACHABLE, n.NTF_SELF | n.NTF_EXT_LEARNED, _destination(vtep)
    if group:
        state, to = state | n.NUD_NOARP, u32(n.NDA_NH_ID, group)
    return _put(_REPLACE, vxlan, state, flags, mac, to)


def drop_self(vxlan: int, mac: bytes) -> bytes:
    return _drop(vxlan, n.NTF_SELF, mac)


def put_master(vxlan: int, mac: bytes, sticky: bool) -> bytes:
    """Return the bridge's entry: `mac` is behind the VXLAN port.

    The kernel ignores NTF_STICKY together with NTF_EXT_LEARNED (br_fdb.c, __br_fdb_add), so a
    sticky entry is static.
    """
    state, flags = n.NUD_REACHABLE, n.NTF_EXT_LEARNED
    if sticky:
        state, flags = n.NUD_NOARP, n.NTF_STICKY
    return _put(_REPLACE, vxlan, state, flags | n.NTF_MASTER, mac)


def drop_master(vxlan: int, mac: bytes) -> bytes:
    """Remove the bridge's entry; ENOENT means that `mac` has moved to another port."""
    return _drop(vxlan, n.NTF_MASTER, mac)


def drop_learned(port: int, mac: bytes) -> bytes:
    """Remove the bridge's entry for `mac` behind a port; ENOENT means that it has moved."""
    return _drop(port, n.NTF_MASTER, mac)


def put_flood(vxlan: int, vtep: bytes) -> bytes:
    """Add `vtep` to those that get a copy of each BUM frame."""
    append = n.NLM_F_CREATE | n.NLM_F_APPEND
    return _put(append, vxlan, n.NUD_PERMANENT, n.NTF_SELF, ZERO_MAC, _destination(vtep))


def drop_flood(vxlan: int, vtep: bytes) -> bytes:
    return _drop(vxlan, n.NTF_SELF, ZERO_MAC, _destination(vtep))


def put_neighbor(bridge: int, address: bytes, mac: bytes, router: bool = False) -> bytes:
    flags = n.NTF_EXT_LEARNED | (n.NTF_ROUTER if router else 0)
    body = NDMSG.pack(_family(address), 0, 0, bridge, n.NUD_NOARP, flags, n.RTN_UNICAST)
    body += attribute(n.NDA_DST, address) + attribute(n.NDA_LLADDR, mac)
    body += attribute(n.NDA_PROTOCOL, bytes([n.RTPROT_DUALPATH]))
    return request(n.RTM_NEWNEIGH, _REPLACE, body)


def put_learned(bridge: int, address: bytes, mac: bytes) -> bytes:
    """Replace any row by one as the kernel makes it from ARP or ND.

    Set the protocol explicitly: without it the kernel keeps the protocol of the replaced row.
    """
    body = NDMSG.pack(_family(address), 0, 0, bridge, n.NUD_STALE, 0, n.RTN_UNICAST)
    body += attribute(n.NDA_DST, address) + attribute(n.NDA_LLADDR, mac)
    body += attribute(n.NDA_PROTOCOL, bytes([n.RTPROT_KERNEL]))
    return request(n.RTM_NEWNEIGH, _REPLACE, body)


def drop_neighbor(bridge: int, address: bytes) -> bytes:
    body = NDMSG.pack(_family(address), 0, 0, bridge, 0, 0, 0) + attribute(n.NDA_DST, address)
    return request(n.RTM_DELNEIGH, 0, body)


def use_neighbor(bridge: int, address: bytes) -> bytes:
    """Mark a neighbor as used, like a packet to it does; ENOENT means that it is gone.

    The kernel resolves a stale neighbor again, and leaves others as they are (net/core/neighbour.c,
    neigh_add).
    """
    body = NDMSG.pack(_family(address), 0, 0, bridge, 0, n.NTF_USE, 0)
    return request(n.RTM_NEWNEIGH, 0, body + attribute(n.NDA_DST, address))


def _put(how: int, ifindex: int, state: int, flags: int, mac: bytes, to: bytes = b"") -> bytes:
    return _fdb(n.RTM_NEWNEIGH, how, ifindex, state, flags, mac, to)


def _drop(ifindex: int, flags: int, mac: bytes, to: bytes = b"") -> bytes:
    return _fdb(n.RTM_DELNEIGH, 0, ifindex, 0, flags, mac, to)


def _fdb(kind: int, how: int, ifindex: int, state: int, flags: int, mac: bytes, to: bytes) -> bytes:
    """Encode an FDB entry with its header: a burst has 200,000."""
    attributes = attribute(n.NDA_LLADDR, mac) + to
    size, how = _FDB.size + len(attributes), how | n.NLM_F_REQUEST
    return (
        _FDB.pack(size, kind, how, 0, 0, n.AF_BRIDGE, 0, 0, ifindex, state, flags, 0) + attributes
    )


@lru_cache(4096)
def _destination(vtep: bytes) -> bytes:
    return attribute(n.NDA_DST, vtep)


def _family(address: bytes) -> int:
    return socket.AF_INET if len(address) == 4 else socket.AF_INET6


def is_mapped(request: bytes) -> bool:
    """Return whether a request is about the neighbor ::ffff:a.b.c.d."""
    at = NLMSGHDR.size + NDMSG.size + RTATTR.size
    return request[NLMSGHDR.size] == socket.AF_INET6 and request[at : at + 12] == V4_MAPPED
