"""The links of a namespace by index, name, VNI and VRF table. Pure: fed by dumps and events."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TypeVar

from datapaths.kernel.wire.links import Link
from dualpath.model.routes import DEFAULT_VRF
from dualpath.netlink import numbers as n

_K = TypeVar("_K", bound=Hashable)


class LinkTable:
    """Links by index and name, VXLAN devices by VNI, VRFs by table."""

    def __init__(self) -> None:
        self._links: dict[int, Link] = {}
        self._names: dict[str, int] = {}
        self._tables: dict[int, dict[int, None]] = {}  # VRF's table: indexes, mostly one
        self._vxlans: dict[int, int] = {}  # VNI: index
        self._vnis: dict[int, int] = {}  # bridge's index: VNI

    def __iter__(self) -> Iterator[Link]:
        return iter(self._links.values())

    def get(self, index: int) -> Link | None:
        return self._links.get(index)

    def named(self, name: str) -> Link | None:
        return self._links.get(self._names.get(name, 0))

    def put(self, link: Link) -> Link | None:
        """Store a link; return the one that it replaces."""
        old = self.pop(link.index)
        self._links[link.index] = link
        self._names[link.name] = link.index
        if link.table:
            self._tables.setdefault(link.table, {})[link.index] = None
        if link.vni:
            self._vxlans[link.vni] = link.index
            if link.master:
                self._vnis[link.master] = link.vni
        return old

    def pop(self, index: int) -> Link | None:
        link = self._links.pop(index, None)
        if link:
            _forget(self._names, link.name, index)
            self._tables.get(link.table, {}).pop(index, None)
            _forget(self._vxlans, link.vni, index)
            _forget(self._vnis, link.master, link.vni)
        return link

    def vxlan(self, vni: int) -> Link | None:
        return self._links.get(self._vxlans.get(vni, 0))

    def bridge(self, vni: int) -> Link | None:
        """Return the bridge whose port is the VXLAN device of a VNI."""
        vxlan = self.vxlan(vni)
        return self._links.get(vxlan.master) if vxlan else None

    def vni_of(self, bridge: int) -> int:
        """Return the VNI of a bridge's VXLAN port, 0 when it has none."""
        return self._vnis.get(bridge, 0)

    def vnis(self) -> list[int]:
        """Return the VNIs that have a bridge."""
        return list(self._vnis.values())

    def table_of(self, vrf: str) -> int:
        """Return a VRF's routing table, 0 when there is no such VRF."""
        if vrf == DEFAULT_VRF:
            return n.RT_TABLE_MAIN
        link = self.named(vrf)
        return link.table if link else 0

    def vrf_of(self, table: int) -> str:
        """Return the VRF of a routing table, "" when there is none."""
        if table == n.RT_TABLE_MAIN:
            return DEFAULT_VRF
        return next((self._links[index].name for index in self._tables.get(table, ())), "")


def _forget(index: dict[_K, int], key: _K, value: int) -> None:
    if index.get(key) == value:
        del index[key]
