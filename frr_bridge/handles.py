"""What zebra's nexthop ids mean: a handle of our own for every nexthop ever met.

zebra's ids start over when zebra does, and routes refer to ids that come later. So nothing but
this module knows zebra's ids: a route is bound to a *handle*, which is never used again for
something else. A handle is *known* once its content is, and only then may its routes be said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from controller.model.nexthops import (
    DROP_TYPES,
    FIRST_RESERVED,
    Member,
    Nexthop,
    NexthopType,
    reserved,
)
from controller.model.routes import U32
from frr_bridge.wire.inline import InlineNexthop

Resolve = Callable[[int, InlineNexthop], Nexthop | None]
"""From an id and zebra's words to names; None while the outgoing interface is unknown."""


class NexthopHandles:
    """Allocates handles from 1 up and keeps what is behind them.

    `resolve` turns an interface index into a name or a VNI. `on_change` is called with the handle
    whenever its content became known or another one.
    """

    def __init__(self, resolve: Resolve, on_change: Callable[[Nexthop], None]) -> None:
        self._resolve = resolve
        self._on_change = on_change
        self._by_id: dict[int, int] = {}  # zebra's id -> handle
        self._by_content: dict[InlineNexthop, int] = {}
        self._said: dict[int, InlineNexthop | tuple[tuple[int, int], ...]] = {}
        self._content: dict[int, Nexthop] = {}
        self._unresolved: set[int] = set()
        self._known = np.zeros(1024, np.bool_)
        self._next = 1

    def by_id(self, ids: U32) -> U32:
        """Return the handles of zebra's ids; one that was never heard of gets one now."""
        if len(ids) == 1:
            return np.array([self.handle(int(ids[0]))], np.uint32)
        unique, where = np.unique(ids, return_inverse=True)
        handles = np.array([self.handle(identity) for identity in unique.tolist()], np.uint32)
        return handles[where]

    def handle(self, identity: int) -> int:
        handle = self._by_id.get(identity)
        if handle is None:
            handle = self._by_id[identity] = self._allocate()
        return handle

    def inline(self, nexthop: InlineNexthop) -> int:
        """Return the handle of a nexthop that came with its route; the same for the same."""
        if nexthop.type in DROP_TYPES:
            return reserved(nexthop.type)
        handle = self._by_content.get(nexthop)
        if handle is None:
            handle = self._by_content[nexthop] = self._allocate()
            if nexthop.type is NexthopType.GROUP:
                members = tuple((self.inline(leg), weight) for leg, weight in nexthop.members)
                self._say(handle, members)
            else:
                self._say(handle, nexthop)
        return handle

    def learn(self, identity: int, content: InlineNexthop) -> None:
        """Take zebra's word for what an id means now; members of a group come by `learn_group`."""
        self._say(self.handle(identity), content)

    def learn_group(self, identity: int, members: tuple[tuple[int, int], ...]) -> None:
        """Take (zebra's id, weight) for the members of a group."""
        legs = tuple((self.handle(member), weight) for member, weight in members)
        self._say(self.handle(identity), legs)

    def forget(self, identity: int) -> None:
        """The id is gone from zebra, and may come back as something else.

        Routes may still be bound to its handle, so what is behind that stays.
        """
        self._by_id.pop(identity, None)

    def explained(self, identity: int) -> bool:
        """Say whether it is known what one of zebra's ids means now."""
        return self._by_id.get(identity, 0) in self._said

    def known(self, handles: U32) -> npt.NDArray[np.bool_]:
        """Say for each handle whether its content is known; reserved ones always are."""
        drops = handles >= FIRST_RESERVED
        return drops | self._known[np.where(drops, 0, handles)]

    def contents(self) -> Iterator[Nexthop]:
        """Yield every known nexthop, members before their groups."""
        groups = []
        for nexthop in self._content.values():
            if nexthop.type is NexthopType.GROUP:
                groups.append(nexthop)
            else:
                yield nexthop
        yield from groups

    def retry(self) -> None:
        """Interfaces changed: look again at what could not be resolved, or now means another."""
        for handle in list(self._said):
            self._settle(handle)

    def collect(self, used: set[int]) -> list[Nexthop]:
        """Forget handles that zebra has no id for and no route uses; return what was known."""
        live = set(self._by_id.values()) | used
        for handle in list(live):
            live.update(self._members(handle))
        dead = [handle for handle in self._said if handle not in live]
        gone = []
        for handle in dead:
            del self._said[handle]
            self._unresolved.discard(handle)
            if nexthop := self._content.pop(handle, None):
                gone.append(nexthop)
                self._known[handle] = False
        forgotten = set(dead)
        self._by_content = {k: v for k, v in self._by_content.items() if v not in forgotten}
        return gone

    def _members(self, handle: int) -> list[int]:
        said = self._said.get(handle)
        return [leg for leg, _ in said] if isinstance(said, tuple) else []

    def _allocate(self) -> int:
        handle = self._next
        self._next += 1
        if handle >= len(self._known):
            self._known = np.concatenate([self._known, np.zeros_like(self._known)])
        return handle

    def _say(self, handle: int, said: InlineNexthop | tuple[tuple[int, int], ...]) -> None:
        self._said[handle] = said
        if self._settle(handle) and handle in self._content:
            self._settle_groups_of(handle)

    def _settle_groups_of(self, handle: int) -> None:
        for group in [g for g in self._unresolved if handle in self._members(g)]:
            self._settle(group)

    def _settle(self, handle: int) -> bool:
        """Work out what a handle means; True when that changed."""
        said = self._said[handle]
        if isinstance(said, tuple):
            nexthop = self._group(handle, said)
        else:
            nexthop = self._resolve(handle, said)
        if nexthop is None:
            self._unresolved.add(handle)
            return False
        self._unresolved.discard(handle)
        if self._content.get(handle) == nexthop:
            return False
        self._content[handle] = nexthop
        self._known[handle] = True
        self._on_change(nexthop)
        return True

    def _group(self, handle: int, legs: tuple[tuple[int, int], ...]) -> Nexthop | None:
        if not all(self._known[leg] for leg, _ in legs):
            return None
        members = tuple(Member(leg, weight) for leg, weight in legs)
        return Nexthop(handle, NexthopType.GROUP, members=members)

    @property
    def owed(self) -> int:
        """Nexthops that something refers to and nobody has explained."""
        explained = self._content.keys()
        return sum(handle not in explained for handle in self._by_id.values())
