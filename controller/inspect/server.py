"""The gRPC server around the service: listener, reflection, health."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from controller.inspect.health import SERVICE, HealthService
from controller.inspect.service import InspectService
from controller.inspect.view import Inspected, Ports
from controller.pb import inspect_pb2_grpc
from controller.rpc.listen import Tls, bind

DEFAULT_LISTEN = "unix:/run/dualpath/inspect.sock"
GRACE_S = 0.5
HEALTH_SERVICE = "grpc.health.v1.Health"

OPTIONS = (
    ("grpc.so_reuseport", 0),  # or a second server would share our port in silence
    ("grpc.max_receive_message_length", 64 * 1024),  # requests are small
)


class InspectServer:
    """A running server. Made by `serve`."""

    def __init__(self, server: grpc.aio.Server, health: HealthService, path: Path | None) -> None:
        self._server = server
        self._path = path
        self._health = asyncio.create_task(health.follow())

    async def stop(self) -> None:
        """End streams, let short calls finish, and remove the socket."""
        self._health.cancel()
        await asyncio.wait([self._health])
        await self._server.stop(GRACE_S)
        if self._path:
            self._path.unlink(missing_ok=True)


async def serve(
    view: Inspected, ports: Ports, *, listen: str = DEFAULT_LISTEN, tls: Tls | None = None
) -> InspectServer:
    """Start serving. `listen` is unix:/PATH or ADDRESS:PORT. Raises ListenError."""
    server = grpc.aio.server(options=OPTIONS)
    health = HealthService(view)
    inspect_pb2_grpc.add_InspectServicer_to_server(  # type: ignore[no-untyped-call]  # generated
        InspectService(view, ports), server
    )
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    names = (SERVICE, HEALTH_SERVICE, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    path = bind(server, listen, tls)
    await server.start()
    return InspectServer(server, health, path)
