"""One netlink dump: whole, or a DumpError.

Only a whole dump says what is gone. The kernel ends a dump in six ways, and five of them say
nothing about the rows that did not come:

    NLMSG_DONE, errno 0              whole
    NLMSG_DONE, errno < 0            a row could not be written (netlink_dump_done in af_netlink.c)
    NLMSG_ERROR                      refused: ENOMEM, EBUSY, EOPNOTSUPP
    NLM_F_DUMP_INTR on any message   what is dumped changed meanwhile: rows may be missing
    a datagram that was cut          MSG_TRUNC: the rest of it is lost
    the socket ends, fails, is mute  the rest never comes

A reply counts only with the request's sequence number, with our port id, from the kernel (port 0).
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator

from frr_bridge.errors import DecodeError
from frr_bridge.wire import request
from frr_bridge.wire.netlink import (
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSG_NOOP,
    NLMSG_OVERRUN,
    Message,
    header,
)

DATAGRAM = 1 << 17  # bytes; the kernel sends a dump in pieces of at most 32 KiB
ANSWER_S = 10.0  # the kernel writes the first piece before `send` returns
_GET_TO_NEW = 2  # RTM_GETLINK is RTM_NEWLINK + 2, and so on (linux/rtnetlink.h)


class DumpError(Exception):
    """The dump is not whole: believe the rows that came, and nothing of those that did not."""


class Interrupted(DumpError):
    """What was dumped changed meanwhile. Dump again at once."""


class Reply:
    """The reply to one dump request, datagram by datagram; `done` once it was whole. Pure."""

    def __init__(self, wanted: bytes, port: int) -> None:
        asked = header(wanted, 0, len(wanted))
        self._row = asked.type - _GET_TO_NEW
        self._sequence = asked.sequence
        self._port = port
        self._interrupted = False
        self.done = False

    def rows(self, datagram: bytes) -> Iterator[Message]:
        """Yield the rows of one datagram. Raises DumpError when the dump is not whole."""
        try:
            for message in request.split(datagram):
                if (message.sequence, message.port) != (self._sequence, self._port):
                    continue
                self._interrupted |= bool(message.flags & NLM_F_DUMP_INTR)
                if message.type in {NLMSG_DONE, NLMSG_ERROR}:
                    self._end(datagram, message)
                    return
                if message.type == NLMSG_NOOP:
                    continue
                if message.type != self._row:
                    what = "overrun" if message.type == NLMSG_OVERRUN else f"type {message.type}"
                    raise DumpError(f"the reply holds a message of {what}")
                yield message
        except DecodeError as error:
            raise DumpError(f"the reply makes no sense: {error}") from error

    def _end(self, datagram: bytes, message: Message) -> None:
        said = request.answer(datagram, message)
        if said.errno:
            name = errno.errorcode.get(said.errno, str(said.errno))
            raise DumpError(f"the kernel refused it: {name} {said.text}".rstrip())
        if message.type == NLMSG_ERROR:
            raise DumpError("the kernel acknowledged it and sent no rows")
        if self._interrupted:
            raise Interrupted("the kernel changed what it dumped")
        self.done = True


async def dump(
    asking: socket.socket, wanted: bytes, on_row: Callable[[bytes, Message], object]
) -> None:
    """Send a dump request on a socket of its own; call `on_row` for each row.

    Raises DumpError when the dump is not whole; rows that came until then were passed on.
    """
    port = asking.getsockname()[0] if asking.family == socket.AF_NETLINK else 0
    reply = Reply(wanted, port)
    try:
        async with asyncio.timeout(ANSWER_S) as limit:
            asking.send(wanted)
            while not reply.done:
                datagram = await _receive(asking)
                limit.reschedule(asyncio.get_running_loop().time() + ANSWER_S)
                for message in reply.rows(datagram):
                    on_row(datagram, message)
                await asyncio.sleep(0)
    except TimeoutError:
        raise DumpError(f"the kernel did not answer for {ANSWER_S:.0f} s") from None
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, repr(error))
        raise DumpError(f"the socket failed: {name}") from error


async def _receive(asking: socket.socket) -> bytes:
    """Return the next datagram that the kernel sent. Raises OSError or DumpError."""
    while True:
        try:
            datagram, _, flags, sender = asking.recvmsg(DATAGRAM)
        except BlockingIOError:
            await _readable(asking)
            continue
        if flags & socket.MSG_TRUNC:
            raise DumpError(f"a datagram was longer than {DATAGRAM} bytes")
        if not datagram:
            raise DumpError("the socket was closed")
        if not sender or sender[0] == 0:
            return datagram


async def _readable(asking: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(asking.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(asking.fileno())
