"""Remote Ethernet segments: the nexthop groups that VXLAN rows name by NDA_NH_ID.

zebra installs a nexthop with NHA_FDB for every VTEP, and a group of them for every Ethernet segment
(zebra_evpn_mh.c). A group may arrive before its members, and its members may change in place:

    nexthop 268435457  via 100.64.0.2 fdb
    nexthop 268435458  via 100.64.0.3 fdb
    nexthop 536870913  group 268435457/268435458 fdb      VTEPs (100.64.0.2, 100.64.0.3)
"""

from __future__ import annotations

from collections.abc import Callable

from dualpath.model.membership import Membership
from frr_bridge.wire.inline import InlineNexthop
from frr_bridge.wire.nexthop import ZebraNexthop

Changed = Callable[[int, tuple[bytes, ...]], None]
"""Called with a group's id and its VTEPs, sorted; () when it has none or is gone."""


class Segments:
    """The nexthops of bridge rows. Calls `changed` when the VTEPs of a group change."""

    def __init__(self, changed: Changed) -> None:
        self._changed = changed
        self._vtep_of: dict[int, bytes] = {}  # of nexthops
        self._members: dict[int, tuple[int, ...]] = {}  # of groups
        self._membership = Membership[int]()
        self._vteps: dict[int, tuple[bytes, ...]] = {}  # of groups, as reported last
        self._unseen: dict[int, None] = {}  # ids not yet repeated by a dump

    def vteps(self, identity: int) -> tuple[bytes, ...]:
        """Return the VTEPs of a group; () if the group is unknown or has none."""
        return self._vteps.get(identity, ())

    def learn(self, nexthop: ZebraNexthop) -> bool:
        """Note a nexthop or its deletion; return False for a nexthop of routes."""
        self._unseen.pop(nexthop.id, None)
        if nexthop.deleted or not nexthop.fdb:
            known = nexthop.id in self._vtep_of or nexthop.id in self._members
            self.forget(nexthop.id)
            return known and nexthop.deleted
        self._vtep_of.pop(nexthop.id, None)
        self._set_members(nexthop.id, tuple(identity for identity, _ in nexthop.members))
        if isinstance(nexthop.nexthop, InlineNexthop) and not nexthop.members:
            self._vtep_of[nexthop.id] = nexthop.nexthop.gateway
        self._update(nexthop.id)
        return True

    def forget(self, identity: int) -> None:
        if self._vtep_of.pop(identity, None) or identity in self._members:
            self._set_members(identity, ())
            self._update(identity)

    def begin_dump(self) -> None:
        self._unseen = dict.fromkeys((*self._vtep_of, *self._members))

    def end_dump(self) -> None:
        unseen, self._unseen = list(self._unseen), {}
        for identity in unseen:
            self.forget(identity)

    def _set_members(self, group: int, members: tuple[int, ...]) -> None:
        self._membership.change(group, self._members.pop(group, ()), members)
        if members:
            self._members[group] = members

    def _update(self, identity: int) -> None:
        """Recompute a group, or the groups of a member."""
        for group in sorted({identity, *self._membership.groups_of([identity])}):
            members = self._members.get(group, ())
            now = tuple(sorted({self._vtep_of[one] for one in members if one in self._vtep_of}))
            if now != self._vteps.get(group, ()):
                self._vteps[group] = now
                if not now:
                    del self._vteps[group]
                self._changed(group, now)
