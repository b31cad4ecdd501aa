"""Local hosts that the datapath learned, and the ones announced to frr-bridge. No I/O.

One host of a tenant may pretend to be any number of hosts. So each VNI has three limits: for MACs,
IPv4 and IPv6 addresses. The first ones are announced. Later ones wait until one of them is removed.
Other VNIs are not affected.
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
    """Keeps the local hosts, and announces every change; a new frr-bridge gets all of them.

    Until the datapath has reported all its hosts, an unreported host does not count as removed:
    frr-bridge may have it from an earlier controller.
    """

    def __init__(self, announce: Callable[[Mirror], object], limit: int = NO_LIMIT) -> None:
        self._announce = announce
        self._limit = limit
        self._whole = False
        self._macs: dict[int, _Limited[Mac]] = {}  # by VNI
        self._neighbors: dict[tuple[int, str], _Limited[Neighbor]] = {}  # by VNI and family

    def learn(self, event: LearnedMac | LearnedNeighbor) -> None:
        if isinstance(event, LearnedMac):
            self._learn_mac(Mac(event.vni, event.mac), gone=event.gone)
        else:
            self._learn_neighbor(Neighbor(event.vni, event.address, event.mac), gone=event.gone)

    def caught_up(self) -> None:
        """Announce the whole set: the datapath has reported all its hosts, so others are gone."""
        self._whole = True
        self.repeat()

    def repeat(self) -> None:
        """Announce every host: frr-bridge has just connected."""
        self._announce(self.everything())

    def everything(self) -> Mirror:
        """Return all announced hosts, and whether these are all."""
        return Mirror(
            whole=self._whole,
            macs=tuple(mac for some in self._macs.values() for mac in some.announced()),
            neighbors=tuple(n for some in self._neighbors.values() for n in some.announced()),
        )

    def mac(self, key: tuple[int, bytes]) -> Mac | None:
        """Return an announced MAC."""
        some = self._macs.get(key[0])
        return some.find(key) if some else None

    def neighbor(self, key: tuple[int, bytes]) -> Neighbor | None:
        """Return an announced address with its MAC."""
        some = self._neighbors.get((key[0], "ipv4" if len(key[1]) == 4 else "ipv6"))
        return some.find(key) if some else None

    def counts(self) -> Iterator[HostCount]:
        """Yield the numbers of announced and waiting hosts, for each VNI and kind with any."""
        for vni, macs in sorted(self._macs.items()):
            yield HostCount(vni, "mac", *macs.sizes())
        for (vni, family), neighbors in sorted(self._neighbors.items()):
            yield HostCount(vni, family, *neighbors.sizes())

    def _learn_mac(self, mac: Mac, *, gone: bool) -> None:
        place = f"VNI {mac.vni}: local MACs"
        some = self._macs.setdefault(mac.vni, _Limited(self._limit, place))
        if not gone:
            if some.add(mac):
                self._announce(Mirror(macs=(mac,)))
        elif some.remove(mac):
            self._announce(Mirror(gone_macs=(mac,)))
            if follower := some.next():
                self._announce(Mirror(macs=(follower,)))
        if not any(some.sizes()):
            del self._macs[mac.vni]

    def _learn_neighbor(self, neighbor: Neighbor, *, gone: bool) -> None:
        family = "ipv4" if len(neighbor.address) == 4 else "ipv6"
        place = f"VNI {neighbor.vni}: local {family} addresses"
        key = neighbor.vni, family
        some = self._neighbors.setdefault(key, _Limited(self._limit, place))
        if not gone:
            if some.add(neighbor):
                self._announce(Mirror(neighbors=(neighbor,)))
        elif some.remove(neighbor):
            self._announce(Mirror(gone_neighbors=(neighbor,)))
            if follower := some.next():
                self._announce(Mirror(neighbors=(follower,)))
        if not any(some.sizes()):
            del self._neighbors[key]


class _Limited(Generic[R]):
    """Records of one kind and VNI: announced ones, and those that wait for a place."""

    def __init__(self, limit: int, place: str) -> None:
        self._limit = limit
        self._place = place
        self._announced: dict[tuple[int, bytes], R] = {}
        self._waiting: dict[tuple[int, bytes], R] = {}
        self._full = False  # and logged

    def announced(self) -> Iterator[R]:
        return iter(self._announced.values())

    def find(self, key: tuple[int, bytes]) -> R | None:
        """Return an announced record."""
        return self._announced.get(key)

    def sizes(self) -> tuple[int, int]:
        return len(self._announced), len(self._waiting)

    def add(self, record: R) -> bool:
        """Add a record; return True if it is announced, False if it waits."""
        known = record.key in self._announced
        if known or not self._limit or len(self._announced) < self._limit:
            self._announced[record.key] = record
            return True
        self._waiting[record.key] = record
        if not self._full:
            text = "%s: more than %d (--host-limit); further ones are not advertised"
            log.warning(text, self._place, self._limit)
        self._full = True
        return False

    def remove(self, record: R) -> bool:
        """Remove a record; return whether it was announced."""
        self._waiting.pop(record.key, None)
        return self._announced.pop(record.key, None) is not None

    def next(self) -> R | None:
        """Announce the record that has waited longest, and return it; None if none waits."""
        if not self._waiting:
            self._full = False
            return None
        record = self._waiting.pop(next(iter(self._waiting)))
        self._announced[record.key] = record
        return record
