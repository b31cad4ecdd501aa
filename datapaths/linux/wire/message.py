"""Netlink messages and attributes: cut, checked and built. Pure.

Every decoder of this package takes its lengths from `cut`, `messages` and `attributes`, which
check them against the bytes that remain.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from datapaths.linux.wire import numbers as n

NLMSGHDR: Final = struct.Struct("=IHHII")  # linux/netlink.h: len, type, flags, seq, pid
RTATTR: Final = struct.Struct("=HH")  # linux/rtnetlink.h struct rtattr: len, type
U32: Final = struct.Struct("=I")
_ERROR: Final = struct.Struct("=i")  # struct nlmsgerr without the header that follows it
_TYPE_AND_FLAGS: Final = struct.Struct("=HH")


class DecodeError(Exception):
    """Bytes that cannot be what the protocol says. Skip them, then look again."""

    def __init__(self, reason: str, *, offset: int) -> None:
        super().__init__(f"{reason} (byte {offset})")


class Message(NamedTuple):
    """One message without its header."""

    type: int
    flags: int
    seq: int
    pid: int
    body: bytes


class Answer(NamedTuple):
    """What the kernel says of one request."""

    seq: int
    errno: int  # 0 is an acknowledgement
    text: str  # extended acknowledgement, often ""


def cut(data: bytes) -> list[int]:
    """Return the offset of every message in what one or more reads returned."""
    offsets: list[int] = []
    start, end = 0, len(data)
    unpack = U32.unpack_from
    while end - start >= NLMSGHDR.size:
        (length,) = unpack(data, start)
        if not NLMSGHDR.size <= length <= end - start:
            raise DecodeError(f"message of {length} bytes, {end - start} are there", offset=start)
        offsets.append(start)
        start += (length + 3) & ~3
    if start < end:
        raise DecodeError(f"{end - start} bytes are no message", offset=start)
    return offsets


def messages(data: bytes) -> Iterator[Message]:
    for offset in cut(data):
        length, type_, flags, seq, pid = NLMSGHDR.unpack_from(data, offset)
        yield Message(type_, flags, seq, pid, data[offset + NLMSGHDR.size : offset + length])


def attributes(body: bytes, start: int) -> dict[int, bytes]:
    """Return the attributes that begin at `start`, by type; of equal ones the last."""
    found: dict[int, bytes] = {}
    end = len(body)
    while end - start >= RTATTR.size:
        length, type_ = RTATTR.unpack_from(body, start)
        if not RTATTR.size <= length <= end - start:
            raise DecodeError(f"attribute {type_} of {length} bytes", offset=start)
        found[type_ & n.NLA_TYPE_MASK] = body[start + RTATTR.size : start + length]
        start += (length + 3) & ~3
    return found


def header(layout: struct.Struct, body: bytes) -> tuple[int, ...]:
    """Unpack the fixed part of a message."""
    if len(body) < layout.size:
        raise DecodeError(f"{len(body)} bytes instead of {layout.size}", offset=0)
    return layout.unpack_from(body)


def number(value: bytes) -> int:
    """Read a u8, u16 or u32 attribute."""
    if len(value) not in (1, 2, 4):
        raise DecodeError(f"number of {len(value)} bytes", offset=0)
    return int.from_bytes(value, sys.byteorder)


def text(value: bytes) -> str:
    return value.split(b"\0", 1)[0].decode("utf-8", "replace")


def answer(message: Message) -> Answer:
    """Read an NLMSG_ERROR (linux/netlink.h struct nlmsgerr), or what ends a dump."""
    (error,) = header(_ERROR, message.body)
    if message.type != n.NLMSG_ERROR or not message.flags & n.NLM_F_ACK_TLVS:
        return Answer(message.seq, -error, "")
    start = _ERROR.size + NLMSGHDR.size
    if not message.flags & n.NLM_F_CAPPED:
        (length,) = header(U32, message.body[_ERROR.size :])
        start = _ERROR.size + ((length + 3) & ~3)
    said = attributes(message.body, start).get(n.NLMSGERR_ATTR_MSG, b"")
    return Answer(message.seq, -error, text(said))


def attribute(type_: int, value: bytes) -> bytes:
    return RTATTR.pack(RTATTR.size + len(value), type_) + value + bytes(-len(value) & 3)


def u32(type_: int, value: int) -> bytes:
    return attribute(type_, U32.pack(value))


def request(type_: int, flags: int, body: bytes) -> bytes:
    """Return a message with sequence number 0; `assemble` numbers it."""
    length = NLMSGHDR.size + len(body)
    return NLMSGHDR.pack(length, type_, flags | n.NLM_F_REQUEST, 0, 0) + body


def assemble(requests: Sequence[bytes], first: int) -> bytearray:
    """Join requests, number them from `first`, and ask for an answer to the last."""
    stream = bytearray().join(requests)
    start = last = 0
    for i, one in enumerate(requests):
        U32.pack_into(stream, start + 8, (first + i) & 0xFFFF_FFFF)
        last = start
        start += len(one)
    type_, flags = _TYPE_AND_FLAGS.unpack_from(stream, last + 4)
    _TYPE_AND_FLAGS.pack_into(stream, last + 4, type_, flags | n.NLM_F_ACK)
    return stream


def is_deletion(request: bytes) -> bool:
    """Tell whether a request is of an RTM_DEL* type: they are 1 above a multiple of 4."""
    (_, type_, _, _, _) = NLMSGHDR.unpack_from(request)
    return bool(type_ % 4 == 1)
