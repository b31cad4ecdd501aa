"""Follows the second datapath after a switch: it may die, and be programmed again.

The tc filters of a dead datapath are removed, so the first one forwards at once. This module then
lets the right plane speak for the node:

    grout dies              kernel active, grout PREPARING; the kernel has every port
    grout has all its rows  grout STANDBY, and its filters are back; the port assignment decides
                            which plane is active
"""

from __future__ import annotations

import asyncio
import logging

from controller.core.planes import Plane
from controller.core.portassignment import PortAssignment
from controller.core.switchcontracts import Environment
from controller.core.switchsteps import WINDOW_S, Steps
from dualpath.model.view import Role

log = logging.getLogger(__name__)


class Failover:
    """Follows whether the second datapath answers. Switches take the same `turn`."""

    def __init__(
        self, environment: Environment, ports: PortAssignment, steps: Steps, turn: asyncio.Lock
    ) -> None:
        self._at = environment
        self._planes = environment.planes
        self._ports = ports
        self._steps = steps
        self._turn = turn

    @property
    def down(self) -> bool:
        """Whether the second datapath does not exist, or is not programmed since it died."""
        second = self._planes.second
        return not second or second.role is Role.PREPARING

    async def look(self) -> None:
        """Make the first plane active if the second died; undo it once that has all its rows."""
        second = self._planes.second
        if second and self.down:
            await self._restore(second)
        elif second and second.reconciler.unavailable:
            self._fall_back(second)

    def _fall_back(self, second: Plane) -> None:
        first, why = self._planes.first, second.reconciler.unavailable
        log.warning("%s does not answer: %s; %s forwards", second.name, why, first.name)
        self._planes.activate(first)
        second.role = Role.PREPARING

    async def _restore(self, second: Plane) -> None:
        if second.reconciler.unavailable or not second.reconciler.resting:
            return
        async with self._turn:
            if await self._steps.lacking(second):
                return
            second.role = Role.STANDBY
            ports = self._ports.state.ports
            await asyncio.to_thread(self._at.steering.seed)
            await self._at.sleep(WINDOW_S)
            await asyncio.to_thread(self._at.steering.move, self._ports.wanted(ports))
            self._planes.activate(self._ports.speaker(ports))
        log.info("%s is programmed again; it forwards for: %s", second.name, ", ".join(ports))
