"""Local hosts that the datapath learnt, as FRR is to be told of them. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from controller.model.events import Mirror
from controller.model.layer2 import Mac, Neighbor
from datapaths.base import LearnedMac, LearnedNeighbor


class LocalHosts:
    """Keeps the set, and tells of every change; a new bridge is told all of it.

    Until the datapath has said all it knows, what it has not said is not gone: a bridge may have it
    from an earlier controller.
    """

    def __init__(self, tell: Callable[[Mirror], object]) -> None:
        self._tell = tell
        self._whole = False
        self._macs: dict[tuple[int, bytes], Mac] = {}
        self._neighbors: dict[tuple[int, bytes], Neighbor] = {}

    def learn(self, said: LearnedMac | LearnedNeighbor) -> None:
        if isinstance(said, LearnedMac):
            self._learn_mac(said)
        else:
            self._learn_neighbor(said)

    def caught_up(self) -> None:
        """The datapath has said all it knows: now it is known what is gone."""
        self._whole = True
        self.repeat()

    def repeat(self) -> None:
        """Tell all: whoever listens has just come."""
        self._tell(
            Mirror(
                whole=self._whole,
                macs=tuple(self._macs.values()),
                neighbors=tuple(self._neighbors.values()),
            )
        )

    def _learn_mac(self, said: LearnedMac) -> None:
        mac = Mac(said.vni, said.mac)
        if not said.gone:
            self._macs[mac.key] = mac
            self._tell(Mirror(macs=(mac,)))
        elif self._macs.pop(mac.key, None):
            self._tell(Mirror(gone_macs=(mac,)))

    def _learn_neighbor(self, said: LearnedNeighbor) -> None:
        neighbor = Neighbor(said.vni, said.address, said.mac)
        if not said.gone:
            self._neighbors[neighbor.key] = neighbor
            self._tell(Mirror(neighbors=(neighbor,)))
        elif self._neighbors.pop(neighbor.key, None):
            self._tell(Mirror(gone_neighbors=(neighbor,)))
