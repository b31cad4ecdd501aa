"""A daemon's vty socket (vtysh's protocol, lib/vty.c): run commands, and see the daemon's death.

The connection stays open. The kernel closes it when the daemon dies, before any other process can
react to the death. So if bgpd is `alive` after a withdrawal was read, its death did not cause it.
"""

from __future__ import annotations

import array
import asyncio
import json
import logging
import os
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from frr_bridge.belief import Life
from frr_bridge.directory import UCRED, Unsafe, connect_to
from frr_bridge.rights import Rights, ours

log = logging.getLogger(__name__)

_END = b"\0\0\0"  # ends a reply, and one byte of status follows (lib/vty.c, vty_send_out)
_FD_SIZE = array.array("i").itemsize
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_TIMEOUT_S = 10.0
_REPLY = 256 << 20  # bytes; FRR's output for a million routes is shorter


class VtyError(Exception):
    """The daemon has gone, refused the command, or sent an invalid reply."""


class NotJson(VtyError):
    """The daemon printed text where JSON was expected."""


def parse(text: str) -> Any:  # noqa: ANN401  what JSON holds
    """Parse JSON text. Raises ValueError or RecursionError.

    Half a surrogate pair is valid in JSON, but the string that it makes cannot be encoded.
    """
    return json.loads(_SURROGATE.sub(lambda _: "\\ufffd", text))


class Vty:
    """One connection to one daemon."""

    def __init__(self, path: Path, rights: Callable[[], Rights] = ours) -> None:
        """Use the socket `path`, but only if a daemon with these rights listens."""
        self.path = path
        self.rights = rights
        self._refused = ""  # why the socket was not used at the last attempt
        self._socket: socket.socket | None = None
        self._busy: socket.socket | None = None  # the loop watches it: a command is running
        self._lock = asyncio.Lock()
        self._enabled_in = 0  # the connection on which `enable` was sent
        self._life = (0, b"")
        self._met = 0.0
        self.connections = 0
        self.lives = 0  # number of processes connected to so far: it changes with each new process

    def alive(self) -> bool:
        """Report whether the connected daemon still lives. Never blocks."""
        if self._socket is None:
            return False
        try:
            if self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                return True
        except BlockingIOError:
            return True
        except OSError:
            pass
        self.close()
        return False

    def connect(self) -> bool:
        """Connect unless connected; return False when no daemon listens."""
        if self._socket is not None and self.alive():
            return True
        try:
            self._socket = connect_to(self.path, self.rights().uid)
        except Unsafe as error:
            self._refuse(f"{error.filename}: {error.strerror}")
            return False
        except OSError:
            return False
        self._refused = ""
        self.connections += 1
        if self._started() != self._life:
            self._life = self._started()
            self._met = time.monotonic()
            self.lives += 1
        return True

    def life(self) -> Life:
        """Return the known facts about the daemon; times are of the monotonic clock."""
        return Life(self.lives, self.alive(), self._met, self._born(), self.path.exists())

    def _born(self) -> float | None:
        """Return when the last connected daemon started, None if its process cannot be seen."""
        pid, ticks = self._life
        if not pid:
            return None
        started: float = int(ticks) / os.sysconf("SC_CLK_TCK")  # since boot
        return time.monotonic() - (time.clock_gettime(time.CLOCK_BOOTTIME) - started)

    def _refuse(self, why: str) -> None:
        if why != self._refused:
            log.warning("%s; waiting for a socket of FRR's user", why)
        self._refused = why

    def arguments(self) -> tuple[bytes, ...]:
        """Return the command line of the connected daemon; () when unknown."""
        try:
            return tuple(Path(f"/proc/{self._pid()}/cmdline").read_bytes().split(b"\0"))
        except OSError:
            return ()

    def holds(self, inode: int) -> bool | None:
        """Report whether the connected daemon has a socket open; None when unknown."""
        pid = self._pid()
        try:
            return any(_is_socket(link, inode) for link in Path(f"/proc/{pid}/fd").iterdir())
        except OSError:  # no daemon, or no permission
            return None

    def _pid(self) -> int:
        """Return the daemon's process id in this namespace, or 0."""
        if self._socket is None:
            return 0
        peer = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
        return int(UCRED.unpack(peer)[0])

    def _started(self) -> tuple[int, bytes]:
        """Return what identifies one process of the daemon: its pid and its start time."""
        pid = self._pid()
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            return 0, b"%d" % self.connections
        return pid, stat.rpartition(b")")[2].split()[19]  # field starttime, proc(5)

    def close(self) -> None:
        if self._socket is not None:
            if self._socket is not self._busy:  # otherwise its command closes it
                self._socket.close()
            self._socket = None

    async def command(self, line: str) -> str:
        """Run one command and return what it prints. Raises VtyError."""
        async with self._lock:
            try:
                async with asyncio.timeout(_TIMEOUT_S):  # wait_for may lose a cancellation
                    return await self._enabled(line)
            except (OSError, TimeoutError) as error:
                if isinstance(error, TimeoutError):
                    self.connect()  # a daemon that hangs is alive
                raise VtyError(f"{self.path.name}: {line}: {error!r}") from error

    async def json(self, line: str) -> Any:  # noqa: ANN401  what JSON holds
        """Run a command that prints JSON. Raises VtyError, or NotJson when it prints text."""
        text = await self.command(line)
        try:
            return parse(text)
        except (ValueError, RecursionError) as error:
            raise NotJson(f"{self.path.name}: {line}: not JSON: {text[:80]!r}") from error

    async def _enabled(self, line: str) -> str:
        """Run a command as vtysh does: a connection begins in the view node, with few commands."""
        if not self.connect():
            raise VtyError(f"{self.path.name}: the daemon does not listen")
        if self._enabled_in != self.connections:
            await self._exchange("enable")
            self._enabled_in = self.connections
        return await self._exchange(line)

    async def _exchange(self, line: str) -> str:
        if self._socket is None:
            raise VtyError(f"{self.path.name}: the daemon does not listen")
        connection = self._busy = self._socket
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(connection, line.encode() + b"\0")
            reply = bytearray()
            while _END not in reply[-4:-1]:
                chunk = await loop.sock_recv(connection, 65536)
                if not chunk:
                    raise ConnectionResetError("the daemon closed the connection")
                reply += chunk
                _check_size(reply)
        except (OSError, asyncio.CancelledError):
            if self._socket is connection:
                self._socket = None  # its reply may still arrive
            raise
        finally:
            self._busy = None
            if self._socket is not connection:  # `alive` noticed that it ended
                connection.close()
        return reply[:-4].decode(errors="replace")


