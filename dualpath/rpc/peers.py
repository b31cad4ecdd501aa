"""Find the user at the other end of a connection, for limits per user.

A UNIX socket reports it (SO_PEERCRED). A TCP socket does not. But if the other end is in our
network namespace, the kernel reports the owner of that socket: sock_diag(7), as in `ss -e`.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

_UCRED = struct.Struct("=iII")  # struct ucred, linux/socket.h
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_REQUEST = struct.Struct("=BBBBI")  # struct inet_diag_req_v2 ahead of its sockid
_ID = struct.Struct("!HH16s16s")  # struct inet_diag_sockid, then `if` and a cookie
_NO_COOKIE = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
_ANSWER = struct.Struct("=BBBB48sIIIII")  # struct inet_diag_msg
_TCP_TIME_WAIT = 6  # linux/tcp_states.h: it has no owner any more
_TCP_LISTEN = 10


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of a socket."""

    uid: int
    inode: int = 0  # as /proc/PID/fd shows it; 0 for a UNIX socket


def owner_of_peer(connection: socket.socket) -> Owner | None:
    """Return the owner of the other end; None if it is on another host, or closed."""
    if connection.family == socket.AF_UNIX:
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        return Owner(_UCRED.unpack(peer)[1])
    try:
        return _look_up(connection.family, connection.getpeername(), connection.getsockname())
    except OSError:
        return None


def _look_up(family: int, theirs: tuple[str, int], ours: tuple[str, int]) -> Owner | None:
    """Return the owner of the TCP socket with the local address `theirs`. Raises OSError."""
    there, here = (socket.inet_pton(family, end[0].partition("%")[0]) for end in (theirs, ours))
    body = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF)
    body += _ID.pack(theirs[1], ours[1], there, here) + _NO_COOKIE
    size = _HEADER.size + len(body)
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(_HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0) + body)
        answer = kernel.recv(4096, socket.MSG_DONTWAIT)
    _, type_, *_ = _HEADER.unpack_from(answer)
    if type_ != _SOCK_DIAG_BY_FAMILY or len(answer) < _HEADER.size + _ANSWER.size:
        return None  # NLMSG_ERROR: no such socket
    _, state, _, _, identity, _, _, _, uid, inode = _ANSWER.unpack_from(answer, _HEADER.size)
    if state in (_TCP_TIME_WAIT, _TCP_LISTEN) or _ID.unpack_from(identity)[1] != ours[1]:
        return None
    return Owner(uid, inode)
