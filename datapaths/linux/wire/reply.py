"""The kernel's reply to one dump request: whole, or NotWhole. Pure.

Only a whole dump says what is absent. Not whole is one that ends with NLMSG_ERROR, or with an errno
in NLMSG_DONE; one that changed under way (NLM_F_DUMP_INTR); and one that was cut. Messages with
another sequence number or port id than the request's are somebody else's, and are passed over.
"""

from __future__ import annotations

import errno
import os

import numpy as np

from datapaths.linux.wire import numbers as n
from datapaths.linux.wire.message import NLMSGHDR, DecodeError, Message, answer, cut

GET_TO_NEW = 2  # RTM_GETLINK is RTM_NEWLINK + 2, and so on

_HEAD = np.dtype(
    [("length", "=u4"), ("type", "=u2"), ("flags", "=u2"), ("seq", "=u4"), ("pid", "=u4")]
)


class NotWhole(Exception):
    """Rows may be missing from this dump: it says nothing of what is absent. Dump again."""

    def __init__(self, reason: str, number: int = errno.EIO) -> None:
        super().__init__(reason)
        self.errno = number


class Interrupted(NotWhole):
    """What was dumped changed meanwhile."""


class Reply:
    """Takes a reply datagram by datagram; `ended` once it was whole."""

    def __init__(self, request: bytes | bytearray, port: int) -> None:
        _, type_, _, self._seq, _ = NLMSGHDR.unpack_from(request)
        self._row = type_ - GET_TO_NEW
        self._port = port
        self._interrupted = False
        self.ended = False

    def rows(self, data: bytes) -> bytes:
        """Return the rows of one datagram, whole messages each. Raises NotWhole."""
        try:
            return self._rows(data)
        except DecodeError as error:
            raise NotWhole(f"a dump makes no sense: {error}") from error

    def _rows(self, data: bytes) -> bytes:
        offsets = np.array(cut(data), dtype=np.intp)
        raw = np.frombuffer(data, np.uint8)
        heads = raw[offsets[:, None] + np.arange(NLMSGHDR.size)].view(_HEAD)[:, 0]
        mine = (heads["seq"] == self._seq) & (heads["pid"] == self._port)
        self._interrupted |= bool((heads["flags"][mine] & n.NLM_F_DUMP_INTR).any())
        ends = np.flatnonzero(mine & np.isin(heads["type"], (n.NLMSG_DONE, n.NLMSG_ERROR)))
        if len(ends):
            mine[ends[0] :] = False
        mine &= heads["type"] != n.NLMSG_NOOP
        if (strange := heads["type"][mine & (heads["type"] != self._row)]).size:
            raise NotWhole(f"a dump holds a message of type {strange[0]}")
        if len(ends):
            self._end(data, int(offsets[ends[0]]))
        if mine.all():
            return data
        stops = [*offsets[1:].tolist(), len(data)]
        return b"".join(data[offsets[i] : stops[i]] for i in np.flatnonzero(mine).tolist())

    def _end(self, data: bytes, at: int) -> None:
        length, type_, flags, seq, pid = NLMSGHDR.unpack_from(data, at)
        said = answer(Message(type_, flags, seq, pid, data[at + NLMSGHDR.size : at + length]))
        if said.errno:
            why = os.strerror(abs(said.errno))
            raise NotWhole(f"dump refused, {why} {said.text}".rstrip(), abs(said.errno))
        if type_ == n.NLMSG_ERROR:
            raise NotWhole("a dump was acknowledged and has no rows")
        if self._interrupted:
            raise Interrupted("what is dumped changed meanwhile", errno.EINTR)
        self.ended = True
