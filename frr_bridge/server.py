"""The FPM server, to which zebra connects. It always reads at once.

zebra resets a session whose peer reads nothing for 15 s, and stops its own work before that.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable
from enum import Enum, auto

from dualpath.process.lifetime import SHORTAGES, cannot_accept
from frr_bridge.wire.fpm import FpmFramer, Frames, FramingError

log = logging.getLogger(__name__)

_READ = 1 << 20  # bytes to decode at once: see FpmFramer.feed
# linux/in.h, linux/in6.h: bind to an address that the namespace does not have
FREEBIND = {
    socket.AF_INET: (socket.IPPROTO_IP, 15),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 78),
}
_RECEIVE_BUFFER = 8 << 20
_PAUSE_S = 1.0
TCP_ESTABLISHED = 1  # include/net/tcp_states.h, the first byte of struct tcp_info
_UNSENT = 64 << 20  # bytes: acknowledgements for over a million routes; zebra has stopped reading


class Caller(Enum):
    """The process that connects, as far as it is known."""

    ZEBRA = auto()
    UNKNOWN = auto()
    OTHER = auto()


class FpmServer:
    """Serves one client, zebra.

    `on_bytes` gets the bytes that arrived, and the incomplete frame before them, ahead of
    `on_frames`.

    A new connection replaces the present one in these cases, and is closed in all others:

        new is      present is
        zebra       unknown, or has sent nothing yet
        unknown     unknown, and has sent nothing yet
    """

    def __init__(
        self,
        *,
        on_connected: Callable[[], None],
        on_frames: Callable[[Frames], None],
        on_lost: Callable[[], None],
        on_bytes: Callable[[bytes, bytes], None] = lambda _tail, _data: None,
        who: Callable[[socket.socket], Caller] = lambda _: Caller.UNKNOWN,
    ) -> None:
        self._on_connected = on_connected
        self._on_frames = on_frames
        self._on_lost = on_lost
        self._on_bytes = on_bytes
        self._who = who
        self._is_zebra = False  # the present client is known to be zebra
        self._listener: socket.socket | None = None
        self._client: socket.socket | None = None
        self._framer = FpmFramer()
        self._unsent = bytearray()
        self.received = 0  # bytes of the present session

    def listen(self, host: str, port: int) -> None:
        """Accept connections. Raises OSError when the port is in use."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if ipaddress.ip_address(host).is_loopback:
            # It may be missing, because somebody flushed the addresses of lo. The controller adds
            # it again, but only once frr-bridge runs.
            listener.setsockopt(*FREEBIND[family], 1)
        listener.setblocking(False)
        try:
            listener.bind((host, port))
            listener.listen(4)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener.fileno(), self._accept)

    @property
    def connected(self) -> bool:
        return self._client is not None

    @property
    def ended(self) -> bool:
        """Whether zebra has closed the session, even if its last bytes were not read yet."""
        if self._client is None:
            return False
        state = self._client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return bool(state != TCP_ESTABLISHED)

    def send(self, data: bytes) -> None:
        """Send frames to zebra, if it is connected; keep bytes that its socket does not accept yet.

        If zebra does not read for too long, end its session. It then connects again and repeats its
        routes, so no acknowledgement is lost for good.
        """
        if self._client is None:
            return
        self._unsent += data
        self._write()
        if len(self._unsent) > _UNSENT:
            log.warning("FPM: zebra does not read the answers; ending its session")
            self.lose()

    def close(self) -> None:
        self._drop()
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in SHORTAGES:
                raise
            self._pause(self._listener, error)
            return
        self._admit(client)

    def _admit(self, client: socket.socket) -> None:
        """Accept a connection as the session, or close it."""
        caller = self._who(client)
        if caller is Caller.OTHER:
            client.close()
            log.warning("FPM: closed a connection that is not zebra's")
            return
        if self._client is not None:
            self._read()  # the earlier one may have sent something meanwhile, or ended
        sure = caller is Caller.ZEBRA and not self._is_zebra
        # A client that connects and leaves at once is unknown; it must not replace a zebra
        # without routes.
        silent = not self.received and (caller is Caller.ZEBRA or not self._is_zebra)
        if self._client is not None and not (silent or sure):
            client.close()
            log.warning("FPM: closed a second connection; zebra is connected")
            return
        if self._client is not None:
            why = "may not be zebra's" if sure else "sent nothing"
            log.info("FPM: the connection %s; a new one replaces it", why)
            self.lose()
        self._is_zebra = caller is Caller.ZEBRA
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = client
        self._framer = FpmFramer()
        self.received = 0
        self._on_connected()
        asyncio.get_running_loop().add_reader(client.fileno(), self._read)

    def _pause(self, listener: socket.socket, error: OSError) -> None:
        cannot_accept(error)
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener.fileno())
        loop.call_later(_PAUSE_S, self._resume, listener)

    def _resume(self, listener: socket.socket) -> None:
        if listener is self._listener:
            asyncio.get_running_loop().add_reader(listener.fileno(), self._accept)

    def _read(self) -> None:
        if self._client is None:
            return
        chunks: list[bytes] = []
        size = 0
        ended = False
        while size < _READ and not ended:
            try:
                chunk = self._client.recv(_READ)
            except BlockingIOError:
                break
            except OSError:
                chunk = b""
            ended = not chunk
            chunks.append(chunk)
            size += len(chunk)
        self.received += size
        data = b"".join(chunks)
        self._on_bytes(self._framer.tail, data)
        try:
            self._on_frames(self._framer.feed(data))
        except FramingError as error:
            log.warning("FPM: %s: %s; ending the session", error, error.raw[:64].hex())
            ended = True
        if ended:
            self.lose()

    def _write(self) -> None:
        loop = asyncio.get_running_loop()
        if self._client is None:
            return
        try:
            sent = self._client.send(self._unsent) if self._unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self.lose()
            return
        del self._unsent[:sent]
        if self._unsent:
            loop.add_writer(self._client.fileno(), self._write)
        else:
            loop.remove_writer(self._client.fileno())

    def lose(self) -> None:
        """End the session, if any: zebra then connects again and repeats its routes."""
        if self._client is not None:  # frames cause acknowledgements, and these the end
            self._drop()
            self._on_lost()

    def _drop(self) -> None:
        if self._client is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._client.fileno())
        loop.remove_writer(self._client.fileno())
        self._client.close()
        self._client = None
        self._unsent.clear()
