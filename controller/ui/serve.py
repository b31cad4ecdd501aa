"""Runs the server until a signal ends it."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
from collections.abc import Callable
from types import FrameType

import grpc
import uvicorn

from controller.ui.app import make
from controller.ui.feed import Feed, Stub
from dualpath.pb import inspect_pb2_grpc
from dualpath.process.lifetime import at_eof
from dualpath.rpc.connect import Target

CONCURRENT = 64  # connections; each page has a stream and some short requests
HEAD_BYTES = 16 * 1024  # of a request
GRACE_S = 2


class Server(uvicorn.Server):
    """Ends the streams first: a page holds its own open for ever."""

    def __init__(self, stub: Stub, feed: Feed, listener: socket.socket) -> None:
        self._feed = feed
        self._listener = listener
        host, port = listener.getsockname()[:2]
        self.key = secrets.token_urlsafe(18)
        self.cookie = f"dualpath-{port}"  # browsers share cookies among all ports of a host
        self.origin = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        super().__init__(_config(make(stub, feed, self.key, self.cookie)))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._feed.close()
        super().handle_exit(sig, frame)

    async def run_all(self) -> None:
        """Serve, and ask the daemon. Returns when a signal came, which uvicorn raises again."""
        asking = asyncio.create_task(self._feed.run())
        asking.add_done_callback(lambda _: self.handle_exit(0, None))
        try:
            await self.serve(sockets=[self._listener])
        finally:
            asking.cancel()
            await asyncio.wait([asking])
        if not asking.cancelled():
            asking.result()


async def serve(
    target: Target,
    listener: socket.socket,
    ready: Callable[[str], None],
    *,
    until_eof: bool = False,
) -> None:
    """Serve on a bound socket; `ready` gets the address of the page, with its key.

    It ends with a signal, and with standard input if `until_eof` is set.
    """
    async with _channel(target) as channel:
        stub = inspect_pb2_grpc.InspectStub(channel)  # type: ignore[no-untyped-call]  # generated
        server = Server(stub, Feed(stub), listener)
        ready(f"{server.origin}/?key={server.key}")
        if until_eof:
            at_eof(lambda: server.handle_exit(signal.SIGTERM, None))
        await server.run_all()


def _config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an ASGI application
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONCURRENT,
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_graceful_shutdown=GRACE_S,
    )


def _channel(target: Target) -> grpc.aio.Channel:
    options = [("grpc.max_receive_message_length", -1)]
    if target.credentials:
        return grpc.aio.secure_channel(target.address, target.credentials, options)
    return grpc.aio.insecure_channel(target.address, options)
