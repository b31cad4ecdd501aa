"""What zebra describes under each nexthop handle, before devices are resolved to names."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from dualpath.model.nexthops import NexthopHandle
from frr_bridge.wire.inline import Content, InlineNexthop, Unsupported

Members = tuple[tuple[NexthopHandle, int], ...]
"""A group's members as (handle, weight)."""

Description = Content | Members
"""A single nexthop, one that no datapath can use, or a group."""


class Contents(dict[NexthopHandle, Description]):
    """The description of each handle; members of a group refer to other handles."""

    def members(self, handle: NexthopHandle) -> list[NexthopHandle]:
        """Return the members of a group; [] of anything else."""
        contents = self.get(handle)
        return [member for member, _ in contents] if isinstance(contents, tuple) else []

    def groups_of(self, handles: AbstractSet[NexthopHandle]) -> list[NexthopHandle]:
        """Return the groups with a member among `handles`."""
        return [group for group in self if not handles.isdisjoint(self.members(group))]

    def is_group(self, handle: NexthopHandle) -> bool:
        return isinstance(self.get(handle), tuple)

    def is_single(self, handle: NexthopHandle) -> bool:
        return isinstance(self.get(handle), InlineNexthop | Unsupported)

    def is_over(self, handle: NexthopHandle, oif: int) -> bool:
        """Report whether a single nexthop leaves by a device."""
        nexthop = self.get(handle)
        return isinstance(nexthop, InlineNexthop) and nexthop.oif == oif

    def is_only_over(self, handle: NexthopHandle, oif: int) -> bool:
        """Report whether a nexthop, or every member of a group, leaves by a device."""
        if self.is_group(handle):
            return all(self.is_over(member, oif) for member in self.members(handle))
        return self.is_over(handle, oif)
