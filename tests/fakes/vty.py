"""A daemon's vty socket: replies to commands, passes a log descriptor, and dies on request."""

from __future__ import annotations

import array
import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

Answer = str | Callable[[], str] | None
"""What a command prints; None: no reply at all."""


class FakeDaemon:
    """Listens as a daemon of FRR does; replies with `answers`, in pieces of `piece` bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, Answer] = {}
        self.commands: list[str] = []
        self.piece = 1 << 16
        self.has_log = True
        self.passes: int | None = None  # a descriptor in place of the log
        self._log: list[socket.socket] = []
        self._clients: set[asyncio.Task[None]] = set()
        self._connections: list[socket.socket] = []
        self._listener: socket.socket | None = None

    def start(self) -> FakeDaemon:
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.setblocking(False)
        self._listener.bind(str(self.path))
        self._listener.listen()
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)
        return self

    async def die(self) -> None:
        """Close everything, as the kernel does for a process that ends."""
        if self._listener:
            asyncio.get_running_loop().remove_reader(self._listener)
        tasks = list(self._clients)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in (*self._connections, *self._log):
            connection.close()
        if self._listener:
            self._listener.close()
        self._connections.clear()
        self._log.clear()
        self._listener = None

    def cut(self) -> None:
        """End the connections at once, in the middle of any reply."""
        for connection in self._connections:
            connection.shutdown(socket.SHUT_RDWR)

    def log(self, line: bytes) -> None:
        for connection in self._log:
            connection.send(line)

    def answer_json(self, command: str, value: object) -> None:
        self.answers[command] = json.dumps(value)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError):
            connection, _ = listener.accept()
            connection.setblocking(False)
            self._connections.append(connection)
            task = asyncio.create_task(self._serve(connection))
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)

    async def _serve(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        pending = b""
        while chunk := await loop.sock_recv(connection, 4096):
            pending += chunk
            while b"\0" in pending:
                line, _, pending = pending.partition(b"\0")
                await self._answer(connection, line.decode())

    async def _answer(self, connection: socket.socket, line: str) -> None:
        self.commands.append(line)
        answer = self.answers.get(line, "")
        if answer is None:
            return
        text = answer() if callable(answer) else answer
        if line == "terminal monitor" and self.has_log:
            ours, theirs = socket.socketpair()
            self._log.append(ours)
            fds = array.array("i", [theirs.fileno() if self.passes is None else self.passes])
            connection.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            theirs.close()
            reply = b"\0\0\0"
        else:
            reply = text.encode() + b"\0\0\0\0"
        for start in range(0, len(reply), self.piece):
            part = reply[start : start + self.piece]
            await asyncio.get_running_loop().sock_sendall(connection, part)
            if len(reply) > self.piece:
                await asyncio.sleep(0)
