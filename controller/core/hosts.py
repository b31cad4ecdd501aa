"""Local hosts that the datapath learnt, as FRR is to be told of them. No I/O.

A tenant's host may pretend to be any number of hosts. So of each VNI at most so many MACs, IPv4 and
IPv6 addresses are told, those that came first; what comes later waits, and takes the place of one
that goes. Other VNIs are not affected.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from datapaths.base import LearnedMac, LearnedNeighbor
from dualpath.model.events import Mirror
from dualpath.model.layer2 import Mac, Neighbor
from dualpath.model.view import HostCount

log = logging.getLogger(__name__)

NO_LIMIT = 0

R = TypeVar("R", Mac, Neighbor)


class LocalHosts:
    """Keeps the set, and tells of every change; a new bridge is told all of it.

    Until the datapath has said all it knows, what it has not said is not gone: a bridge may have it
    from an earlier controller.
    """

    def __init__(self, tell: Callable[[Mirror], object], limit: int = NO_LIMIT) -> None:
        self._tell = tell
        self._limit = limit
        self._whole = False
        self._macs: dict[int, _Limited[Mac]] = {}  # by VNI
        self._neighbors: dict[tuple[int, str], _Limited[Neighbor]] = {}  # by VNI and family

    def learn(self, said: LearnedMac | LearnedNeighbor) -> None:
        if isinstance(said, LearnedMac):
            self._learn_mac(Mac(said.vni, said.mac), gone=said.gone)
        else:
            self._learn_neighbor(Neighbor(said.vni, said.address, said.mac), gone=said.gone)

    def caught_up(self) -> None:
        """The datapath has said all it knows: now it is known what is gone."""
        self._whole = True
        self.repeat()

    def repeat(self) -> None:
        """Tell all: whoever listens has just come."""
        self._tell(
            Mirror(
                whole=self._whole,
                macs=tuple(mac for some in self._macs.values() for mac in some.taken()),
                neighbors=tuple(n for some in self._neighbors.values() for n in some.taken()),
            )
        )

    def counts(self) -> Iterator[HostCount]:
        """Yield how many are told and how many wait, for each VNI and kind that has any."""
        for vni, macs in sorted(self._macs.items()):
            yield HostCount(vni, "mac", *macs.sizes())
        for (vni, family), neighbors in sorted(self._neighbors.items()):
            yield HostCount(vni, family, *neighbors.sizes())

    def _learn_mac(self, mac: Mac, *, gone: bool) -> None:
        place = f"VNI {mac.vni}: local MACs"
        some = self._macs.setdefault(mac.vni, _Limited(self._limit, place))
        if not gone:
            if some.add(mac):
                self._tell(Mirror(macs=(mac,)))
        elif some.remove(mac):
            self._tell(Mirror(gone_macs=(mac,)))
            if follower := some.next():
                self._tell(Mirror(macs=(follower,)))
        if not any(some.sizes()):
            del self._macs[mac.vni]

    def _learn_neighbor(self, neighbor: Neighbor, *, gone: bool) -> None:
        family = "ipv4" if len(neighbor.address) == 4 else "ipv6"
        place = f"VNI {neighbor.vni}: local {family} addresses"
        key = neighbor.vni, family
        some = self._neighbors.setdefault(key, _Limited(self._limit, place))
        if not gone:
            if some.add(neighbor):
                self._tell(Mirror(neighbors=(neighbor,)))
        elif some.remove(neighbor):
            self._tell(Mirror(gone_neighbors=(neighbor,)))
            if follower := some.next():
                self._tell(Mirror(neighbors=(follower,)))
        if not any(some.sizes()):
            del self._neighbors[key]


class _Limited(Generic[R]):
    """Records of one kind and VNI: those that are told, and those that wait for a place."""

    def __init__(self, limit: int, place: str) -> None:
        self._limit = limit
        self._place = place
        self._taken: dict[tuple[int, bytes], R] = {}
        self._waiting: dict[tuple[int, bytes], R] = {}
        self._full = False  # and the log says so

    def taken(self) -> Iterator[R]:
        return iter(self._taken.values())

    def sizes(self) -> tuple[int, int]:
        return len(self._taken), len(self._waiting)

    def add(self, record: R) -> bool:
        """Take a record, or let it wait; tell whether it was taken."""
        if record.key in self._taken or not self._limit or len(self._taken) < self._limit:
            self._taken[record.key] = record
            return True
        self._waiting[record.key] = record
        if not self._full:
            text = "%s: more than %d (--host-limit): further ones are not advertised"
            log.warning(text, self._place, self._limit)
        self._full = True
        return False

    def remove(self, record: R) -> bool:
        """Remove a record; tell whether it had been taken."""
        self._waiting.pop(record.key, None)
        return self._taken.pop(record.key, None) is not None

    def next(self) -> R | None:
        """Take the one that waited longest; None when none waits."""
        if not self._waiting:
            self._full = False
            return None
        record = self._waiting.pop(next(iter(self._waiting)))
        self._taken[record.key] = record
        return record
