"""Twins that do nothing: FRR is on no port."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from datapaths.base import RowFailure
from dualpath.model.links import Port


class NoTwins:
    """Implements `controller.node.provision.PortTwins`."""

    def __init__(self) -> None:
        self.carriers: list[tuple[str, bool]] = []

    def ensure(self, ports: Sequence[Port], tcp_ports: Iterable[int]) -> Sequence[RowFailure]:
        return ()

    def differing(self, ports: Sequence[Port], tcp_ports: Iterable[int]) -> list[tuple[str, str]]:
        return []

    def namespaces(self) -> set[str]:
        return set()

    def set_carrier(self, name: str, up: bool) -> None:
        self.carriers.append((name, up))
