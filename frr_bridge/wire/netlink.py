"""Netlink headers and attributes: the walk that every decoder shares.

Every length off the wire is checked here, and nowhere else. Integers are in host byte order
unless a name says `be`. It must never interpret what an attribute means.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from frr_bridge.errors import DecodeError

NLMSGHDR = struct.Struct("=IHHII")  # struct nlmsghdr in linux/netlink.h
RTATTR = struct.Struct("=HH")  # struct rtattr in linux/rtnetlink.h
NLMSG_HDRLEN = NLMSGHDR.size
NLA_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
NLA_F_NESTED = 0x8000

NLMSG_NOOP = 1
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLMSG_OVERRUN = 4

RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
RTM_NEWADDR = 20
RTM_DELADDR = 21
RTM_GETADDR = 22
RTM_NEWROUTE = 24
RTM_DELROUTE = 25
RTM_GETROUTE = 26
RTM_NEWNEIGH = 28
RTM_DELNEIGH = 29
RTM_GETNEIGH = 30
RTM_NEWNEXTHOP = 104
RTM_DELNEXTHOP = 105
RTM_GETNEXTHOP = 106

NLM_F_REQUEST = 0x1
NLM_F_MULTI = 0x2
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300
NLM_F_CAPPED = 0x100  # in an answer: the request is not echoed
NLM_F_ACK_TLVS = 0x200  # in an answer: attributes follow

AF_UNSPEC = 0
AF_INET = 2
AF_BRIDGE = 7
AF_INET6 = 10
AF_MPLS = 28

RTNH_F_ONLINK = 4

_RTATTR = RTATTR.unpack_from
_U8 = struct.Struct("=B")
_U16 = struct.Struct("=H")
_BE16 = struct.Struct("!H")
_U32 = struct.Struct("=I")
_BE64 = struct.Struct("!Q")


class Message(NamedTuple):
    """A netlink message's header, and where the message lies in its buffer."""

    type: int
    flags: int
    sequence: int
    port: int
    start: int  # of the header
    end: int  # after the last byte, without padding

    @property
    def body(self) -> int:
        return self.start + NLMSG_HDRLEN


def messages(buffer: bytes, start: int, end: int) -> Iterator[Message]:
    """Yield the messages that lie in buffer[start:end].

    Raises DecodeError at the first header that cannot be; what follows it is lost.
    """
    while start < end:
        message = header(buffer, start, end)
        yield message
        start += (message.end - start + 3) & ~3


def header(buffer: bytes, start: int, end: int) -> Message:
    """Read the header at `start` of a message that must end by `end`."""
    length, kind, flags, sequence, port = unpack(NLMSGHDR, buffer, start, end)
    if not NLMSG_HDRLEN <= length <= end - start:
        raise DecodeError("message length", offset=start)
    return Message(kind, flags, sequence, port, start, start + length)


def unpack(layout: struct.Struct, buffer: bytes, start: int, end: int) -> tuple[int, ...]:
    """Read a fixed structure at `start` that must end by `end`."""
    if end - start < layout.size:
        raise DecodeError("message too short", offset=start)
    return layout.unpack_from(buffer, start)


class Attributes:
    """One level of attributes, by type. Of equal ones the last counts, as in the kernel."""

    __slots__ = ("_buffer", "_spans", "error")

    def __init__(self, buffer: bytes, start: int, end: int, *, partly: bool = False) -> None:
        """Read attributes; with `partly`, `error` says what ended them early."""
        self._buffer = buffer
        self.error: DecodeError | None = None
        found: list[tuple[int, int, int]] = []
        try:
            _walk(buffer, start, end, found)
        except DecodeError as error:
            if not partly:
                raise
            self.error = error
        self._spans = {kind: (a, b) for kind, a, b in found}

    def __contains__(self, kind: int) -> bool:
        return kind in self._spans

    def span(self, kind: int) -> tuple[int, int]:
        """Return where the value of an attribute that is present lies."""
        return self._spans[kind]

    def raw(self, kind: int) -> bytes:
        """Return the value, b"" when absent."""
        start, end = self._spans.get(kind, (0, 0))
        return self._buffer[start:end]

    def text(self, kind: int) -> str:
        """Return a C string, "" when absent; what is not UTF-8 is escaped."""
        return self.raw(kind).split(b"\0", 1)[0].decode(errors="backslashreplace")

    def u8(self, kind: int, default: int = 0) -> int:
        return self._integer(_U8, kind, default)

    def u16(self, kind: int, default: int = 0) -> int:
        return self._integer(_U16, kind, default)

    def be16(self, kind: int, default: int = 0) -> int:
        return self._integer(_BE16, kind, default)

    def u32(self, kind: int, default: int = 0) -> int:
        return self._integer(_U32, kind, default)

    def be64(self, kind: int, default: int = 0) -> int:
        return self._integer(_BE64, kind, default)

    def address(self, kind: int, *widths: int) -> bytes:
        """Return a value whose length is one of `widths`, b"" when absent."""
        value = self.raw(kind)
        if len(value) not in widths and kind in self._spans:
            raise DecodeError(f"width of attribute {kind}", offset=self._spans[kind][0])
        return value

    def nested(self, kind: int) -> Attributes:
        """Return the attributes inside, none when absent."""
        start, end = self._spans.get(kind, (0, 0))
        return Attributes(self._buffer, start, end)

    def _integer(self, layout: struct.Struct, kind: int, default: int) -> int:
        span = self._spans.get(kind)
        if span is None:
            return default
        if span[1] - span[0] != layout.size:
            raise DecodeError(f"width of attribute {kind}", offset=span[0])
        value: int = layout.unpack_from(self._buffer, span[0])[0]
        return value


def spans(buffer: bytes, start: int, end: int) -> list[tuple[int, int, int]]:
    """Return type, start and end of the value of each attribute in buffer[start:end]."""
    found: list[tuple[int, int, int]] = []
    _walk(buffer, start, end, found)
    return found


def _walk(buffer: bytes, start: int, end: int, found: list[tuple[int, int, int]]) -> None:
    """Append to `found` until the end, or until DecodeError."""
    while end - start >= 4:
        length, kind = _RTATTR(buffer, start)
        if not 4 <= length <= end - start:
            raise DecodeError("attribute length", offset=start)
        found.append((kind & NLA_TYPE_MASK, start + 4, start + length))
        start += (length + 3) & ~3
    if start < end:
        raise DecodeError("bytes after the last attribute", offset=start)


def attribute(kind: int, value: bytes) -> bytes:
    """Encode one attribute with its padding."""
    return RTATTR.pack(RTATTR.size + len(value), kind) + value + bytes(-len(value) % 4)


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """Encode one message; `body` is padded already."""
    return NLMSGHDR.pack(NLMSG_HDRLEN + len(body), kind, flags, sequence, 0) + body
