"""Where replies to dumps are read from: a netlink socket that waits."""

from __future__ import annotations

import errno
import os
import socket

from datapaths.linux.wire.reply import NotWhole

READ_BYTES = 256 * 1024  # the kernel gives dumps in pieces of up to 32 KiB


def receive(sock: socket.socket) -> bytes:
    """Return the next datagram of the kernel's. Raises NotWhole when there is no such."""
    while True:
        try:
            data, _, flags, sender = sock.recvmsg(READ_BYTES)
        except OSError as error:
            number = error.errno or errno.ETIMEDOUT
            raise NotWhole(f"a dump broke off: {os.strerror(number)}", number) from error
        if flags & socket.MSG_TRUNC or not data:
            raise NotWhole("a dump was cut short")
        if not sender or sender[0] == 0:
            return data


def port_of(sock: socket.socket) -> int:
    """Return the port id that the kernel answers to."""
    return int(sock.getsockname()[0]) if sock.family == socket.AF_NETLINK else 0
