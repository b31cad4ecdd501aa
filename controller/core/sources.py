"""Facts for the status that the state does not have, as callables that are called on request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dualpath.model.plan import Plan
from dualpath.model.view import Audited, Histogram, HostCount, NeighborTable, ResourceStatus


async def _nothing_to_check() -> Audited:
    return Audited(0)


@dataclass(slots=True)
class Sources:
    """The callable for each fact. The composition sets them before the first request."""

    resources: Callable[[], Sequence[ResourceStatus]] = lambda: ()
    planned: Callable[[], Plan | None] = lambda: None
    check: Callable[[], Awaitable[Audited]] = _nothing_to_check
    """Compares frr-bridge with the kernel of FRR's namespace."""
    beside: Callable[[], Awaitable[Audited]] = _nothing_to_check
    """Returns the differences in FRR's shadow devices and twins."""
    repair_beside: Callable[[], None] = lambda: None
    hosts: Callable[[], Iterable[HostCount]] = lambda: ()
    neighbor_tables: Callable[[], Sequence[NeighborTable]] = lambda: ()
    out_of_date: Callable[[], str] = lambda: ""
    """Returns why the manifests in force may not be the latest ones."""
    trial: Callable[[], str] = lambda: ""
    """Returns how to confirm what is on trial, and until when."""
    problem: Callable[[], str] = lambda: ""
    """Returns why the daemon cannot do its job, for reasons that the state does not know."""
    ports_of: Callable[[], Mapping[str, str]] = dict
    """Returns which of two datapaths has each port's traffic."""
    switches: Callable[[], Sequence[tuple[str, Histogram]]] = lambda: ()
    """Returns how long switches took, by their outcome."""
