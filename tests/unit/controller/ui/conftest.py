"""The server of the page on loopback, in front of a daemon that keeps its state in memory."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from controller.inspect.server import serve
from controller.ui.feed import Feed
from controller.ui.serve import Server
from dualpath.pb import inspect_pb2_grpc
from tests.fakes.view import MemoryView, fabric

LOOK_S = 0.02
PATIENCE_S = 10.0
Part = tuple[str, Any]


@dataclass
class Site:
    view: MemoryView
    feed: Feed
    server: Server
    client: httpx.AsyncClient  # has the cookie

    def stranger(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.server.origin)

    async def get(self, path: str, **query: str) -> httpx.Response:
        return await self.client.get(path, params=query)

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[AsyncIterator[Part]]:
        """Open the page's stream; yield its parts."""
        async with (
            asyncio.timeout(PATIENCE_S),
            self.client.stream("GET", "/api/stream") as answer,
        ):
            assert answer.status_code == 200
            yield _parts(answer)


async def _parts(answer: httpx.Response) -> AsyncIterator[Part]:
    part = ""
    async for line in answer.aiter_lines():
        name, _, text = line.partition(": ")
        if name == "event":
            part = text
        elif name == "data":
            yield part, json.loads(text)


async def until(parts: AsyncIterator[Part], wanted: str, text: str = "") -> Any:  # noqa: ANN401
    """Return the next such part that has the text somewhere."""
    async for part, found in parts:
        if part == wanted and text in json.dumps(found):
            return found
    raise AssertionError(f"the stream ended without {wanted} {text}")


@pytest.fixture
def most() -> int:
    """How many pages may be open."""
    return 4


@pytest.fixture
async def site(tmp_path: Path, most: int) -> AsyncIterator[Site]:
    view, listen = fabric(), f"unix:{tmp_path}/inspect.sock"
    daemon = await serve(view, view.datapath, listen=listen)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        async with grpc.aio.insecure_channel(listen) as channel:
            stub = inspect_pb2_grpc.InspectStub(channel)  # type: ignore[no-untyped-call]
            feed = Feed(stub, look_s=LOOK_S, most=most)
            server = Server(stub, feed, listener)
            running = asyncio.create_task(server.run_all())
            client = httpx.AsyncClient(
                base_url=server.origin, cookies={server.cookie: server.key}, timeout=PATIENCE_S
            )
            async with client:
                yield Site(view, feed, server, client)
            server.handle_exit(0, None)
            await running
    await daemon.stop()
