"""The HTTP server of metrics and probes, with limits: clients, time, connections per user.

A kubelet asks `/livez` and `/readyz` here: it cannot ask gRPC's health service on a UNIX socket,
and running a program in the container costs a hundred times more.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Self

from dualpath.process.options import listening_host
from dualpath.rpc.listen import SOCKET_MODE, ListenError, naming, unix_path
from dualpath.rpc.peers import owner_of_peer
from dualpath.rpc.socketname import SocketName

log = logging.getLogger(__name__)

CLIENTS = 32
PER_USER = 8  # connections of a local user, or of a remote address; our own user has no limit
REQUEST_MAX = 8192
REQUEST_TIMEOUT_S = 5.0

Text = Callable[[str], Awaitable[tuple[bytes, str]]]
"""Given an Accept header, returns the metrics and their content type: Prometheus or OpenMetrics."""
Waits = Callable[[], str]
"""Return what the daemon waits for; "" when it is ready."""

PLAIN = "text/plain; charset=utf-8"


class MetricsError(Exception):
    """The server cannot listen; the text is one line for the user."""


class MetricsServer:
    """Serves /metrics, /livez and /readyz on unix:/PATH or ADDRESS:PORT until closed."""

    def __init__(self, text: Text, waits: Waits, listen: str) -> None:
        self._text = text
        self._waits = waits
        self._listen = listen
        self._name: SocketName | None = None
        self._server: asyncio.Server | None = None
        self._clients: Counter[object] = Counter()

    async def start(self) -> None:
        """Begin to listen. Raises MetricsError."""
        try:
            if path := unix_path(self._listen):
                self._name = SocketName(path, SOCKET_MODE)
                await self._bind_unix(self._name)
                return
            host, port = _split(self._listen)
            if not _is_loopback(host):
                text = "metrics: %s is not a loopback address: anybody who reaches it can read them"
                log.warning(text, self._listen)
            self._server = await asyncio.start_server(
                self._answer, listening_host(host), port, limit=REQUEST_MAX
            )
        except OSError as error:
            raise MetricsError(f"metrics: {self._listen}: {error.strerror}") from None
        except ListenError as error:
            raise MetricsError(f"metrics: {error}") from None

    async def _bind_unix(self, name: SocketName) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with naming(name) as path:
                listener.bind(str(path))
        except ListenError:
            listener.close()
            raise
        before = self._server
        self._server = await asyncio.start_unix_server(
            self._answer, sock=listener, limit=REQUEST_MAX
        )
        if before:
            before.close()

    async def renew(self) -> bool:
        """Listen again if somebody removed the socket; return whether it was missing.

        Raises ListenError.
        """
        if not self._name or not self._name.lost():
            return False
        await self._bind_unix(self._name)
        return True

    @property
    def address(self) -> tuple[str, int]:
        """Return the TCP address that it listens on."""
        assert self._server
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    def close(self) -> None:
        if self._server:
            self._server.close()
        if self._name:
            self._name.remove()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close: HTTP/1.0 is all that a scrape needs."""
        user = _user(writer.get_extra_info("socket"))
        most = CLIENTS if user == os.geteuid() else PER_USER
        if self._clients.total() >= CLIENTS or self._clients[user] >= most:
            writer.transport.abort()
            return
        self._clients[user] += 1
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._response(head))
                writer.close()
                await writer.wait_closed()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
            pass  # not a scraper, or one that disconnected
        finally:
            self._clients -= Counter([user])  # this drops a user without clients
            writer.transport.abort()  # frees memory and descriptor if the client does not read

    async def _response(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        match path if method == b"GET" else b"":
            case b"/metrics":
                body, content_type = await self._text(_accepted(rest))
                return _http("200 OK", content_type, body)
            case b"/livez":  # this proves only that the event loop runs
                return _http("200 OK", PLAIN, b"ok\n")
            case b"/readyz":
                if reason := self._waits():
                    return _http("503 Service Unavailable", PLAIN, f"{reason}\n".encode())
                return _http("200 OK", PLAIN, b"ok\n")
            case _:
                text = b"only GET /metrics, /livez and /readyz\n"
                return _http("404 Not Found", PLAIN, text)


def _accepted(head: bytes) -> str:
    """Return the Accept header of a request; "" if it has none."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"accept":
            return value.strip().decode("latin-1")
    return ""


def _user(connection: socket.socket) -> object:
    """Return the user at the other end if it is on this host, else its address."""
    if owner := owner_of_peer(connection):
        return owner.uid
    try:
        return connection.getpeername()[0]
    except OSError:  # the connection has ended
        return None


def _split(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise MetricsError(f"metrics: {listen!r} is neither unix:/PATH nor ADDRESS:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _http(status: str, content_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.0 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body
