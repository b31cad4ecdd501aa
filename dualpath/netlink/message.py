"""Netlink messages and attributes: split, check, decode, encode. Pure.

A buffer holds messages, a message holds a fixed structure and then attributes, and an attribute may
hold attributes again. Each level starts with a length that the sender chose:

    offset 0   nlmsghdr: length 56, RTM_NEWNEIGH
          16   ndmsg, 12 bytes
          28   rtattr: length 10, NDA_LLADDR; 6 bytes of MAC; 2 bytes of padding
          40   rtattr: length 8, NDA_DST; 4 bytes of address
          48   rtattr: ...

`messages` and `Attributes` check every length against the remaining bytes. No other code walks
them, except the column decoders (`columns`), which make the same checks over whole buffers. Values
are offsets into the buffer until a caller asks for bytes: most attributes are never read.

Integers are in host byte order unless a name says `be`. Nothing here knows what an attribute means.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from dualpath.netlink import numbers as n

NLMSGHDR: Final = struct.Struct("=IHHII")  # linux/netlink.h: length, type, flags, seq, port id
RTATTR: Final = struct.Struct("=HH")  # linux/rtnetlink.h struct rtattr: length, type
NLMSG_HDRLEN: Final = NLMSGHDR.size
U32: Final = struct.Struct("=I")

_RTATTR = RTATTR.unpack_from
_U8 = struct.Struct("=B")
_U16 = struct.Struct("=H")
_BE16 = struct.Struct("!H")
_BE64 = struct.Struct("!Q")
_ERRNO: Final = struct.Struct("=i")  # struct nlmsgerr without the header that follows it
_TYPE_AND_FLAGS: Final = struct.Struct("=HH")


class DecodeError(Exception):
    """Bytes that the protocol does not allow. Skip the message, then dump again."""

    def __init__(self, reason: str, *, offset: int, raw: bytes = b"") -> None:
        super().__init__(f"{reason} (byte {offset})")
        self.reason = reason
        self.offset = offset  # into the buffer that was decoded
        self.raw = raw  # the beginning of the bad message, for the log


class Attributes:
    """One level of attributes, by type. Of equal types the last counts, as in the kernel."""

    __slots__ = ("_buffer", "_spans", "error")

    def __init__(self, buffer: bytes, start: int, end: int, *, partly: bool = False) -> None:
        """Read the attributes in buffer[start:end].

        Raises DecodeError at the first invalid length. With `partly`, the error is stored in
        `error` instead, and the attributes before it can be read.
        """
        self._buffer = buffer
        self._spans: dict[int, tuple[int, int]] = {}
        self.error: DecodeError | None = None
        while (left := end - start) >= 4:
            length, kind = _RTATTR(buffer, start)
            if not 4 <= length <= left:
                break
            self._spans[kind & n.NLA_TYPE_MASK] = (start + 4, start + length)
            start += (length + 3) & ~3
        if start < end:
            reason = "attribute length" if left >= 4 else "bytes after the last attribute"
            self.error = DecodeError(reason, offset=start)
            if not partly:
                raise self.error

    def __contains__(self, kind: int) -> bool:
        return kind in self._spans

    def spans(self) -> list[tuple[int, int, int]]:
        """Return type, start and end of each value, in order."""
        return [(kind, start, end) for kind, (start, end) in self._spans.items()]

    def span(self, kind: int) -> tuple[int, int]:
        """Return the position of the value of an attribute that is present."""
        return self._spans[kind]

    def values(self) -> dict[int, bytes]:
        """Return all values by type, for code that writes them back unchanged."""
        return {kind: self._buffer[start:end] for kind, (start, end) in self._spans.items()}

    def raw(self, kind: int) -> bytes:
        """Return the value, b"" when absent."""
        start, end = self._spans.get(kind, (0, 0))
        return self._buffer[start:end]

    def text(self, kind: int) -> str:
        """Return a C string, "" when absent; bytes that are not UTF-8 are escaped."""
        return self.raw(kind).split(b"\0", 1)[0].decode(errors="backslashreplace")

    def u8(self, kind: int, default: int = 0) -> int:
        return self._integer(_U8, kind, default)

    def u16(self, kind: int, default: int = 0) -> int:
        return self._integer(_U16, kind, default)

    def be16(self, kind: int, default: int = 0) -> int:
        return self._integer(_BE16, kind, default)

    def u32(self, kind: int, default: int = 0) -> int:
        return self._integer(U32, kind, default)

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


class Message(NamedTuple):
    """A message's header, and the position of the message in its buffer."""

    type: int
    flags: int
    sequence: int
    port: int
    buffer: bytes
    start: int  # of the header
    end: int  # after the last byte, without padding

    @property
    def payload(self) -> int:
        """Return the offset of what follows the header, as NLMSG_DATA does."""
        return self.start + NLMSG_HDRLEN

    @property
    def body(self) -> bytes:
        """Return a copy of what follows the header."""
        return self.buffer[self.start + NLMSG_HDRLEN : self.end]

    def fixed(self, layout: struct.Struct) -> tuple[int, ...]:
        """Unpack the structure that follows the header. Raises DecodeError when it is cut."""
        return unpack(layout, self.buffer, self.start + NLMSG_HDRLEN, self.end)

    def attributes(self, layout: struct.Struct, *, partly: bool = False) -> Attributes:
        """Read the attributes that follow the header and a structure. Raises DecodeError."""
        start = self.start + NLMSG_HDRLEN + layout.size
        return Attributes(self.buffer, start, self.end, partly=partly)


