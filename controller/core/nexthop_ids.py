"""Nexthop ids: names of nexthops in the datapath that outlive a restart of FRR or of frr-bridge.

frr-bridge names a nexthop by a *handle*. Every frr-bridge starts its handles again, as every zebra
starts its ids again. If the datapath used handles, a restart would rewrite every route. So an id
belongs to contents: a nexthop that returns under another handle gets the id that already has those
contents, and no route changes.

    before a restart   handle 3 = via 100.64.0.2, VNI 100      id 16777221
    after it           handle 1 = via 100.64.0.2, VNI 100      id 16777221 again

Without a restart the handle decides: if frr-bridge changes what handle 1 contains, the id stays,
and the nexthop is replaced in place. Two handles with equal contents have two ids.

Rejected: a hash of the contents as the id (two handles would share one, and an in-place change
would give every route another nexthop).
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace
from typing import cast

import numpy as np

from dualpath.model.nexthops import (
    FIRST_RESERVED,
    Nexthop,
    NexthopHandle,
    NexthopId,
    is_reserved,
    member,
)
from dualpath.model.routes import U32

FIRST_ID = 1 << 24
"""Far from the ids that FRR, a person or grout would choose."""

TABLE_LIMIT = 1 << 22
"""Handles from here on are not in the table, so that a huge one costs no memory."""

NO_ID = NexthopId(0)

_Contents = tuple[object, ...]


class NexthopIds:
    """Gives each handle an id, and finds ids again by contents."""

    def __init__(self) -> None:
        self._of_handle: dict[NexthopHandle, NexthopId] = {}
        self._table = np.zeros(1024, np.uint32)  # handle -> id; 0: none
        self._unclaimed: dict[_Contents, list[NexthopId]] = {}
        self._nexthops: dict[NexthopId, Nexthop] = {}  # as last claimed or adopted
        self._next = FIRST_ID

    def fork(self) -> NexthopIds:
        """Return a copy of the ids; the caller passes later nexthops to both."""
        other = NexthopIds()
        other._of_handle = dict(self._of_handle)
        other._table = self._table.copy()
        other._unclaimed = {contents: list(ids) for contents, ids in self._unclaimed.items()}
        other._nexthops = dict(self._nexthops)
        other._next = self._next
        return other

    def adopt(self, nexthops: Iterable[Nexthop]) -> None:
        """Note the ids that the datapath holds."""
        for nexthop in nexthops:
            id_ = NexthopId(nexthop.id)
            self._nexthops[id_] = nexthop
            self._unclaimed.setdefault(_contents(nexthop), []).append(id_)
            self._next = max(self._next, nexthop.id + 1)

    def new_bridge(self) -> None:
        """Forget all handles: a new frr-bridge has others. The ids wait to be claimed again."""
        self._of_handle.clear()
        self._table[:] = 0
        self._unclaimed.clear()
        for id_, nexthop in self._nexthops.items():
            self._unclaimed.setdefault(_contents(nexthop), []).append(id_)

    def claim(self, by_handle: Nexthop) -> Nexthop:
        """Return a nexthop with ids in place of handles. Its members must have been claimed before.

        Raises KeyError for an unclaimed member, and for an impossible handle.
        """
        if not by_handle.id or is_reserved(by_handle.id):
            raise KeyError(by_handle.id)
        ids = cast("dict[int, NexthopId]", self._of_handle)
        translated = [ids[m.id] for m in by_handle.members]
        members = tuple(map(member, translated, [m.weight for m in by_handle.members]))
        handle = NexthopHandle(by_handle.id)
        id_ = self._of_handle.get(handle) or self._find(replace(by_handle, members=members))
        self._remember(handle, id_)
        nexthop = replace(by_handle, id=id_, members=members)
        self._nexthops[id_] = nexthop
        return nexthop

    def release(self, handle: NexthopHandle) -> NexthopId:
        """Forget a handle; return its id, or 0. The id lasts until `forget`."""
        if handle < len(self._table):
            self._table[handle] = 0
        return self._of_handle.pop(handle, NO_ID)

    def forget(self, id_: NexthopId) -> None:
        """Forget an id that is neither in the datapath nor desired."""
        nexthop = self._nexthops.pop(id_, None)
        if nexthop is None:
            return
        unclaimed = self._unclaimed.get(_contents(nexthop), [])
        if id_ in unclaimed:
            unclaimed.remove(id_)

    def keep(self, desired: Container[object], present: Container[object]) -> None:
        """Release the handles of all ids but `desired`; forget all ids but `present`.

        frr-bridge does not repeat withdrawals that were lost with a connection.
        """
        for handle in [h for h, id_ in self._of_handle.items() if id_ not in desired]:
            self.release(handle)
        for id_ in [id_ for id_ in self._nexthops if id_ not in present]:
            self.forget(id_)

    def translate(self, handles: U32) -> U32:
        """Return the ids of handles; 0 for one that was never claimed. Reserved ones stay."""
        drops = handles >= FIRST_RESERVED
        small = handles < len(self._table)
        ids = np.where(drops, handles, self._table[np.where(small, handles, 0)])
        for row in np.flatnonzero(~small & ~drops).tolist():
            ids[row] = self._of_handle.get(NexthopHandle(int(handles[row])), NO_ID)
        return ids

    def _find(self, nexthop: Nexthop) -> NexthopId:
        unclaimed = self._unclaimed.get(_contents(nexthop))
        if unclaimed:
            return unclaimed.pop(0)
        id_ = NexthopId(self._next)
        self._next += 1
        return id_

    def _remember(self, handle: NexthopHandle, id_: NexthopId) -> None:
        self._of_handle[handle] = id_
        if handle >= TABLE_LIMIT:
            return
        while handle >= len(self._table):
            self._table = np.concatenate([self._table, np.zeros_like(self._table)])
        self._table[handle] = id_


def _contents(nexthop: Nexthop) -> _Contents:
    """Return all that makes two nexthops equal, except their ids."""
    members = tuple(sorted((member.id, member.weight) for member in nexthop.members))
    return nexthop.type, nexthop.gateway, nexthop.device, nexthop.vni, nexthop.onlink, members
