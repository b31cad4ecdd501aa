"""Refer to other processes by pidfd: find the listener on a socket, wait for a process's end.

A pid read from a file, or checked a moment ago, may belong to another process when it is used. A
UNIX socket names the process that listens on it (SO_PEERCRED, unix(7)), and a pidfd
(pidfd_open(2)) refers to one process for good.

    1. connect to bus.sock: pid 71 listens
    2. open a pidfd of 71         71 may have ended since step 1, and its number may be reused
    3. connect again: still 71    so 71 had not ended at step 2, and the pidfd is the listener's

Rejected: a pid file, which may be stale, and /proc/PID/cmdline, which tells one frr-bridge from
a shell but not from another frr-bridge.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import struct
import weakref
from contextlib import suppress
from pathlib import Path

_UCRED = struct.Struct("=iII")  # struct ucred in unix(7): pid, uid, gid
_CONNECT_S = 5.0


class Process:
    """One process, a child or not. Its descriptor is closed with the object."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError when no process has this pid."""
        self.pid = pid
        self._fd = os.pidfd_open(pid)
        weakref.finalize(self, os.close, self._fd)

    @property
    def ended(self) -> bool:
        """Return whether the process has ended; a zombie has."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(0))

    async def wait(self) -> None:
        """Return when the process has ended. If it is a child, it still has to be reaped."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        fd = os.dup(self._fd)  # an event loop watches a descriptor for one waiter only
        loop.add_reader(fd, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(fd)
            os.close(fd)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal. Do nothing if the process has ended, even if its pid was reused."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._fd, number)


def listening_pid(path: Path) -> int:
    """Return the pid of the process that listens on a UNIX socket.

    Return 0 if the process is in a pid namespace that this process cannot see. Raises OSError if no
    process listens.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(_CONNECT_S)
        probe.connect(str(path))
        raw = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid: int = _UCRED.unpack(raw)[0]
    return pid


def listener(path: Path) -> Process | None:
    """Return the process that listens on a UNIX socket; None if none does, or if it is hidden."""
    try:
        pid = listening_pid(path)
        found = Process(pid) if pid else None
        return found if listening_pid(path) == pid else None
    except OSError:
        return None
