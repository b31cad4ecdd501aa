"""The reply to one dump request: complete, or IncompleteDump. Pure.

Only a complete dump shows which rows are absent. The kernel ends a dump in six ways, and five of
them prove nothing about the rows that did not arrive:

    NLMSG_DONE, errno 0              complete
    NLMSG_DONE, errno < 0            a row could not be written (netlink_dump_done in af_netlink.c)
    NLMSG_ERROR                      refused: ENOMEM, EBUSY, EOPNOTSUPP
    NLM_F_DUMP_INTR on any message   the table changed meanwhile: rows may be missing
    a truncated datagram             MSG_TRUNC: the rest of it is lost
    the socket ends, fails, is mute  the rest never comes

A message counts only if it has the request's sequence number and our port id. Others are skipped:
they answer an earlier request on this socket, or another process.
"""

from __future__ import annotations

import errno

import numpy as np

from dualpath.model.words import errno_name
from dualpath.netlink import numbers as n
from dualpath.netlink.message import NLMSGHDR, DecodeError, answer, cut, header

GET_TO_NEW = 2  # RTM_GETLINK is RTM_NEWLINK + 2, and so on (linux/rtnetlink.h)

_HEAD = np.dtype(
    [("length", "=u4"), ("type", "=u2"), ("flags", "=u2"), ("sequence", "=u4"), ("port", "=u4")]
)


class IncompleteDump(OSError):
    """Rows may be missing: use those that arrived, conclude nothing about others. Dump again."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)

    def __str__(self) -> str:
        return str(self.strerror)


class InterruptedDump(IncompleteDump):
    """The table changed during the dump. Dump again at once."""


class Reply:
    """Takes a reply datagram by datagram; `ended` once it was complete."""

    def __init__(self, request: bytes | bytearray, port: int) -> None:
        _, kind, _, self._sequence, _ = NLMSGHDR.unpack_from(request)
        self._row = kind - GET_TO_NEW
        self._port = port
        self._interrupted = False
        self.ended = False

    def rows(self, datagram: bytes) -> bytes:
        """Return the rows of one datagram, whole messages each. Raises IncompleteDump."""
        try:
            return self._rows(datagram)
        except DecodeError as error:
            raise IncompleteDump(errno.EBADMSG, f"malformed dump: {error}") from error

    def _rows(self, datagram: bytes) -> bytes:
        # In columns: a loop over the headers of a million routes takes seconds.
        offsets = np.array(cut(datagram), dtype=np.intp)
        raw = np.frombuffer(datagram, np.uint8)
        heads = raw[offsets[:, None] + np.arange(NLMSGHDR.size)].view(_HEAD)[:, 0]
        mine = (heads["sequence"] == self._sequence) & (heads["port"] == self._port)
        self._interrupted |= bool((heads["flags"][mine] & n.NLM_F_DUMP_INTR).any())
        ends = np.flatnonzero(mine & np.isin(heads["type"], (n.NLMSG_DONE, n.NLMSG_ERROR)))
        if len(ends):
            mine[ends[0] :] = False
        mine &= heads["type"] != n.NLMSG_NOOP
        if (strange := heads["type"][mine & (heads["type"] != self._row)]).size:
            raise IncompleteDump(errno.EBADMSG, f"message of type {strange[0]} in a dump")
        if len(ends):
            self._end(datagram, int(offsets[ends[0]]))
        if mine.all():
            return datagram
        stops = [*offsets[1:].tolist(), len(datagram)]
        return b"".join(datagram[offsets[i] : stops[i]] for i in np.flatnonzero(mine).tolist())

    def _end(self, datagram: bytes, at: int) -> None:
        message = header(datagram, at, len(datagram))
        refusal = answer(message)
        if refusal.errno:
            reason = f"the kernel refused the dump: {errno_name(refusal.errno)} {refusal.text}"
            raise IncompleteDump(refusal.errno, reason.rstrip())
        if message.type == n.NLMSG_ERROR:
            raise IncompleteDump(errno.EBADMSG, "the kernel acknowledged the dump without rows")
        if self._interrupted:
            raise InterruptedDump(errno.EINTR, "the table changed during the dump")
        self.ended = True
