"""The kernel's nexthop objects, and the records of ours. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from datapaths.kernel.linktable import LinkTable
from datapaths.kernel.wire.nexthops import Object
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.netlink import numbers as n


class NexthopTable:
    """Our objects by id, and the ids of others' objects."""

    def __init__(self, links: LinkTable) -> None:
        self._links = links
        self._ours: dict[int, tuple[Object, Nexthop]] = {}
        self._over: dict[int, set[int]] = {}  # device -> ids of ours
        self.foreign: set[int] = set()

    def clear(self) -> None:
        self._ours.clear()
        self._over.clear()
        self.foreign.clear()

    def get(self, id_: int) -> Nexthop | None:
        return self._ours[id_][1] if id_ in self._ours else None

    def __iter__(self) -> Iterator[Nexthop]:
        return iter([record for _, record in self._ours.values()])

    def use(self, device: int) -> bool:
        """Return whether one of our nexthops uses a device."""
        return device in self._over

    def put(self, new: Object) -> None:
        """Store an object of a dump or a notification; remove it if the kernel did.

        If another program replaces one of our objects, its id remains ours: we repair the object.
        """
        was = self._pop(new.id)
        self.foreign.discard(new.id)
        if new.gone:
            return
        if new.protocol == n.RTPROT_DUALPATH:
            # Resolve the device now: after its deletion the name is unknown.
            self._ours[new.id] = new, self._record(new)
            if new.oif:
                self._over.setdefault(new.oif, set()).add(new.id)
        elif not was:
            self.foreign.add(new.id)

    def _pop(self, id_: int) -> tuple[Object, Nexthop] | None:
        found = self._ours.pop(id_, None)
        if found and found[0].oif:
            over = self._over[found[0].oif]
            over.discard(id_)
            if not over:
                del self._over[found[0].oif]
        return found

    def _record(self, it: Object) -> Nexthop:
        if it.members:
            return Nexthop(it.id, NexthopType.GROUP, members=it.members)
        if it.blackhole:
            return Nexthop(it.id, NexthopType.BLACKHOLE)
        vni = self._links.vni_of(it.oif) if it.onlink else 0
        link = self._links.get(it.oif)
        device = link.name if link and not vni else ""
        type_ = NexthopType.GATEWAY if it.gateway else NexthopType.DEVICE
        return Nexthop(it.id, type_, it.gateway, device, vni, it.onlink)


def normal(nexthop: Nexthop) -> Nexthop:
    """Return a nexthop as the kernel reports it: one into an overlay is always onlink."""
    if nexthop.type is NexthopType.GATEWAY and nexthop.vni:
        return Nexthop(nexthop.id, nexthop.type, nexthop.gateway, "", nexthop.vni, True)
    return nexthop
