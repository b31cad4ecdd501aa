"""Routes as columns to and from rtnetlink: no Python object per route. Pure.

To encode, fill the varying fields of a template that has a row for each message. To decode a dump,
walk the attributes of all its messages in step (`dualpath.netlink.columns`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dualpath.model import nexthops
from dualpath.model.routes import U8, U32, Family
from dualpath.netlink import numbers as n
from dualpath.netlink.columns import Index, walk
from dualpath.netlink.message import NLMSGHDR, DecodeError, attribute, cut, request, u32

RTMSG: Final = struct.Struct("=BBBBBBBBI")
"""linux/rtnetlink.h struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type,
flags."""

WRITE_BYTES: Final = 256 * 1024
"""Most bytes of one send. Above 4 KiB, the kernel's rate does not depend on the size."""

WITHDRAWAL: Final = 0
"""The shape of a message that deletes; the shape of one that replaces is its rtm_type."""

METRIC: Final = 20
"""The metric of every route that we install: zebra's own, which operators expect to see."""

RTN_OF: Final = {
    nexthops.BLACKHOLE: n.RTN_BLACKHOLE,
    nexthops.UNREACHABLE: n.RTN_UNREACHABLE,
    nexthops.PROHIBIT: n.RTN_PROHIBIT,
}
"""The rtm_type of a reserved identity: such a route has no nexthop object."""


@dataclass(frozen=True, slots=True, eq=False)
class RouteColumns:
    """Decoded route messages of one family, n rows in the order of the messages."""

    family: Family
    types: npt.NDArray[np.uint16]  # RTM_NEWROUTE or RTM_DELROUTE
    tables: U32
    prefixes: U8  # (n, family.width)
    lengths: U8
    protocols: U8
    kinds: U8  # rtm_type
    metrics: U32
    nexthops: U32  # RTA_NH_ID, a reserved identity, or 0

    def __len__(self) -> int:
        return len(self.types)

    def where(self, rows: npt.NDArray[np.bool_]) -> RouteColumns:
        return RouteColumns(
            self.family,
            self.types[rows],
            self.tables[rows],
            self.prefixes[rows],
            self.lengths[rows],
            self.protocols[rows],
            self.kinds[rows],
            self.metrics[rows],
            self.nexthops[rows],
        )


def dump_request(family: Family) -> bytes:
    """Return the dump request for our routes in all tables (needs NETLINK_GET_STRICT_CHK)."""
    body = RTMSG.pack(family, 0, 0, 0, 0, n.RTPROT_DUALPATH, 0, 0, 0)
    return request(n.RTM_GETROUTE, n.NLM_F_DUMP, body)


def encode_route(
    family: Family, table: int, shape: int, prefix: bytes, length: int, identity: int
) -> bytes:
    """Return one message with sequence number 0. It is the reference for RouteEncoder, and faster
    for a few routes."""
    withdrawal = shape == WITHDRAWAL
    scope = n.RT_SCOPE_NOWHERE if withdrawal else n.RT_SCOPE_UNIVERSE
    octet = table if table <= 0xFF else n.RT_TABLE_UNSPEC
    body = RTMSG.pack(family, length, 0, 0, octet, n.RTPROT_DUALPATH, scope, shape, 0)
    body += attribute(n.RTA_DST, prefix) + u32(n.RTA_PRIORITY, METRIC)
    if table > 0xFF:
        body += u32(n.RTA_TABLE, table)
    if shape == n.RTN_UNICAST:
        body += u32(n.RTA_NH_ID, identity)
    if withdrawal:
        return request(n.RTM_DELROUTE, 0, body)
    return request(n.RTM_NEWROUTE, n.NLM_F_CREATE | n.NLM_F_REPLACE, body)


