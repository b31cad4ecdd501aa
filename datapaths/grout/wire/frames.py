"""Requests, responses and events as frames: gr_api_request, _response and _event in gr_api.h.

The headers are not in the version tables: they are the same in every version, and the version is
known only after the first response.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from datapaths.grout.wire.numbers import GR_API_MAX_MSG_LEN
from datapaths.grout.wire.table import DecodeError
from dualpath.model.routes import U8, U32

REQUEST = struct.Struct("=III")  # id, type, payload length
RESPONSE = struct.Struct("=III")  # id of the request, errno, payload length
EVENT = struct.Struct("=I4xQ")  # type, payload length
WORD = struct.Struct("=I")

HIGHEST_ERRNO = 4095  # MAX_ERRNO in linux/err.h


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Consecutive responses with payloads of one length; usually very many."""

    ids: U32  # of the requests
    errnos: U32
    payloads: U8  # (n, length)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Event:
    type: int
    payload: bytes


def request(id_: int, type_: int, payload: bytes = b"") -> bytes:
    return REQUEST.pack(id_, type_, len(payload)) + payload


class Framer:
    """Cuts a connection's bytes into frames. Raises DecodeError on an impossible header."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._start = 0

    def feed(self, data: bytes | memoryview) -> None:
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += data

    def run(self) -> Run | None:
        """Return the complete responses at the front that have one length, None without any."""
        fields = self._header(RESPONSE)
        if fields is None:
            return None
        length = fields[-1]
        size = RESPONSE.size + length
        most = (len(self._buffer) - self._start) // size
        if not most:
            return None
        frames = np.frombuffer(bytes(self._buffer[self._start : self._start + most * size]), "u1")
        frames = frames.reshape(most, size)
        headers = frames[:, : RESPONSE.size].copy().view(np.uint32)
        count = _leading(headers[:, 2] == length)
        self._start += count * size
        headers = headers[:count]
        if (headers[:, 1] > HIGHEST_ERRNO).any():
            raise DecodeError("a response with an impossible errno")
        return Run(headers[:, 0], headers[:, 1], frames[:count, RESPONSE.size :])

    def event(self) -> Event | None:
        """Return the next event, None while it is incomplete."""
        fields = self._header(EVENT)
        if fields is None:
            return None
        begin = self._start + EVENT.size
        end = begin + fields[-1]
        if end > len(self._buffer):
            return None
        self._start = end
        return Event(fields[0], bytes(self._buffer[begin:end]))

    def first_word(self) -> int | None:
        """Return the next frame's first word: the id of a response, or the type of an event."""
        if len(self._buffer) - self._start < WORD.size:
            return None
        return int(WORD.unpack_from(self._buffer, self._start)[0])

    def _header(self, header: struct.Struct) -> tuple[int, ...] | None:
        if len(self._buffer) - self._start < header.size:
            return None
        fields = header.unpack_from(self._buffer, self._start)
        if fields[-1] > GR_API_MAX_MSG_LEN:
            raise DecodeError(f"a payload of {fields[-1]} bytes", offset=self._start)
        return fields


def _leading(fits: npt.NDArray[np.bool_]) -> int:
    """Count the rows before the first that does not fit."""
    other = np.flatnonzero(~fits)
    return int(other[0]) if len(other) else len(fits)
