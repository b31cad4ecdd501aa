"""The file format of recordings: pcapng, which Wireshark can open. Pure.

draft-ietf-opsawg-pcapng. A recording has one section, in the byte order of the machine that wrote
it (netlink is in host byte order), and three interfaces:

    0  fpm      LINKTYPE_IPV4      zebra's bytes behind made-up IPv4 and TCP headers, port 2620
    1  netlink  LINKTYPE_NETLINK   whole messages behind the kernel's cooked header
    2  marks    LINKTYPE_USER0     text (`tape.py`), repeated as the packet's comment

The header names its writer as `dualpath recording 1`; the number is the version. A reader accepts
only this writer and version: a capture by tcpdump has no marks, so it cannot be played.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import IO, Final

APPLICATION: Final = b"dualpath recording "
VERSION: Final = b"1"
PIECE: Final = 65_000  # bytes of FPM in one packet: the length in an IPv4 header has 16 bits

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_MAGIC, _SWAPPED = 0x1A2B3C4D, 0x4D3C2B1A
_OPTION_COMMENT, _OPTION_NAME, _OPTION_APPLICATION = 1, 2, 4
_MOST = 32 << 20  # bytes of a block: a netlink datagram has less than one MiB
_LEAST = 12

_WORD = struct.Struct("=I")
_BLOCK = struct.Struct("=II")
_SECTION_BODY = struct.Struct("=IHHq")
_INTERFACE_BODY = struct.Struct("=HHI")
_PACKET_BODY = struct.Struct("=IIIII")
_OPTION = struct.Struct("=HH")
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_TCP = struct.Struct("!HHIIBBHHH")
_COOKED = struct.Struct("!HHH8sH")  # linux/if_packet.h, as libpcap writes it
_ARPHRD_NETLINK = 824
_LOOPBACK = bytes((127, 0, 0, 1))
_FPM_PORT = 2620
_PORTS = 20_000


class Feed(IntEnum):
    FPM = 0
    NETLINK = 1
    MARK = 2


_LINK_TYPES = {Feed.FPM: 228, Feed.NETLINK: 253, Feed.MARK: 147}
_HEADERS = {Feed.FPM: _IPV4.size + _TCP.size, Feed.NETLINK: _COOKED.size, Feed.MARK: 0}


class RecordingError(Exception):
    """Not a recording, or a damaged one; one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One packet of a recording, without headers."""

    at_us: int  # since the epoch
    feed: Feed
    data: bytes


def head() -> bytes:
    """Return the first bytes of a recording."""
    section = _SECTION_BODY.pack(_MAGIC, 1, 0, -1) + _option(
        _OPTION_APPLICATION, APPLICATION + VERSION
    )
    interfaces = [
        _block(
            _INTERFACE,
            _INTERFACE_BODY.pack(_LINK_TYPES[feed], 0, 0)
            + _option(_OPTION_NAME, feed.name.lower().encode()),
        )
        for feed in Feed
    ]
    return _block(_SECTION, section) + b"".join(interfaces)


def netlink(at_us: int, rows: bytes) -> bytes:
    return _packet(at_us, Feed.NETLINK, _COOKED.pack(0, _ARPHRD_NETLINK, 0, bytes(8), 0) + rows)


def mark(at_us: int, text: str) -> bytes:
    data = text.encode()
    return _packet(at_us, Feed.MARK, data, _option(_OPTION_COMMENT, data))


def fpm(at_us: int, session: int, position: int, data: bytes) -> bytes:
    """Return packets for bytes of a session, given their position in its stream."""
    pieces = (range(start, min(start + PIECE, len(data))) for start in range(0, len(data), PIECE))
    return b"".join(
        _packet(
            at_us,
            Feed.FPM,
            _tcp(session, position + piece.start, len(piece)) + data[piece.start : piece.stop],
        )
        for piece in pieces
    )


def _tcp(session: int, position: int, size: int) -> bytes:
    """Make up the headers of a segment: Wireshark shows each session as a connection of its own."""
    port = 40_000 + session % _PORTS
    sequence = (position + 1) & 0xFFFF_FFFF
    length = _IPV4.size + _TCP.size + size
    ipv4 = _IPV4.pack(0x45, 0, length, 0, 0, 64, 6, 0, _LOOPBACK, _LOOPBACK)
    total = sum(struct.unpack("!10H", ipv4))
    total = (total & 0xFFFF) + (total >> 16)
    ipv4 = ipv4[:10] + struct.pack("!H", ~total & 0xFFFF) + ipv4[12:]
    return ipv4 + _TCP.pack(port, _FPM_PORT, sequence, 1, 0x50, 0x18, 0xFFFF, 0, 0)


def _packet(at_us: int, feed: Feed, data: bytes, options: bytes = b"") -> bytes:
    body = _PACKET_BODY.pack(feed, at_us >> 32, at_us & 0xFFFF_FFFF, len(data), len(data))
    return _block(_PACKET, body + _padded(data) + options)


def _block(kind: int, body: bytes) -> bytes:
    size = _LEAST + len(body)
    return _BLOCK.pack(kind, size) + body + _WORD.pack(size)


def _option(code: int, value: bytes) -> bytes:
    return _OPTION.pack(code, len(value)) + _padded(value) + _OPTION.pack(0, 0)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) & 3)


# -- reading ------------------------------------------------------------------------------


def is_recording(start: bytes) -> bool:
    """Return whether the first bytes of a file (64 are enough) are those of a recording."""
    return start[:4] == _WORD.pack(_SECTION) and APPLICATION in start[:64]


def read(stream: IO[bytes]) -> Iterator[Entry]:
    """Yield the packets of a file. Trusts nothing in it. Raises RecordingError."""
    at = _check_section(stream)
    interfaces = 0
    while block := _next_block(stream, at):
        kind, body = block
        if kind == _PACKET:
            yield _entry(body, at)
        elif kind == _INTERFACE:
            _check_interface(body, interfaces, at)
            interfaces += 1
        elif kind == _SECTION:
            raise RecordingError(f"another file begins at byte {at}: replay one after the other")
        at += _LEAST + len(body)


def _check_section(stream: IO[bytes]) -> int:
    """Read the section header; return where it ends."""
    start = stream.read(_BLOCK.size + 4)
    if len(start) < _BLOCK.size + 4 or _WORD.unpack_from(start)[0] != _SECTION:
        raise RecordingError("not a recording of frr-bridge; `frr-bridge --record FILE` makes one")
    magic = _WORD.unpack_from(start, _BLOCK.size)[0]
    if magic == _SWAPPED:
        raise RecordingError(
            "made on a machine of the other byte order; netlink messages can only be read on one "
            "of the same"
        )
    size = _BLOCK.unpack_from(start)[1]
    if magic != _MAGIC or not _LEAST + _SECTION_BODY.size <= size <= 4096 or size % 4:
        raise RecordingError("not a recording of frr-bridge: the pcapng header is damaged")
    rest = stream.read(size - len(start))
    options = rest[_SECTION_BODY.size - 4 : -4]
    application = _find_option(options, _OPTION_APPLICATION)
    if not application.startswith(APPLICATION):
        raise RecordingError(
            "a capture of another program; only a recording of frr-bridge can be replayed"
        )
    version = application.removeprefix(APPLICATION)
    if version != VERSION:
        raise RecordingError(
            f"version {version[:9].decode(errors='replace')!r} of the format; this dualpath reads "
            f"version {VERSION.decode()}: use the dualpath that made it"
        )
    return int(size)


def _next_block(stream: IO[bytes], at: int) -> tuple[int, bytes] | None:
    start = stream.read(_BLOCK.size)
    if not start:
        return None
    if len(start) < _BLOCK.size:
        raise _cut(at)
    kind, size = _BLOCK.unpack(start)
    if not _LEAST <= size <= _MOST or size % 4:
        raise RecordingError(f"damaged at byte {at}: a block of {size} bytes")
    rest = stream.read(size - _BLOCK.size)
    if len(rest) < size - _BLOCK.size:
        raise _cut(at)
    if _WORD.unpack_from(rest, len(rest) - 4)[0] != size:
        raise RecordingError(f"damaged at byte {at}: a block with two lengths")
    return kind, rest[:-4]


def _cut(at: int) -> RecordingError:
    return RecordingError(f"cut off at byte {at}; what was before is whole")


def _check_interface(body: bytes, number: int, at: int) -> None:
    types = list(_LINK_TYPES.values())
    if (
        len(body) < _INTERFACE_BODY.size
        or number >= len(types)
        or _INTERFACE_BODY.unpack_from(body)[0] != types[number]
    ):
        raise RecordingError(f"damaged at byte {at}: interface {number} is not of a recording")


def _entry(body: bytes, at: int) -> Entry:
    if len(body) < _PACKET_BODY.size:
        raise RecordingError(f"damaged at byte {at}: a packet without a header")
    interface, high, low, size, _ = _PACKET_BODY.unpack_from(body)
    if interface >= len(Feed) or size > len(body) - _PACKET_BODY.size:
        raise RecordingError(f"damaged at byte {at}: a packet that cannot be")
    feed = Feed(interface)
    if size < _HEADERS[feed]:
        raise RecordingError(f"damaged at byte {at}: a packet without its headers")
    start = _PACKET_BODY.size
    return Entry(high << 32 | low, feed, body[start + _HEADERS[feed] : start + size])


def _find_option(options: bytes, wanted: int) -> bytes:
    start = 0
    while len(options) - start >= _OPTION.size:
        code, size = _OPTION.unpack_from(options, start)
        start += _OPTION.size
        if not code or size > len(options) - start:
            break
        if code == wanted:
            return options[start : start + size]
        start += (size + 3) & ~3
    return b""