class RouteEncoder:
    """Encodes rows of one shape at a time into buffers that it reuses.

    The next call of `encode` for the same shape overwrites what the last one returned.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[Family, bool, int], npt.NDArray[np.void]] = {}
        self._ack_rows: dict[tuple[Family, bool, int], int] = {}  # the row with NLM_F_ACK

    @staticmethod
    def capacity(family: Family) -> int:
        """Return how many rows of any shape fit one call of `encode`."""
        return WRITE_BYTES // _row_type(family, wide=True, shape=n.RTN_UNICAST).itemsize

    def encode(
        self,
        family: Family,
        table: int,
        shape: int,
        first: int,
        prefixes: U8,
        lengths: U8,
        ids: U32,
    ) -> memoryview:
        """Return messages with sequence numbers from `first`; the last one requests an ACK.

        `shape` is WITHDRAWAL or an rtm_type; `ids` is used for RTN_UNICAST only.
        """
        count = len(lengths)
        key = family, table > 0xFF, shape
        rows = self._rows.get(key)
        if rows is None:
            rows = self._rows[key] = _template(*key)
            self._ack_rows[key] = 0
        rows["flags"][self._ack_rows[key]] &= ~np.uint16(n.NLM_F_ACK)
        rows["flags"][count - 1] |= n.NLM_F_ACK
        self._ack_rows[key] = count - 1
        used = rows[:count]
        used["seq"] = np.arange(first, first + count, dtype=np.uint64)
        used["table32" if table > 0xFF else "table"] = table
        used["dst_len"] = lengths
        used["dst"] = _words(prefixes)
        if shape == n.RTN_UNICAST:
            used["nexthop"] = ids
        return used.view(np.uint8).data


def decode_routes(data: bytes) -> Iterator[RouteColumns]:
    """Yield the route messages in `data` by family; skip messages of other types.

    Attributes may come in any order, and unknown ones are skipped. Raises DecodeError.
    """
    offsets = np.array(cut(data), dtype=np.intp) >> 2
    halves = np.frombuffer(data[: len(data) & ~3], dtype=np.uint16)
    types = halves[offsets * 2 + 2]
    offsets = offsets[(types == n.RTM_NEWROUTE) | (types == n.RTM_DELROUTE)]
    if not len(offsets):
        return
    words = halves.view(np.uint32)
    if (words[offsets] < NLMSGHDR.size + RTMSG.size).any():
        raise DecodeError("route message without its header", offset=0)
    families = halves.view(np.uint8)[offsets * 4 + NLMSGHDR.size]
    for family in Family:
        chosen = offsets[families == family]
        if len(chosen):
            yield _decode(family, words, chosen)


def _decode(family: Family, words: U32, offsets: Index) -> RouteColumns:
    octets, halves = words.view(np.uint8), words.view(np.uint16)
    head = offsets * 4 + NLMSGHDR.size
    count = len(offsets)
    tables = octets[head + 4].astype(np.uint32)
    kinds = octets[head + 7]
    metrics = np.zeros(count, np.uint32)
    ids = np.zeros(count, np.uint32)
    prefixes = np.zeros((count, family.width // 4), np.uint32)
    for type_, rows, at, length in walk(words, offsets, RTMSG.size):
        if type_ == n.RTA_DST:
            if (length != 4 + family.width).any():
                raise DecodeError("destination of the wrong width", offset=int(at[0]) * 4)
            for i in range(family.width // 4):
                prefixes[rows, i] = words[at + 1 + i]
        elif type_ in (n.RTA_TABLE, n.RTA_PRIORITY, n.RTA_NH_ID):
            if (length != 8).any():
                raise DecodeError(f"attribute {type_} is no number", offset=int(at[0]) * 4)
            column = {n.RTA_TABLE: tables, n.RTA_PRIORITY: metrics, n.RTA_NH_ID: ids}[type_]
            column[rows] = words[at + 1]
    for identity, kind in RTN_OF.items():
        ids[(kinds == kind) & (ids == 0)] = identity
    return RouteColumns(
        family,
        halves[offsets * 2 + 2],
        tables,
        prefixes.view(np.uint8).reshape(count, family.width),
        octets[head + 1],
        octets[head + 5],
        kinds,
        metrics,
        ids,
    )


def _words(prefixes: U8) -> U32:
    """View addresses as u32 words, (n,) for IPv4 and (n, 4) for IPv6; bytes stay as they are."""
    words = np.ascontiguousarray(prefixes).view(np.uint32)
    return words[:, 0] if words.shape[1] == 1 else words


def _row_type(family: Family, wide: bool, shape: int) -> np.dtype[np.void]:
    fields: list[tuple[str, str] | tuple[str, str, tuple[int, ...]]] = [
        ("len", "=u4"),
        ("type", "=u2"),
        ("flags", "=u2"),
        ("seq", "=u4"),
        ("pid", "=u4"),
        ("family", "u1"),
        ("dst_len", "u1"),
        ("src_len", "u1"),
        ("tos", "u1"),
        ("table", "u1"),
        ("protocol", "u1"),
        ("scope", "u1"),
        ("kind", "u1"),
        ("rtm_flags", "=u4"),
        ("dst_rta", "=u2", (2,)),
        ("dst", "=u4") if family is Family.INET else ("dst", "=u4", (4,)),
        ("metric_rta", "=u2", (2,)),
        ("metric", "=u4"),
    ]
    if wide:
        fields += [("table_rta", "=u2", (2,)), ("table32", "=u4")]
    if shape == n.RTN_UNICAST:
        fields += [("nexthop_rta", "=u2", (2,)), ("nexthop", "=u4")]
    return np.dtype(fields)


def _template(family: Family, wide: bool, shape: int) -> npt.NDArray[np.void]:
    """Return rows with every field that does not vary filled in."""
    kind = _row_type(family, wide, shape)
    rows = np.zeros(RouteEncoder.capacity(family), kind)
    withdrawal = shape == WITHDRAWAL
    rows["len"] = kind.itemsize
    rows["type"] = n.RTM_DELROUTE if withdrawal else n.RTM_NEWROUTE
    rows["flags"] = n.NLM_F_REQUEST | (0 if withdrawal else n.NLM_F_CREATE | n.NLM_F_REPLACE)
    rows["family"] = family
    rows["protocol"] = n.RTPROT_DUALPATH  # on a withdrawal too: others' routes do not match
    rows["scope"] = n.RT_SCOPE_NOWHERE if withdrawal else n.RT_SCOPE_UNIVERSE  # NOWHERE: any
    rows["kind"] = shape
    rows["dst_rta"] = 4 + family.width, n.RTA_DST
    rows["metric_rta"] = 8, n.RTA_PRIORITY
    rows["metric"] = METRIC
    if wide:
        rows["table_rta"] = 8, n.RTA_TABLE
    if shape == n.RTN_UNICAST:
        rows["nexthop_rta"] = 8, n.RTA_NH_ID
    return rows
