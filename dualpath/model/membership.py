"""The groups of each member: an inverted index of the references between nexthops.

    groups     20 = {7, 8}    21 = {8, 9}
    inverted   7: {20}    8: {20, 21}    9: {21}

A change of handle 8 concerns groups 20 and 21, so exactly those are visited. Rejected: a search
through all groups. When a link behind 10,000 groups of 64 went down, that was a search of 640,000
members for each nexthop on the link.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

Id = TypeVar("Id", bound=int)


class Membership(Generic[Id]):
    """The groups of each member. The owner reports every change of a group's members."""

    def __init__(self) -> None:
        self._groups: dict[Id, set[Id]] = {}

    def __len__(self) -> int:
        """Count the members that are in some group."""
        return len(self._groups)

    def change(
        self,
        group: Id,
        before: Iterable[Id],
        after: Iterable[Id],
    ) -> None:
        """Note that a group has the members `after` in place of `before`."""
        old, new = set(before), set(after)
        for member in old - new:
            groups = self._groups[member]
            groups.discard(group)
            if not groups:
                del self._groups[member]
        for member in new - old:
            self._groups.setdefault(member, set()).add(group)

    def groups_of(self, members: Iterable[Id]) -> list[Id]:
        """Return the groups with one of these members, ascending, each once."""
        found: set[Id] = set()
        return sorted(found.union(*(self._groups.get(member, ()) for member in members)))
