"""The kernel's end of a netlink socket; its reply is queued before the request arrives."""

from __future__ import annotations

import socket
import struct

from dualpath.netlink import numbers as n
from dualpath.netlink.message import NLMSGHDR
from dualpath.netlink.socket import READ_BYTES


class Kernel:
    def __init__(self) -> None:
        self.ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, READ_BYTES)

    def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self._theirs.send(datagram)

    def received(self) -> bytes:
        """Return the next request."""
        return self._theirs.recv(READ_BYTES)

    def end(self) -> None:
        self._theirs.close()

    def close(self) -> None:
        self.ours.close()
        self._theirs.close()


def message(
    kind: int, body: bytes = b"", *, flags: int = n.NLM_F_MULTI, sequence: int = 1, port: int = 0
) -> bytes:
    return NLMSGHDR.pack(NLMSGHDR.size + len(body), kind, flags, sequence, port) + body


def row(mark: int, **head: int) -> bytes:
    """Return a row that `mark` distinguishes from others."""
    return message(n.RTM_NEWNEIGH, bytes([mark] * 12), **head)


def done(code: int = 0, **head: int) -> bytes:
    return message(n.NLMSG_DONE, struct.pack("=i", -code), **head)


def error(code: int, **head: int) -> bytes:
    """Return a refusal, or with 0 an acknowledgement."""
    return message(n.NLMSG_ERROR, struct.pack("=i", -code) + bytes(16), **{"flags": 0, **head})


LONG = row(1) * (READ_BYTES // 28 + 1)
"""A datagram larger than every receive buffer."""
