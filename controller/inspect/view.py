"""The interfaces of the daemon and the datapath that the service uses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from datapaths.base import Capabilities, Facts, Found, PortState
from dualpath.model.view import StateView


class Inspected(StateView, Protocol):
    """The daemon's state, with its journal's position.

    Lists are sent in slices, with other work in between, so the iterator of `records` must survive
    changes of the state.
    """

    def sequence(self) -> int:
        """Return the sequence number of the last change; 0 before the first."""


Ports = Callable[[], Awaitable[Sequence[PortState]]]
"""`Datapath.ports`: raises Unavailable."""

LookUp = Callable[[str, bytes], Awaitable[Found | None]]
"""`LooksUp.look_up`, of a VRF and an address. Raises Unavailable."""


class QueriedDatapath(Protocol):
    """The part of the datapath that the service uses. Every method raises Unavailable."""

    async def capabilities(self) -> Capabilities: ...

    async def ports(self) -> Sequence[PortState]: ...

    async def facts(self) -> Facts: ...