class Answer(NamedTuple):
    """The kernel's answer to one request, or at the end of a dump."""

    sequence: int  # the request's
    errno: int = 0  # positive; 0 is success
    text: str = ""  # extended acknowledgement, often ""


def unpack(layout: struct.Struct, buffer: bytes, start: int, end: int) -> tuple[int, ...]:
    """Read a structure at `start` that must end by `end`."""
    if end - start < layout.size:
        raise DecodeError("message too short", offset=start)
    return layout.unpack_from(buffer, start)


def header(buffer: bytes, start: int, end: int) -> Message:
    """Read the header at `start` of a message that must end by `end`."""
    if end - start < NLMSG_HDRLEN:
        raise DecodeError("message too short", offset=start)
    length, kind, flags, sequence, port = NLMSGHDR.unpack_from(buffer, start)
    if not NLMSG_HDRLEN <= length <= end - start:
        raise DecodeError("message length", offset=start)
    return Message(kind, flags, sequence, port, buffer, start, start + length)


def messages(buffer: bytes, start: int = 0, end: int | None = None) -> Iterator[Message]:
    """Yield the messages in buffer[start:end].

    Raises DecodeError at the first invalid header; everything after it is lost.
    """
    end = len(buffer) if end is None else end
    while start < end:
        message = header(buffer, start, end)
        yield message
        start += (message.end - start + 3) & ~3


def cut(buffer: bytes) -> list[int]:
    """Return the offset of every message in a buffer, for decoders of columns."""
    offsets: list[int] = []
    start, end = 0, len(buffer)
    length_at = U32.unpack_from
    while end - start >= NLMSG_HDRLEN:
        (length,) = length_at(buffer, start)
        if not NLMSG_HDRLEN <= length <= end - start:
            raise DecodeError("message length", offset=start)
        offsets.append(start)
        start += (length + 3) & ~3
    if start < end:
        raise DecodeError("message too short", offset=start)
    return offsets


def answer(message: Message) -> Answer:
    """Decode an NLMSG_ERROR (linux/netlink.h struct nlmsgerr) or an NLMSG_DONE."""
    if message.type not in (n.NLMSG_DONE, n.NLMSG_ERROR):
        raise DecodeError("not an answer", offset=message.start)
    (code,) = message.fixed(_ERRNO)
    if code > 0:
        raise DecodeError("errno", offset=message.payload)
    return Answer(message.sequence, -code, _text(message))


def _text(message: Message) -> str:
    if not message.flags & n.NLM_F_ACK_TLVS:
        return ""
    start = message.payload + _ERRNO.size
    if message.type == n.NLMSG_ERROR:
        start = _after_echo(start, message)
    return Attributes(message.buffer, start, message.end).text(n.NLMSGERR_ATTR_MSG)


def _after_echo(start: int, message: Message) -> int:
    """Return where attributes begin after the echoed request, which may be only its header."""
    length = unpack(NLMSGHDR, message.buffer, start, message.end)[0]
    if message.flags & n.NLM_F_CAPPED:
        return start + NLMSG_HDRLEN
    if not NLMSG_HDRLEN <= length <= message.end - start:
        raise DecodeError("echoed request", offset=start)
    return start + (length + 3 & ~3)


def attribute(kind: int, value: bytes) -> bytes:
    """Encode one attribute with its padding."""
    return RTATTR.pack(RTATTR.size + len(value), kind) + value + bytes(-len(value) & 3)


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, U32.pack(value))


def encode_message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """Encode one message; `body` is padded already."""
    return NLMSGHDR.pack(NLMSG_HDRLEN + len(body), kind, flags, sequence, 0) + body


def request(kind: int, flags: int, body: bytes) -> bytes:
    """Encode a request with sequence number 0; `assemble` numbers it."""
    return encode_message(kind, flags | n.NLM_F_REQUEST, 0, body)


def assemble(requests: Sequence[bytes], first: int) -> bytearray:
    """Join requests, number them from `first`, and have the last one acknowledged."""
    stream = bytearray().join(requests)
    start = last = 0
    for i, one in enumerate(requests):
        U32.pack_into(stream, start + 8, (first + i) & 0xFFFF_FFFF)
        last = start
        start += len(one)
    kind, flags = _TYPE_AND_FLAGS.unpack_from(stream, last + 4)
    _TYPE_AND_FLAGS.pack_into(stream, last + 4, kind, flags | n.NLM_F_ACK)
    return stream


def is_deletion(request: bytes) -> bool:
    """Return whether a request is of an RTM_DEL* type: they are 1 above a multiple of 4."""
    (_, kind, _, _, _) = NLMSGHDR.unpack_from(request)
    return bool(kind % 4 == 1)
