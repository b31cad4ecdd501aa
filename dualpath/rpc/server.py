"""A gRPC server around one service: listener, reflection, health."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from dualpath.process.lifetime import end_with
from dualpath.rpc.health import HealthService, Ready
from dualpath.rpc.listen import SOCKET_MODE, ListenError, Tls, bind, check
from dualpath.rpc.socketname import SocketName

GRACE_S = 0.5
HEALTH_SERVICE = "grpc.health.v1.Health"

Options = Sequence[tuple[str, int]]

ALONE: Options = (("grpc.so_reuseport", 0),)
"""Without this, a second server could bind the same port, and get half of the connections."""

CALLS = 256
"""Concurrent calls and streams; one more is refused with RESOURCE_EXHAUSTED."""

LIMITS: Options = (
    ("grpc.max_allowed_incoming_connections", 64),
    ("grpc.max_concurrent_streams", 64),  # per connection
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.server_handshake_timeout_ms", 10_000),  # a silent connection is closed
    ("grpc.max_connection_idle_ms", 300_000),  # a connection without a call is closed
    ("grpc.keepalive_time_ms", 60_000),  # a dead connection is closed
    ("grpc.keepalive_timeout_ms", 20_000),
)


class RpcServer:
    """A running server. `start` creates it."""

    def __init__(
        self,
        make: Callable[[], grpc.aio.Server],
        health: HealthService,
        listen: str,
        tls: Tls | None,
        mode: int,
    ) -> None:
        self._make = make
        self._listen = listen
        self._tls = tls
        path = check(listen, tls)
        self._name = SocketName(path, mode) if path else None
        self._server: grpc.aio.Server | None = None
        self._health = asyncio.create_task(health.follow())
        self._health.add_done_callback(end_with)

    async def listen(self) -> None:
        """Start to listen, and stop the server before. Raises ListenError."""
        server = self._make()
        try:
            bind(server, self._listen, self._tls, self._name)
        except ListenError:
            await server.stop(None)
            raise
        await server.start()
        before, self._server = self._server, server
        if before:
            await before.stop(GRACE_S)

    async def renew(self) -> bool:
        """Listen again if somebody removed the socket; return whether it was. Raises ListenError.

        Open streams end: gRPC cannot move them to another server.
        """
        if not self._name or not self._name.lost():
            return False
        await self.listen()
        return True

    async def stop(self) -> None:
        """End streams, let short calls finish, and remove the socket."""
        self._health.cancel()
        await asyncio.wait([self._health])
        if self._server:
            await self._server.stop(GRACE_S)
        if self._name:
            self._name.remove()


async def start(
    name: str,
    add: Callable[[grpc.aio.Server], None],
    ready: Ready,
    *,
    listen: str,
    tls: Tls | None,
    options: Options = (),
    mode: int = SOCKET_MODE,
) -> RpcServer:
    """Serve the services that `add` adds to a server. Raises ListenError.

    `listen` is unix:/PATH or ADDRESS:PORT.
    """
    health = HealthService(name, ready)

    def make() -> grpc.aio.Server:
        server = grpc.aio.server(options=(*ALONE, *LIMITS, *options), maximum_concurrent_rpcs=CALLS)
        add(server)
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        names = (name, HEALTH_SERVICE, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        return server

    served = RpcServer(make, health, listen, tls, mode)
    try:
        await served.listen()
    except ListenError:
        await served.stop()
        raise
    return served
