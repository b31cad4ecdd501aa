"""Remote Ethernet segments: the nexthop groups that bridge entries name by NDA_NH_ID.

zebra installs a nexthop with NHA_FDB for every VTEP, and a group of them for every Ethernet
segment (zebra_evpn_mh.c). A group may come before its members, and lose or gain some in place.
"""

from __future__ import annotations

from collections.abc import Callable

from frr_bridge.wire.inline import InlineNexthop
from frr_bridge.wire.nexthop import ZebraNexthop

Changed = Callable[[int, tuple[bytes, ...]], None]
"""Told of a group's id and its VTEPs, sorted; () when it has none or is gone."""


class Segments:
    """Feed it nexthops; it calls `changed` when the VTEPs of a group are others than before."""

    def __init__(self, changed: Changed) -> None:
        self._changed = changed
        self._vtep_of: dict[int, bytes] = {}  # of nexthops
        self._members: dict[int, tuple[int, ...]] = {}  # of groups
        self._vteps: dict[int, tuple[bytes, ...]] = {}  # of groups, as told last

    def ids(self) -> set[int]:
        return self._vtep_of.keys() | self._members.keys()

    def vteps(self, identity: int) -> tuple[bytes, ...]:
        """Return the VTEPs of a group; () for one that is unknown or has none."""
        return self._vteps.get(identity, ())

    def take(self, said: ZebraNexthop) -> bool:
        """Take a nexthop; False when it is one of routes."""
        if said.deleted or not said.fdb:
            ours = said.id in self.ids()
            self.forget(said.id)
            return ours and said.deleted
        self._vtep_of.pop(said.id, None)
        self._members.pop(said.id, None)
        if said.members:
            self._members[said.id] = tuple(identity for identity, _ in said.members)
        elif isinstance(said.nexthop, InlineNexthop):
            self._vtep_of[said.id] = said.nexthop.gateway
        self._look(said.id)
        return True

    def forget(self, identity: int) -> None:
        """An id is gone."""
        if self._vtep_of.pop(identity, None) or self._members.pop(identity, None):
            self._look(identity)

    def _look(self, identity: int) -> None:
        """Look again at a group, or at the groups of a member."""
        groups = {group for group, legs in self._members.items() if identity in legs}
        for group in sorted({identity} | groups):
            members = self._members.get(group, ())
            now = tuple(sorted({self._vtep_of[leg] for leg in members if leg in self._vtep_of}))
            if now != self._vteps.get(group, ()):
                self._vteps[group] = now
                if not now:
                    del self._vteps[group]
                self._changed(group, now)
