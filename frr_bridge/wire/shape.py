"""The shape of a route message: the message with its values blanked out.

zebra sends routes in a handful of shapes. `shape_of` reads one message attribute by attribute and
notes where each attribute header lies. Every other message with the same words in those places has
the same fields in the same places, so their values are columns of a block:

    word   0-3       4-6    7          8        9          10       11         12
           nlmsghdr  rtmsg  hdr DST    address  hdr TABLE  number   hdr NH_ID  number
    match                   must equal          must equal          must equal
    values                             prefix              table               nexthop id

A shape must claim a row only where the scalar decoder (`route`) returns the same. In doubt it
claims none, and the row is decoded one by one.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from dualpath.model.nexthops import FIRST_RESERVED, NexthopType
from dualpath.model.routes import U8, U32, Family
from dualpath.netlink.message import NLMSG_HDRLEN, RTATTR, DecodeError, Message
from dualpath.netlink.numbers import (
    RTA_DST,
    RTA_ENCAP,
    RTA_ENCAP_TYPE,
    RTA_GATEWAY,
    RTA_MULTIPATH,
    RTA_NH_ID,
    RTA_OIF,
    RTA_SRC,
    RTA_TABLE,
    RTA_VIA,
    RTM_DELROUTE,
    RTN_UNICAST,
    RTNH_F_ONLINK,
)
from frr_bridge.wire.inline import FPM_NH_ENCAP_VXLAN, MAX_VNI, VXLAN_VNI, InlineNexthop
from frr_bridge.wire.route import DROPS, FAMILIES, RTMSG

Mask = npt.NDArray[np.bool_]
Intern = Callable[[InlineNexthop], int]

_ATTRIBUTES = NLMSG_HDRLEN + RTMSG.size
_FLAGS = (_ATTRIBUTES - 4) // 4  # rtm_flags, as a word of the message
# Fields of struct rtmsg, as bytes of the message.
_DST_LEN, _SRC_LEN, _TABLE, _PROTOCOL, _TYPE = 17, 18, 20, 21, 23

_SCALAR_ONLY = {RTA_SRC, RTA_MULTIPATH, RTA_VIA}
_WORD_ATTRIBUTES = {RTA_TABLE, RTA_NH_ID, RTA_OIF}
_ENCAP = struct.Struct("=HHI")  # one attribute of one word inside RTA_ENCAP
_ENCAP_TYPE = struct.Struct("=H")
_FACTORS = np.random.default_rng(1).integers(0, 1 << 63, 8, np.uint64) * np.uint64(2) + np.uint64(1)


def _netmasks(family: Family) -> U32:
    """Return the netmask of every prefix length, as the words lie in a message."""
    bits = family.width * 8
    masks = b"".join(
        ((1 << bits) - (1 << (bits - length))).to_bytes(family.width) for length in range(bits + 1)
    )
    return np.frombuffer(masks, np.uint32).reshape(bits + 1, family.width // 4)


_NETMASKS = {family: _netmasks(family) for family in Family}
_DROP_TABLE = np.zeros(256, np.uint32)  # rtm_type to the reserved identity, 0 is none
for _kind, _drop in DROPS.items():
    _DROP_TABLE[_kind] = FIRST_RESERVED + _drop


@dataclass(frozen=True, slots=True)
class Shape:
    """Where the fields of a route message lie, in words of 4 bytes from its header; 0 is absent."""

    family: Family
    deleted: bool
    headers: tuple[tuple[int, int], ...]  # position and value of each attribute's header
    dst: int
    table: int = 0
    nexthop_id: int = 0
    gateway: int = 0
    oif: int = 0
    vni: int = 0
    encap_type: int = 0

    def match(self, block: U32) -> Mask:
        """Return which rows of `block`, one message each, have this shape and valid values."""
        octets = block.view(np.uint8)
        found: Mask = octets[:, _DST_LEN] <= self.family.width * 8
        found &= octets[:, _SRC_LEN] == 0
        for position, value in self.headers:
            found &= block[:, position] == value
        found &= self._tables(block) != 0
        if not self.deleted:
            found &= self._has_nexthop(block, octets[:, _TYPE])
        return found

    def _has_nexthop(self, block: U32, kinds: U8) -> Mask:
        if not (self.nexthop_id or self.gateway or self.oif):
            drops: Mask = _DROP_TABLE[kinds] != 0
            return drops
        found: Mask = kinds == RTN_UNICAST
        if self.nexthop_id:
            found &= block[:, self.nexthop_id] != 0
            return found
        if not self.gateway:
            found &= block[:, self.oif] != 0
        if self.vni:
            kind = block.view(np.uint16)[:, self.encap_type * 2]
            found &= (kind == FPM_NH_ENCAP_VXLAN) & (block[:, self.vni] <= MAX_VNI)
        return found

    def tables(self, block: U32) -> U32:
        return np.ascontiguousarray(self._tables(block), np.uint32)

    def _tables(self, block: U32) -> npt.NDArray[np.unsignedinteger]:
        return block[:, self.table] if self.table else block.view(np.uint8)[:, _TABLE]

    def lengths(self, block: U32) -> U8:
        return block.view(np.uint8)[:, _DST_LEN].copy()

    def protocols(self, block: U32) -> U8:
        if self.deleted:
            return np.zeros(len(block), np.uint8)
        return block.view(np.uint8)[:, _PROTOCOL].copy()

    def prefixes(self, block: U32, lengths: U8) -> U8:
        """Return the prefixes with their host bits cleared."""
        width = self.family.width
        words = block[:, self.dst : self.dst + width // 4] & _NETMASKS[self.family][lengths]
        return words.view(np.uint8).reshape(-1, width)

    def nexthops(self, block: U32, by_id: Callable[[U32], U32], inline: Intern) -> U32:
        """Return an identity for every row."""
        if self.deleted:
            return np.zeros(len(block), np.uint32)
        if self.nexthop_id:
            return by_id(block[:, self.nexthop_id].copy())
        if not (self.gateway or self.oif):
            return _DROP_TABLE[block.view(np.uint8)[:, _TYPE]]
        return self._inline(block, inline)

    def _inline(self, block: U32, inline: Intern) -> U32:
        """Intern every distinct nexthop once."""
        width = self.family.width // 4 if self.gateway else 0
        keys = np.zeros((len(block), width + 3), np.uint32)
        keys[:, :width] = block[:, self.gateway : self.gateway + width]
        if self.oif:
            keys[:, width] = block[:, self.oif]
        if self.vni:
            keys[:, width + 1] = block[:, self.vni]
        keys[:, width + 2] = block[:, _FLAGS] & RTNH_F_ONLINK
        first, inverse = distinct(keys)
        kind = NexthopType.GATEWAY if self.gateway else NexthopType.DEVICE
        found = keys[first]
        gateways = found[:, :width].tobytes()
        identities = [
            inline(_hop(kind, gateways[i * width * 4 : (i + 1) * width * 4], oif, vni, onlink))
            for i, (oif, vni, onlink) in enumerate(found[:, width:].tolist())
        ]
        return np.array(identities, np.uint32)[inverse]


@lru_cache(4096)
def _hop(kind: NexthopType, gateway: bytes, oif: int, vni: int, onlink: int) -> InlineNexthop:
    """Return a nexthop; equal ones are the same object, because a dict finds that faster."""
    return InlineNexthop(kind, gateway, oif, vni, bool(onlink))


def shape_of(message: Message) -> Shape | None:
    """Return the shape of a route message; None when only the scalar decoder can decode it."""
    buffer = message.buffer
    family = FAMILIES.get(message.fixed(RTMSG)[0])
    if family is None:
        return None
    try:
        attributes = message.attributes(RTMSG).spans()
    except DecodeError:
        return None
    if sum(end - start + 7 & ~3 for _, start, end in attributes) != (
        message.end - message.start - _ATTRIBUTES
    ):
        return None  # two attributes of one type: only the last counts
    deleted = message.type == RTM_DELROUTE
    position: dict[int, int] = {}
    headers: list[tuple[int, int]] = []
    for kind, start, end in attributes:
        if not _is_plain(kind, end - start, family.width, deleted):
            return None
        at = (start - message.start) // 4
        position[kind] = at
        headers.append((at - 1, _word(buffer, start - RTATTR.size)))
        if kind == RTA_ENCAP and not deleted:
            headers.append((at, _word(buffer, start)))
    if RTA_DST not in position or not _encap_is_vxlan(buffer, message.start, position, deleted):
        return None
    encapsulated = RTA_ENCAP_TYPE in position and not deleted
    return Shape(
        family=family,
        deleted=deleted,
        headers=tuple(headers),
        dst=position[RTA_DST],
        table=position.get(RTA_TABLE, 0),
        nexthop_id=position.get(RTA_NH_ID, 0),
        gateway=position.get(RTA_GATEWAY, 0),
        oif=position.get(RTA_OIF, 0),
        vni=position[RTA_ENCAP] + 1 if encapsulated else 0,
        encap_type=position[RTA_ENCAP_TYPE] if encapsulated else 0,
    )


def _is_plain(kind: int, size: int, width: int, deleted: bool) -> bool:
    """Return whether an attribute can be a column, or can be ignored."""
    if kind == RTA_SRC:
        return False
    if kind == RTA_DST:
        return size == width
    if kind == RTA_TABLE:
        return size == 4
    if deleted:
        return True
    if kind == RTA_GATEWAY:
        return size == width
    if kind == RTA_ENCAP_TYPE:
        return size == _ENCAP_TYPE.size
    if kind == RTA_ENCAP:
        return size == _ENCAP.size
    return kind not in _SCALAR_ONLY and (kind not in _WORD_ATTRIBUTES or size == 4)


def _encap_is_vxlan(buffer: bytes, start: int, position: dict[int, int], deleted: bool) -> bool:
    if deleted:
        return True
    if RTA_ENCAP_TYPE not in position:
        return RTA_ENCAP not in position
    if RTA_ENCAP not in position:
        return False
    length, kind, _ = _ENCAP.unpack_from(buffer, start + position[RTA_ENCAP] * 4)
    return bool(length == _ENCAP.size and kind & 0x3FFF == VXLAN_VNI)


def _word(buffer: bytes, start: int) -> int:
    return int.from_bytes(buffer[start : start + 4], sys.byteorder)


def distinct(keys: U32) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return a row index of each distinct row, and for every row which of those it equals."""
    if (keys == keys[0]).all():
        return np.zeros(1, np.intp), np.zeros(len(keys), np.intp)
    hashes = keys @ _FACTORS[: keys.shape[1]]
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    if not np.array_equal(keys[first][inverse], keys):  # two rows of one hash
        _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)
