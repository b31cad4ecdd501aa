"""The standard health service, which says what Status says."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import grpc
from grpc_health.v1 import health, health_pb2

from controller.inspect.view import Inspected

SERVICE = "dualpath.v1.Inspect"
NAMES = ("", SERVICE)
REFRESH_S = 1.0


class HealthService(health.aio.HealthServicer):  # type: ignore[misc]  # grpc has no types
    """SERVING while the daemon is ready. Check is exact; Watch follows within a second."""

    def __init__(self, view: Inspected) -> None:
        super().__init__()
        self._view = view

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        await self._refresh()
        return await super().Check(request, context)

    async def follow(self) -> NoReturn:
        """Keep those that watch informed."""
        while True:
            await self._refresh()
            await asyncio.sleep(REFRESH_S)

    async def _refresh(self) -> None:
        answers = health_pb2.HealthCheckResponse
        status = answers.SERVING if self._view.status().ready else answers.NOT_SERVING
        for name in NAMES:
            await self.set(name, status)
