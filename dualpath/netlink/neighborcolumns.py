"""RTM_NEWNEIGH and RTM_DELNEIGH as columns: bridge MACs, floods and IP neighbors. Pure.

A MAC costs two messages in FRR's namespace and two in the forwarding one; one by one they cost 8 to
11 us each. Both namespaces read them here, and make rows of their own types:

    columns   deleted  family  ifindex  flags  lladdr         dst          ...
              False    7       3        0x12   02:..:0a       100.64.0.2
              False    7       3        0x10   02:..:0a       b""
    rows      map(Row, columns.deleted, columns.family, ...)

Only messages that every decoder accepts become columns. In doubt there are none, and the caller
decodes the messages one by one: its own decoder says what is wrong with them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Final

import numpy as np
import numpy.typing as npt

from dualpath.netlink import numbers as n
from dualpath.netlink.columns import Index, Rows, U32s, walk
from dualpath.netlink.message import NLMSG_HDRLEN, DecodeError

NDMSG: Final = struct.Struct("=BBHiHBB")
"""linux/neighbour.h struct ndmsg: family, -, -, ifindex, state, flags, type."""

FEW = 12  # messages up to which one by one is faster

_WIDTHS = {n.NDA_MASTER: 4, n.NDA_NH_ID: 4, n.NDA_SRC_VNI: 4, n.NDA_VLAN: 2, n.NDA_PROTOCOL: 1}
_LEAST = NLMSG_HDRLEN + NDMSG.size
_V4, _V6 = 4, 16


class NeighborColumns:
    """Decoded messages; each column has a value for each message, in their order."""

    def __init__(self, words: U32s, offsets: Index) -> None:
        """Decode the messages at these offsets in words. Raises DecodeError if one is unusual."""
        self._words, self._count = words, len(offsets)
        octets, halves = words.view(np.uint8), words.view(np.uint16)
        head = offsets * 4 + NLMSG_HDRLEN
        families = octets[head]
        self._numbers: dict[int, U32s] = {}
        self._lladdrs: list[bytes] = [b""] * self._count
        self._dsts: list[bytes] = [b""] * self._count
        self._has_mac = np.zeros(self._count, np.bool_)
        self._widths = np.zeros(self._count, np.uint8)  # of `dst`
        for kind, rows, at, lengths in walk(words, offsets, NDMSG.size):
            self._learn(kind, rows, at, lengths - 4)
        self._check(families)
        self.deleted: Sequence[bool] = (halves[offsets * 2 + 2] == n.RTM_DELNEIGH).tolist()
        self.family: Sequence[int] = families.tolist()
        self.ifindex: Sequence[int] = words[(head >> 2) + 1].view(np.int32).tolist()
        self.state: Sequence[int] = halves[(head >> 1) + 4].tolist()
        self.flags: Sequence[int] = octets[head + 10].tolist()

    @property
    def lladdr(self) -> Sequence[bytes]:
        """The MAC of each message; b"" if a neighbor has none."""
        return self._lladdrs

    @property
    def dst(self) -> Sequence[bytes]:
        """NDA_DST: the VTEP of an FDB entry, or b""; the address of a neighbor."""
        return self._dsts

    def number(self, kind: int) -> Iterable[int]:
        """Return an attribute of `_WIDTHS`; 0 where it is absent."""
        found = self._numbers.get(kind)
        return repeat(0, self._count) if found is None else found.tolist()

    def _learn(self, kind: int, rows: Rows, at: Index, widths: npt.NDArray[np.uint16]) -> None:
        if kind == n.NDA_LLADDR:
            _require(widths == n.ETH_ALEN)
            self._has_mac[rows] = True
            _fill(self._lladdrs, rows, self._octets(at, n.ETH_ALEN))
        elif kind == n.NDA_DST:
            _require((widths == _V4) | (widths == _V6))
            for width in (_V4, _V6):
                mine = np.flatnonzero(widths == width)
                some = mine if isinstance(rows, slice) else rows[mine]
                self._widths[some] = width
                _fill(self._dsts, some, self._octets(at[mine], width))
        elif kind in _WIDTHS:
            _require(widths == _WIDTHS[kind])
            column = self._numbers.setdefault(kind, np.zeros(self._count, np.uint32))
            column[rows] = _numbers(self._words, at, _WIDTHS[kind])

    def _octets(self, at: Index, width: int) -> list[bytes]:
        found = self._words.view(np.uint8)[(at * 4 + 4)[:, None] + np.arange(width)]
        values: list[bytes] = found.view(f"V{width}")[:, 0].tolist()
        return values

    def _check(self, families: npt.NDArray[np.uint8]) -> None:
        """Refuse a key that only one by one can be judged."""
        entry = (families == n.AF_BRIDGE) & self._has_mac
        v4 = (families == n.AF_INET) & (self._widths == _V4)
        v6 = (families == n.AF_INET6) & (self._widths == _V6)
        _require(entry | v4 | v6)


def neighbor_columns(buffer: bytes, offsets: Sequence[int]) -> NeighborColumns | None:
    """Decode the messages of `buffer`, cut at `offsets`; None: decode them one by one.

    That is so for a few messages, if one is of another type, and if one is unusual.
    """
    if len(offsets) <= FEW or len(buffer) & 3:
        return None
    words = np.frombuffer(buffer, np.uint32)
    starts = np.array(offsets, np.intp) >> 2
    lengths, types = words[starts], words.view(np.uint16)[starts * 2 + 2]
    try:
        _require((types == n.RTM_NEWNEIGH) | (types == n.RTM_DELNEIGH))
        _require((lengths >= _LEAST) & (lengths & 3 == 0))
        return NeighborColumns(words, starts)
    except DecodeError:
        return None


def _require(holds: npt.NDArray[np.bool_]) -> None:
    if not holds.all():
        raise DecodeError("an unusual neighbor message", offset=int(np.argmin(holds)))


def _fill(column: list[bytes], rows: Rows, values: list[bytes]) -> None:
    if isinstance(rows, slice):
        column[:] = values
        return
    for row, value in zip(rows.tolist(), values, strict=True):
        column[row] = value


def _numbers(words: U32s, at: Index, width: int) -> npt.NDArray[np.unsignedinteger]:
    if width == 4:
        return words[at + 1]
    return words.view(np.uint16)[at * 2 + 2] if width == 2 else words.view(np.uint8)[at * 4 + 4]
