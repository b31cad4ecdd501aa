"""What a switch between two datapaths needs from the controller, and its lasting state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from controller.core.planes import Planes


@dataclass(frozen=True, slots=True)
class SwitchState:
    """The state of a switch that outlives the controller."""

    active: str  # the datapath that speaks for the node
    second: bool = False  # the second datapath exists
    ports: tuple[str, ...] = ()  # whose traffic the second has
    to: str = ""  # a switch to this datapath is under way; "": none
    keep: bool = False  # keep the second when it has no port
    deadline: float = 0.0  # when an unconfirmed switch is undone, CLOCK_BOOTTIME; 0: never
    before: tuple[str, ...] = ()  # the ports of the second datapath before that switch


class Second(Protocol):
    """Starts and ends the second datapath."""

    name: str

    async def start(self) -> None:
        """Return when it answers and its plane is added. Raises DatapathError."""

    async def stop(self) -> None:
        """End it, even if an earlier controller left it running, and remove its plane."""


class Steering(Protocol):
    """Moves the traffic of ports. Blocks."""

    def move(self, placed: Mapping[str, bool]) -> list[str]:
        """Let the second forward for the ports with True; return the ports where it cannot."""

    def seed(self) -> int:
        """Give the second the neighbors behind all ports, before it gets one; return their number.

        It needs those behind all ports, because a packet that enters by one port leaves by another.
        """

    def release(self, ports: Sequence[str]) -> None:
        """Remove everything that leads packets to the second datapath."""


class Store(Protocol):
    """Keeps a SwitchState on disk."""

    def read(self) -> SwitchState | None: ...

    def write(self, state: SwitchState) -> None:
        """Raises OSError."""


@dataclass
class Environment:
    """The parts of the controller that a switch needs."""

    planes: Planes
    second: Second
    steering: Steering
    store: Store
    now: Callable[[], float]  # CLOCK_BOOTTIME, which outlives the controller
    not_ready: Callable[[], str]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    changed: Callable[[], object] = field(default=lambda: None)
    """Called when ports have another wiring: the provisioner looks again."""
