"""One netlink socket in a namespace, for requests and dumps that are few. Blocks; for a thread."""

from __future__ import annotations

import errno
import os
import socket
from typing import Self

from datapaths.linux.netns import entered
from datapaths.linux.wire import numbers as n
from datapaths.linux.wire.message import Message, answer, assemble, messages

READ_BYTES = 1 << 18
RETRIES = 20  # of dumps that changes interrupt


class Requests:
    """Every refusal is an OSError."""

    def __init__(self, netns: str) -> None:
        with entered(netns):
            self._socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
            )
        self._socket.setsockopt(n.SOL_NETLINK, n.NETLINK_GET_STRICT_CHK, 1)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def refusal(self, request: bytes) -> int:
        """Send one request; return its errno, 0 when the kernel did it."""
        self._sequence += 1
        self._socket.send(assemble([request], self._sequence))
        while True:
            for message in messages(self._socket.recv(READ_BYTES)):
                if message.type == n.NLMSG_ERROR and message.seq == self._sequence:
                    return answer(message).errno

    def dump(self, request: bytes) -> list[Message]:
        """Return a whole dump, again while changes interrupt it."""
        for _ in range(RETRIES):
            found, interrupted = self._dump(request)
            if not interrupted:
                return found
        raise OSError(errno.EAGAIN, "what is dumped changes all the time")

    def _dump(self, request: bytes) -> tuple[list[Message], bool]:
        self._sequence += 1
        self._socket.send(assemble([request], self._sequence))
        found: list[Message] = []
        interrupted = False
        while True:
            for message in messages(self._socket.recv(READ_BYTES)):
                if message.seq != self._sequence:
                    continue
                interrupted |= bool(message.flags & n.NLM_F_DUMP_INTR)
                if message.type not in (n.NLMSG_ERROR, n.NLMSG_DONE):
                    found.append(message)
                    continue
                code = answer(message).errno
                if code in (errno.ENOENT, errno.EAFNOSUPPORT):  # no such table, no IPv6
                    return [], False
                if code > 0:
                    raise OSError(code, f"cannot read: {os.strerror(code)}")
                return found, interrupted
