"""A gRPC server around one service: listener, reflection, health."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from controller.lifetime import end_with
from controller.rpc.health import HealthService, Ready
from controller.rpc.listen import Tls, bind

GRACE_S = 0.5
HEALTH_SERVICE = "grpc.health.v1.Health"

Options = Sequence[tuple[str, int]]

ALONE: Options = (("grpc.so_reuseport", 0),)
"""Or a second server would share our port in silence."""

CALLS = 256
"""At a time, streams too; one more is refused with RESOURCE_EXHAUSTED."""

LIMITS: Options = (
    ("grpc.max_allowed_incoming_connections", 64),
    ("grpc.max_concurrent_streams", 64),  # of one connection
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.server_handshake_timeout_ms", 10_000),  # one that says nothing is closed
    ("grpc.max_connection_idle_ms", 300_000),  # without a call
    ("grpc.keepalive_time_ms", 60_000),  # one that is gone or stopped ends
    ("grpc.keepalive_timeout_ms", 20_000),
)


class RpcServer:
    """A running server. Made by `start`."""

    def __init__(self, server: grpc.aio.Server, health: HealthService, path: Path | None) -> None:
        self._server = server
        self._path = path
        self._health = asyncio.create_task(health.follow())
        self._health.add_done_callback(end_with)

    async def stop(self) -> None:
        """End streams, let short calls finish, and remove the socket."""
        self._health.cancel()
        await asyncio.wait([self._health])
        await self._server.stop(GRACE_S)
        if self._path:
            with suppress(OSError):  # a stale one is in nobody's way
                self._path.unlink()


async def start(
    name: str,
    add: Callable[[grpc.aio.Server], None],
    ready: Ready,
    *,
    listen: str,
    tls: Tls | None,
    options: Options = (),
) -> RpcServer:
    """Serve what `add` adds. `listen` is unix:/PATH or ADDRESS:PORT. Raises ListenError."""
    server = grpc.aio.server(options=(*ALONE, *LIMITS, *options), maximum_concurrent_rpcs=CALLS)
    health = HealthService(name, ready)
    add(server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    names = (name, HEALTH_SERVICE, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    path = bind(server, listen, tls)
    await server.start()
    return RpcServer(server, health, path)
