"""The gRPC server around one datapath."""

from __future__ import annotations

import grpc

from datapaths.base import Datapath, DatapathError
from datapaths.remote.service import DatapathService
from dualpath.pb import datapath_pb2_grpc
from dualpath.rpc.listen import PRIVATE_MODE, Tls
from dualpath.rpc.server import Options, RpcServer, start

SERVICE = "dualpath.v1.Datapath"

OPTIONS: Options = (
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)


async def serve(datapath: Datapath, *, listen: str, tls: Tls | None = None) -> RpcServer:
    """Start serving. `listen` is unix:/PATH or ADDRESS:PORT. Raises ListenError."""

    def add(server: grpc.aio.Server) -> None:
        datapath_pb2_grpc.add_DatapathServicer_to_server(  # type: ignore[no-untyped-call]  # generated
            DatapathService(datapath), server
        )

    async def ready() -> bool:
        try:
            await datapath.capabilities()
        except DatapathError:
            return False
        return True

    return await start(
        SERVICE, add, ready, listen=listen, tls=tls, options=OPTIONS, mode=PRIVATE_MODE
    )
