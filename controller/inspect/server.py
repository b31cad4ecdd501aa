"""The gRPC server of the inspection service."""

from __future__ import annotations

import grpc

from controller.inspect.service import InspectService
from controller.inspect.view import Inspected, QueriedDatapath
from dualpath.pb import inspect_pb2_grpc
from dualpath.rpc.listen import Tls
from dualpath.rpc.server import Options, RpcServer, start

SERVICE = "dualpath.v1.Inspect"
DEFAULT_LISTEN = "unix:/run/dualpath/inspect.sock"

OPTIONS: Options = (("grpc.max_receive_message_length", 64 * 1024),)  # requests are small


async def serve(
    view: Inspected,
    datapath: QueriedDatapath,
    *,
    listen: str = DEFAULT_LISTEN,
    tls: Tls | None = None,
) -> RpcServer:
    """Start serving. `listen` is unix:/PATH or ADDRESS:PORT. Raises ListenError."""

    def add(server: grpc.aio.Server) -> None:
        inspect_pb2_grpc.add_InspectServicer_to_server(  # type: ignore[no-untyped-call]  # generated
            InspectService(view, datapath), server
        )

    async def ready() -> bool:
        return view.ready()

    return await start(SERVICE, add, ready, listen=listen, tls=tls, options=OPTIONS)
