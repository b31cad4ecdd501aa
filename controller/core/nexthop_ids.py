"""Lasting ids for nexthops in the datapath, whatever handles a bridge gives them.

Handles start over with every bridge, and zebra's own ids with every zebra. If either decided
what a nexthop is called in the datapath, a restart would rewrite every route. So an id stays with
its content: a nexthop that comes under a new handle takes over the id that has just that content,
and its routes are as they were.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace

import numpy as np

from dualpath.model.nexthops import FIRST_RESERVED, Member, Nexthop, is_reserved
from dualpath.model.routes import U32

FIRST_ID = 1 << 24
"""Far from what FRR, a person or grout would pick."""

TABLE_LIMIT = 1 << 22
"""Handles from here on are not in the table, so that a huge one costs no memory."""

_Content = tuple[object, ...]


class NexthopIds:
    """Gives each handle an id, and finds ids again by content."""

    def __init__(self) -> None:
        self._of_handle: dict[int, int] = {}
        self._table = np.zeros(1024, np.uint32)  # handle -> id, 0 is none
        self._unclaimed: dict[_Content, list[int]] = {}
        self._contents: dict[int, Nexthop] = {}  # id -> as last said or adopted
        self._next = FIRST_ID

    def adopt(self, nexthops: Iterable[Nexthop]) -> None:
        """Take the ids that the datapath holds already."""
        for nexthop in nexthops:
            self._contents[nexthop.id] = nexthop
            self._unclaimed.setdefault(_content(nexthop), []).append(nexthop.id)
            self._next = max(self._next, nexthop.id + 1)

    def new_bridge(self) -> None:
        """Forget all handles: another bridge has others. The ids wait to be claimed again."""
        self._of_handle.clear()
        self._table[:] = 0
        self._unclaimed.clear()
        for identity, nexthop in self._contents.items():
            self._unclaimed.setdefault(_content(nexthop), []).append(identity)

    def claim(self, said: Nexthop) -> Nexthop:
        """Return the bridge's nexthop with ids for handles. Members must have been claimed.

        Raises KeyError on a member that was not, and on a handle that is no nexthop's.
        """
        if not said.id or is_reserved(said.id):
            raise KeyError(said.id)
        members = tuple(Member(self._of_handle[m.id], m.weight) for m in said.members)
        handle, nexthop = said.id, replace(said, members=members)
        identity = self._of_handle.get(handle) or self._find(nexthop)
        self._remember(handle, identity)
        nexthop = replace(nexthop, id=identity)
        self._contents[identity] = nexthop
        return nexthop

    def release(self, handle: int) -> int:
        """Forget a handle; return the id that it had, or 0. The id is kept until `forget`."""
        if handle < len(self._table):
            self._table[handle] = 0
        return self._of_handle.pop(handle, 0)

    def forget(self, identity: int) -> None:
        """An id is gone from the datapath and nobody wants it."""
        nexthop = self._contents.pop(identity, None)
        if nexthop is None:
            return
        waiting = self._unclaimed.get(_content(nexthop), [])
        if identity in waiting:
            waiting.remove(identity)

    def keep(self, desired: Container[object], present: Container[object]) -> None:
        """Release the handles of all ids but `desired`; forget all ids but `present`.

        A bridge does not repeat the withdrawals that a lost connection swallowed.
        """
        for handle in [h for h, identity in self._of_handle.items() if identity not in desired]:
            self.release(handle)
        for identity in [it for it in self._contents if it not in present]:
            self.forget(identity)

    def translate(self, handles: U32) -> U32:
        """Return the ids of handles; 0 for one that was never claimed. Reserved ones stay."""
        drops = handles >= FIRST_RESERVED
        small = handles < len(self._table)
        ids = np.where(drops, handles, self._table[np.where(small, handles, 0)])
        for row in np.flatnonzero(~small & ~drops).tolist():
            ids[row] = self._of_handle.get(int(handles[row]), 0)
        return ids

    def _find(self, nexthop: Nexthop) -> int:
        waiting = self._unclaimed.get(_content(nexthop))
        if waiting:
            return waiting.pop(0)
        identity = self._next
        self._next += 1
        return identity

    def _remember(self, handle: int, identity: int) -> None:
        self._of_handle[handle] = identity
        if handle >= TABLE_LIMIT:
            return
        while handle >= len(self._table):
            self._table = np.concatenate([self._table, np.zeros_like(self._table)])
        self._table[handle] = identity


def _content(nexthop: Nexthop) -> _Content:
    """Return all that makes two nexthops the same."""
    members = tuple(sorted((member.id, member.weight) for member in nexthop.members))
    return nexthop.type, nexthop.gateway, nexthop.device, nexthop.vni, nexthop.onlink, members
