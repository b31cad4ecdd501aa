"""The gRPC server around the service: listener, reflection, health."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from controller.inspect.health import SERVICE, HealthService
from controller.inspect.listen import (
    SOCKET_MODE,
    ListenError,
    Tls,
    check_tcp,
    prepare,
    unix_path,
)
from controller.inspect.service import InspectService
from controller.inspect.view import Inspected, LookUp, Ports
from controller.lifetime import end_with
from controller.pb import inspect_pb2_grpc

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
        self._health.add_done_callback(end_with)

    async def stop(self) -> None:
        """End streams, let short calls finish, and remove the socket."""
        self._health.cancel()
        await asyncio.wait([self._health])
        await self._server.stop(GRACE_S)
        if self._path:
            self._path.unlink(missing_ok=True)


async def serve(
    view: Inspected,
    ports: Ports,
    *,
    look_up: LookUp | None = None,
    listen: str = DEFAULT_LISTEN,
    tls: Tls | None = None,
) -> InspectServer:
    """Start serving. `listen` is unix:/PATH or ADDRESS:PORT. Raises ListenError.

    `look_up` asks the datapath; None where it cannot be asked.
    """
    server = grpc.aio.server(options=OPTIONS)
    health = HealthService(view)
    inspect_pb2_grpc.add_InspectServicer_to_server(  # type: ignore[no-untyped-call]  # generated
        InspectService(view, ports, look_up), server
    )
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    names = (SERVICE, HEALTH_SERVICE, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    path = unix_path(listen)
    if path:
        _bind_unix(server, path)
    else:
        _bind_tcp(server, check_tcp(listen, tls), tls)
    await server.start()
    return InspectServer(server, health, path)


def _bind_unix(server: grpc.aio.Server, path: Path) -> None:
    prepare(path)
    umask = os.umask(0o777 & ~SOCKET_MODE)  # so that it never exists with a wider mode
    try:
        server.add_insecure_port(f"unix:{path}")
        path.chmod(SOCKET_MODE)
    except (RuntimeError, OSError) as error:
        raise ListenError(f"cannot listen on {path}: {error}") from None
    finally:
        os.umask(umask)


def _bind_tcp(server: grpc.aio.Server, listen: str, tls: Tls | None) -> None:
    try:
        if tls:
            server.add_secure_port(listen, tls.credentials())
        else:
            server.add_insecure_port(listen)
    except RuntimeError:
        text = f"cannot listen on {listen}: the port is in use, or the address is not this host's"
        raise ListenError(text) from None
