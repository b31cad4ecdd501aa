"""Composes `dualpath switch`, for a controller that can run a second datapath."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from controller.core.clock import Clock
from controller.core.hostunion import HostUnion
from controller.core.planes import Outward, Planes
from controller.core.switch import Switcher
from controller.core.switchcontracts import Environment
from controller.core.switchfollower import Follower
from controller.inspect.operate import serve_operate
from controller.node.switchrecord import SwitchFile
from controller.settings import Settings
from controller.start.backends import Backend
from controller.start.second import SecondPlane
from dualpath.rpc.server import RpcServer

SECOND = "dpdk"


@dataclass(frozen=True, slots=True)
class Parts:
    """The objects that a switch shares with the rest of the controller."""

    settings: Settings
    planes: Planes
    backend: Backend
    clock: Clock
    outward: Outward
    hosts: HostUnion
    not_ready: Callable[[], str]
    look_again: Callable[[], object]
    wanted: Callable[[], str]
    """Returns the datapath that the manifests name, "" for none."""


class Switching:
    """The second datapath, the switch to it and back, and the API for both."""

    def __init__(self, parts: Parts) -> None:
        backend, settings = parts.backend, parts.settings
        assert backend.second
        assert backend.steering
        self._listen = f"unix:{settings.operate}"
        self._second = SecondPlane(
            SECOND, parts.planes, backend.second, parts.clock, parts.outward, parts.hosts
        )
        self.switcher = Switcher(
            Environment(
                parts.planes,
                self._second,
                backend.steering,
                SwitchFile(settings.state_dir),
                _boot_time,
                parts.not_ready,
                changed=parts.look_again,
            )
        )
        self.follower = Follower(self.switcher, parts.wanted, _boot_time)
        backend.steering.placed = self.switcher.placed

    async def serve(self) -> RpcServer:
        """Listen for orders. Raises ListenError."""
        return await serve_operate(self.follower, self._listen)

    async def run(self) -> None:
        """Restore the last controller's state, then maintain it until cancelled."""
        try:
            await self.switcher.restore()
            async with asyncio.TaskGroup() as group:
                group.create_task(self.switcher.run())
                group.create_task(self.follower.run())
        finally:
            await asyncio.shield(self._second.leave())


def _boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
