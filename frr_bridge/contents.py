"""What zebra describes under each nexthop handle, before devices are resolved to names."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from dualpath.model.membership import Membership
from dualpath.model.nexthops import NexthopHandle
from frr_bridge.wire.inline import Content, InlineNexthop, Unsupported

Members = tuple[tuple[NexthopHandle, int], ...]
"""A group's members as (handle, weight)."""

Description = Content | Members
"""A single nexthop, one that no datapath can use, or a group."""


class Contents(dict[NexthopHandle, Description]):
    """The description of each handle; members of a group refer to other handles.

    Write it by item only: the indexes of groups and of devices follow each item.
    """

    def __init__(self) -> None:
        super().__init__()
        self._membership = Membership[NexthopHandle]()
        self._over: dict[int, set[NexthopHandle]] = {}  # device -> single nexthops
        self._groups: set[NexthopHandle] = set()

    def __setitem__(self, handle: NexthopHandle, contents: Description) -> None:
        self._index(handle, self.get(handle), contents)
        super().__setitem__(handle, contents)

    def __delitem__(self, handle: NexthopHandle) -> None:
        self._index(handle, self.get(handle), None)
        super().__delitem__(handle)

    def members(self, handle: NexthopHandle) -> list[NexthopHandle]:
        """Return the members of a group; [] of anything else."""
        return _members(self.get(handle))

    def groups_of(self, handles: AbstractSet[NexthopHandle]) -> list[NexthopHandle]:
        """Return the groups with a member among `handles`, ascending."""
        return self._membership.groups_of(handles)

    def is_group(self, handle: NexthopHandle) -> bool:
        return handle in self._groups

    def no_group_in(self, handles: Iterable[NexthopHandle]) -> bool:
        return self._groups.isdisjoint(handles)

    def is_single(self, handle: NexthopHandle) -> bool:
        return isinstance(self.get(handle), InlineNexthop | Unsupported)

    def over(self, devices: Iterable[int]) -> set[NexthopHandle]:
        """Return the single nexthops that use one of these devices."""
        found: set[NexthopHandle] = set()
        return found.union(*(self._over.get(device, ()) for device in devices))

    def only_over(self, device: int) -> list[NexthopHandle]:
        """Return the nexthops that use a device, and the groups whose every member does."""
        single = self.over([device])
        groups = (g for g in self.groups_of(single) if self._is_within(g, single))
        return sorted({*single, *groups})

    def _is_within(self, group: NexthopHandle, handles: AbstractSet[NexthopHandle]) -> bool:
        members = self[group]
        return isinstance(members, tuple) and all(member in handles for member, _ in members)

    def _index(
        self, handle: NexthopHandle, before: Description | None, after: Description | None
    ) -> None:
        self._membership.change(handle, _members(before), _members(after))
        if isinstance(after, tuple):
            self._groups.add(handle)
        else:
            self._groups.discard(handle)
        if device := _device(before):
            self._over[device].discard(handle)
            if not self._over[device]:
                del self._over[device]
        if device := _device(after):
            self._over.setdefault(device, set()).add(handle)


def _members(contents: Description | None) -> list[NexthopHandle]:
    return [member for member, _ in contents] if isinstance(contents, tuple) else []


def _device(contents: Description | None) -> int:
    return contents.oif if isinstance(contents, InlineNexthop) else 0
