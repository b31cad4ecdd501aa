"""The standard gRPC health service: SERVING while the server is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

import grpc
from grpc_health.v1 import health, health_pb2

REFRESH_S = 1.0

Ready = Callable[[], Awaitable[bool]]


class HealthService(health.aio.HealthServicer):  # type: ignore[misc]  # grpc has no types
    """Reports SERVING under "" and under the service's name, while `ready` returns True.

    Check is exact; Watch is up to a second late.
    """

    def __init__(self, name: str, ready: Ready) -> None:
        super().__init__()
        self._names = ("", name)
        self._ready = ready

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        await self._refresh()
        return await super().Check(request, context)

    async def follow(self) -> NoReturn:
        """Update the watchers every second."""
        while True:
            await self._refresh()
            await asyncio.sleep(REFRESH_S)

    async def _refresh(self) -> None:
        answers = health_pb2.HealthCheckResponse
        status = answers.SERVING if await self._ready() else answers.NOT_SERVING
        for name in self._names:
            await self.set(name, status)
