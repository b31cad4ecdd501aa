"""What the service asks of the daemon beyond reading rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from datapaths.base import Capabilities, Facts, Found, PortState
from dualpath.model.view import StateView


class Inspected(StateView, Protocol):
    """The daemon's state, with its journal's position.

    Lists are sent in slices, with other work in between: what `records` returns must survive
    changes to the state between two steps.
    """

    def sequence(self) -> int:
        """Return the sequence number of the last change; 0 before the first."""


Ports = Callable[[], Awaitable[Sequence[PortState]]]
"""`Datapath.ports`: raises Unavailable."""

LookUp = Callable[[str, bytes], Awaitable[Found | None]]
"""`LooksUp.look_up`: from a VRF and an address. Raises Unavailable."""


class Asked(Protocol):
    """What is asked of the datapath itself. All of it raises Unavailable."""

    async def capabilities(self) -> Capabilities: ...

    async def ports(self) -> Sequence[PortState]: ...

    async def facts(self) -> Facts: ...