def _is_socket(link: Path, inode: int) -> bool:
    """Raises PermissionError: CAP_DAC_OVERRIDE lists another user's descriptors, but reads none."""
    try:
        return os.readlink(link) == f"socket:[{inode}]"
    except FileNotFoundError:  # it was closed meanwhile
        return False


def _check_size(reply: bytearray) -> None:
    if len(reply) > _REPLY:
        raise ConnectionAbortedError(f"a reply of more than {_REPLY} bytes")


class LogMonitor:
    """A daemon's live log: `terminal monitor` passes a descriptor on which log lines arrive."""

    def __init__(self, path: Path, rights: Callable[[], Rights] = ours) -> None:
        self._path = path
        self._rights = rights
        self._vty: socket.socket | None = None
        self._log: socket.socket | None = None

    async def open(self, *commands: str) -> None:
        """Open the log, then run `commands` (a `debug ...`). Raises VtyError or OSError."""
        self._vty = connect_to(self._path, self._rights().uid)
        await self._send("enable")
        await self._send("terminal monitor")
        if self._log is None:
            raise VtyError("terminal monitor passed no descriptor")
        for command in commands:
            await self._send(command)

    async def wait_for(self, text: bytes) -> None:
        """Return once a log line contains `text`. Raises VtyError when the daemon ends."""
        if self._log is None:
            raise VtyError("the log monitor is not open")
        loop = asyncio.get_running_loop()
        tail = b""
        while text not in tail:
            chunk = await loop.sock_recv(self._log, 65536)
            if not chunk:
                raise VtyError("the daemon closed the connection")
            tail = tail[-len(text) :] + chunk

    async def close(self, *commands: str) -> None:
        """Run `commands` (a `no debug ...`) if the daemon still listens, and close."""
        try:
            for command in commands:
                async with asyncio.timeout(1.0):
                    await self._send(command)
        except (OSError, VtyError, TimeoutError):
            pass
        for connection in (self._vty, self._log):
            if connection is not None:
                connection.close()
        self._vty = self._log = None

    async def _send(self, line: str) -> None:
        if self._vty is None:
            raise VtyError("the log monitor is not open")
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await self._exchange(self._vty, line)
        except TimeoutError:
            raise VtyError(f"{self._path.name}: {line}: no answer in {_TIMEOUT_S:.0f} s") from None

    async def _exchange(self, vty: socket.socket, line: str) -> None:
        await asyncio.get_running_loop().sock_sendall(vty, line.encode() + b"\0")
        reply = bytearray()
        while _END not in reply[-4:-1]:
            await self._readable(vty)
            chunk, ancillary, _, _ = vty.recvmsg(65536, socket.CMSG_SPACE(_FD_SIZE))
            if not chunk:
                raise VtyError("the daemon closed the connection")
            self._keep_descriptor(ancillary)
            reply += chunk
            _check_size(reply)

    async def _readable(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(connection.fileno(), _settle, ready)
        try:
            await ready
        finally:
            loop.remove_reader(connection.fileno())

    def _keep_descriptor(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                for fd in array.array("i", data[: len(data) - len(data) % _FD_SIZE]):
                    if self._log is None:
                        self._log = _as_socket(fd)
                    else:
                        os.close(fd)


def _as_socket(fd: int) -> socket.socket:
    """Turn a descriptor that a daemon passed into a socket. Raises OSError when it is none."""
    try:
        passed = socket.socket(fileno=fd)
    except OSError:
        os.close(fd)
        raise
    passed.setblocking(False)
    return passed


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
