"""Networks, and which of them overlap a given one: found without looking at all. Pure.

Two networks overlap if one contains the other. Those that contain a network are found by their
prefix: one look-up for each length that occurs. Those inside it are neighbors in the order of their
first addresses.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from controller.intent.addresses import Network

Place = tuple[int, int, int]  # IP version, first address, number of the entry


class Overlaps:
    """Networks of both IP versions, each with the name of its owner."""

    def __init__(self) -> None:
        self._entries: list[tuple[Network, str]] = []
        self._sorted: list[Place] = []
        self._by_prefix: dict[tuple[int, int, int], list[int]] = {}  # version, length, first
        self._lengths: dict[int, set[int]] = {4: set(), 6: set()}

    def add(self, network: Network, owner: str) -> None:
        number, first = len(self._entries), int(network.network_address)
        self._entries.append((network, owner))
        insort(self._sorted, (network.version, first, number))
        self._lengths[network.version].add(network.prefixlen)
        key = network.version, network.prefixlen, first
        self._by_prefix.setdefault(key, []).append(number)

    def of(self, network: Network) -> list[tuple[Network, str]]:
        """Return the entries that overlap a network, in the order in which they were added."""
        found = {*self._around(network), *self._inside(network)}
        return [self._entries[number] for number in sorted(found)]

    def _around(self, network: Network) -> Iterator[int]:
        """Yield the entries that contain the network, or are equal to it."""
        version, first = network.version, int(network.network_address)
        for length in self._lengths[version]:
            if length <= network.prefixlen:
                rest = network.max_prefixlen - length
                yield from self._by_prefix.get((version, length, first >> rest << rest), ())

    def _inside(self, network: Network) -> Iterator[int]:
        """Yield the entries that begin in the network."""
        version, last = network.version, int(network.broadcast_address)
        at = bisect_left(self._sorted, (version, int(network.network_address), 0))
        while at < len(self._sorted) and self._sorted[at][:2] <= (version, last):
            yield self._sorted[at][2]
            at += 1
