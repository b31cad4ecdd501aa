"""FPM framing: one connection's byte stream to netlink payloads, and back.

All frames of a buffer are found at once. Every aligned word that could be a header is a candidate;
a candidate is a header if the frame before it ends there. Where the chain leaves the candidates
(another frame type, a length that is no multiple of 4) the rest is walked frame by frame.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dualpath.netlink.message import DecodeError

HEADER = struct.Struct("!BBH")  # fpm_msg_hdr_t in fpm/fpm.h: version, type, length of all
VERSION = 1
NETLINK = 1  # FPM_MSG_TYPE_NETLINK

MAX_FRAME = 0xFFFF
SMALL = 4096  # bytes up to which the walk is faster than the search
MAX_BREAKS = 64  # false candidates in one buffer, beyond which it is faster again

Offsets = npt.NDArray[np.int64]

_MAGIC = VERSION << 8 | NETLINK


class FramingError(DecodeError):
    """The stream cannot be followed any more. Drop the connection; zebra will replay."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Complete netlink frames, in order."""

    buffer: bytes
    offsets: Offsets  # of each frame's FPM header in `buffer`

    def __len__(self) -> int:
        return len(self.offsets)

    def payloads(self) -> list[memoryview]:
        """Return the contents of each frame: one or more netlink messages."""
        view = memoryview(self.buffer)
        return [
            view[at + HEADER.size : at + HEADER.unpack_from(view, at)[2]]
            for at in self.offsets.tolist()
        ]


class FpmFramer:
    """Cuts one connection's byte stream into frames."""

    def __init__(self) -> None:
        self._tail = b""  # an incomplete frame; under 64 KiB, as the length is 16 bits
        self.skipped = 0  # frames of a type other than NETLINK, so far

    @property
    def tail(self) -> bytes:
        """Return the bytes of a frame that is not complete yet."""
        return self._tail

    def feed(self, data: bytes) -> Frames:
        """Return every frame that `data` completes, in order, in a buffer of their own.

        Best in pieces of 64 KiB to 1 MiB: larger ones exceed the processor's cache and block the
        event loop. A frame is never split: its messages are returned together.
        Raises FramingError on an impossible header. The header has no magic number to search for,
        so the caller must drop the connection.
        """
        buffer = self._tail + data if self._tail else data
        offsets, end, skipped = scan(buffer)
        self._tail = buffer[end:]
        self.skipped += skipped
        return Frames(buffer, offsets)


def frame(payload: bytes) -> bytes:
    """Wrap netlink messages for zebra. Raises ValueError when they are too long for one frame."""
    length = HEADER.size + len(payload)
    if length > MAX_FRAME:
        raise ValueError(f"{len(payload)} bytes do not fit into one FPM frame")
    return HEADER.pack(VERSION, NETLINK, length) + payload


def scan(buffer: bytes) -> tuple[Offsets, int, int]:
    """Return the offsets of all complete netlink frames, their end, and frames skipped."""
    found: list[Offsets] = []
    start = 0
    if len(buffer) > SMALL:
        found, start = _search(buffer)
    walked, end, skipped = _walk(buffer, start)
    found.append(np.array(walked, np.int64))
    return (found[0] if len(found) == 1 else np.concatenate(found)), end, skipped


def _walk(buffer: bytes, start: int) -> tuple[list[int], int, int]:
    """Follow the frames from `start` one by one."""
    offsets: list[int] = []
    skipped = 0
    size = len(buffer)
    while size - start >= HEADER.size:
        version, kind, length = HEADER.unpack_from(buffer, start)
        if version != VERSION or length < HEADER.size:
            raise FramingError("FPM header", offset=start, raw=buffer[start : start + 16])
        if length > size - start:
            break
        if kind == NETLINK:
            offsets.append(start)
        else:
            skipped += 1
        start += length
    return offsets, start, skipped


def _search(buffer: bytes) -> tuple[list[Offsets], int]:
    """Find frames from offset 0 on, as long as the candidates form a chain, and its end."""
    candidates, following = _candidates(buffer)
    if not len(candidates) or candidates[0]:
        return [], 0
    # Where a candidate is not followed by the next one, either a false one lies between, or the
    # chain leaves the candidates. Only there is Python at work.
    breaks = np.append(np.flatnonzero(following[:-1] != candidates[1:]), len(candidates) - 1)
    runs: list[Offsets] = []
    first = 0
    end = 0
    for _ in range(MAX_BREAKS):
        last = int(breaks[np.searchsorted(breaks, first)])
        runs.append(candidates[first : last + 1])
        end = int(following[last])
        first = last + int(np.searchsorted(candidates[last:], end))
        if first == len(candidates) or candidates[first] != end:
            break
    return runs, end


def _candidates(buffer: bytes) -> tuple[Offsets, Offsets]:
    """Return where a whole, aligned netlink frame could start, and where it would end."""
    halves = np.frombuffer(buffer, ">u2", len(buffer) // 4 * 2)
    words = np.flatnonzero(halves[0::2] == _MAGIC)
    lengths = halves[words * 2 + 1].astype(np.int64)
    starts = words * 4
    ends = starts + lengths
    keep = (lengths >= HEADER.size) & (lengths % 4 == 0) & (ends <= len(buffer))
    if keep.all():
        return starts, ends
    return starts[keep], ends[keep]
