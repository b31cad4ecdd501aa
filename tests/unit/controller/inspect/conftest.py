"""A real server over a small fabric, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from controller.inspect.server import serve
from dualpath.pb import inspect_pb2_grpc
from tests.fakes.view import MemoryView, fabric


@dataclass
class Served:
    view: MemoryView
    channel: grpc.aio.Channel
    stub: Any  # InspectStub is generated without types

    async def rows(self, method: str, request: object) -> list[Any]:
        """Return a list's rows, without the messages around them."""
        field = method.removeprefix("List").lower()
        stream = getattr(self.stub, method)(request)
        return [row async for message in stream for row in getattr(message, field)]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    view = fabric()
    listen = f"unix:{tmp_path}/inspect.sock"
    server = await serve(view, view.datapath, listen=listen)
    async with grpc.aio.insecure_channel(listen) as channel:
        stub = inspect_pb2_grpc.InspectStub(channel)  # type: ignore[no-untyped-call]  # generated
        yield Served(view, channel, stub)
    await server.stop()
