"""Local hosts of two datapaths, announced to frr-bridge as one set. No I/O.

A standby receives ARP and neighbor discovery, so it learns most hosts, but it forgets silent ones.
A host is local while either datapath has it, so FRR withdraws no host because traffic moved. A host
that moved to another node becomes remote in both: its remote MAC replaces the local entry, and each
datapath reports that entry as gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from controller.core.hosts import LocalHosts
from dualpath.model.events import Mirror
from dualpath.model.layer2 import Neighbor
from dualpath.model.view import HostCount


class HostUnion:
    """Keeps the hosts of each datapath by the plane's name, and announces their union."""

    def __init__(self, announce: Callable[[Mirror], object], limit: int) -> None:
        self._announce = announce
        self._limit = limit
        self._by_plane: dict[str, LocalHosts] = {}

    def of(self, plane: str) -> LocalHosts:
        """Return the hosts of one plane; start with none."""
        if plane not in self._by_plane:
            self._by_plane[plane] = LocalHosts(lambda it: self._changed(plane, it), self._limit)
        return self._by_plane[plane]

    def drop(self, plane: str) -> None:
        """Forget a plane. Hosts that no other plane has are gone."""
        before = self._by_plane.pop(plane, None)
        if before and self._by_plane:
            last = before.everything()
            self._announce(
                self._without_others(Mirror(gone_macs=last.macs, gone_neighbors=last.neighbors))
            )

    def repeat(self) -> None:
        """Announce every host, after frr-bridge connected."""
        self._announce(self._everything())

    def counts(self) -> Iterator[HostCount]:
        """Yield the number of hosts of each plane; if two have the same VNI, the first one's."""
        found: dict[tuple[int, str], HostCount] = {}
        for hosts in self._by_plane.values():
            for count in hosts.counts():
                found.setdefault((count.vni, count.kind), count)
        yield from found.values()

    def _changed(self, plane: str, mirror: Mirror) -> None:
        if len(self._by_plane) < 2:
            self._announce(mirror)
        elif mirror.whole:
            self._announce(self._everything())
        else:
            self._announce(self._without_others(mirror, plane))

    def _everything(self) -> Mirror:
        parts = [hosts.everything() for hosts in self._by_plane.values()]
        macs = {mac.key: mac for part in parts for mac in part.macs}
        neighbors = {n.key: n for part in parts for n in part.neighbors}
        whole = bool(parts) and all(part.whole for part in parts)
        return Mirror(whole=whole, macs=tuple(macs.values()), neighbors=tuple(neighbors.values()))

    def _without_others(self, mirror: Mirror, plane: str = "") -> Mirror:
        """Return a change without removals of hosts that another plane still has."""
        others = [hosts for name, hosts in self._by_plane.items() if name != plane]
        macs = [m for m in mirror.gone_macs if not any(hosts.mac(m.key) for hosts in others)]
        neighbors = list(mirror.neighbors)
        gone: list[Neighbor] = []
        for neighbor in mirror.gone_neighbors:
            known = [kept for hosts in others if (kept := hosts.neighbor(neighbor.key))]
            neighbors += known[:1]  # another plane may have another MAC for the address
            gone += [] if known else [neighbor]
        return replace(
            mirror, neighbors=tuple(neighbors), gone_macs=tuple(macs), gone_neighbors=tuple(gone)
        )
