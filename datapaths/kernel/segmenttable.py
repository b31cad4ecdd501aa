"""Ethernet segments in the kernel: groups of VTEPs that FDB entries of VXLAN devices name. Pure.

Each VTEP is a nexthop object with NHA_FDB, shared by its groups. A group's id is the segment's id
plus the bit GROUP: segment 0x20000001 is group 0x60000001. VTEPs get ids from FIRST_VTEP on, in the
order of their creation. Nexthops of routes have much lower ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from datapaths.kernel.wire.nexthops import Object
from dualpath.model.layer2 import EthernetSegment
from dualpath.model.membership import Membership
from dualpath.netlink import numbers as n

GROUP = 1 << 30
FIRST_VTEP = 1 << 31


def group_of(segment: int) -> int:
    """Return the id of a segment's group in the kernel."""
    return GROUP | segment


def segment_of(group: int) -> int:
    """Return the segment of a group; 0 if the id is not one of ours."""
    return group & (GROUP - 1) if group >> 30 == 1 else 0


class SegmentTable:
    """Our nexthop objects with NHA_FDB, kept by dumps and notifications."""

    def __init__(self) -> None:
        self._vteps: dict[int, bytes] = {}  # id -> VTEP
        self._ids: dict[bytes, int] = {}  # VTEP -> id, also of objects just requested
        self._groups: dict[int, tuple[int, ...]] = {}  # id -> ids of its members
        self._membership = Membership[int]()
        self._next = FIRST_VTEP

    def clear(self) -> None:
        self._vteps.clear()
        self._ids.clear()
        self._groups.clear()
        self._membership = Membership()

    def put(self, new: Object) -> bool:
        """Store an object, or remove it if the kernel did; return False if it has no NHA_FDB."""
        known = new.id in self._vteps or new.id in self._groups
        if vtep := self._vteps.pop(new.id, b""):
            self._ids.pop(vtep, None)
        self._set_members(new.id, ())
        if new.gone or not new.fdb or new.protocol != n.RTPROT_DUALPATH:
            return known and new.gone
        if new.members:
            self._set_members(new.id, tuple(member.id for member in new.members))
        else:
            self._vteps[new.id] = new.gateway
            self._ids[new.gateway] = new.id
            self._next = max(self._next, new.id + 1)
        return True

    def get(self, group: int) -> EthernetSegment | None:
        """Return the segment of a group that exists in the kernel."""
        members = self._groups.get(group)
        if members is None or not segment_of(group):
            return None
        vteps = (self._vteps[member] for member in members if member in self._vteps)
        return EthernetSegment(segment_of(group), tuple(sorted(vteps)))

    def __iter__(self) -> Iterator[EthernetSegment]:
        return (found for group in list(self._groups) if (found := self.get(group)))

    def with_member(self, id_: int) -> Iterator[int]:
        """Yield the groups that have this id, or that have it as a member."""
        if id_ in self._groups:
            yield id_
        yield from self._membership.groups_of([id_])

    def _set_members(self, group: int, members: tuple[int, ...]) -> None:
        self._membership.change(group, self._groups.pop(group, ()), members)
        if members:
            self._groups[group] = members

    def holds(self, vtep: bytes) -> bool:
        """Return whether the kernel has an object for a VTEP."""
        return self._ids.get(vtep, 0) in self._vteps

    def id_of(self, vtep: bytes) -> int:
        """Return the id of a VTEP; choose one if it has none."""
        if vtep not in self._ids:
            self._ids[vtep] = self._next
            self._next += 1
        return self._ids[vtep]

    def unused(self, after: Mapping[int, Iterable[bytes]]) -> list[int]:
        """Return the ids of VTEPs in no group, once the groups in `after` have those VTEPs."""
        used = {m for g, members in self._groups.items() if g not in after for m in members}
        used |= {self._ids[vtep] for vteps in after.values() for vtep in vteps if vtep in self._ids}
        return sorted(self._vteps.keys() - used)
