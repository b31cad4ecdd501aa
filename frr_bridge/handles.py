"""Nexthop handles: stable names for the contents of zebra's nexthop ids.

zebra reuses an id for different contents, and a restarted zebra counts from the start. A route
refers to an id. If an id changed its meaning under a programmed route, packets would take a wrong
path. So a route is bound to a *handle*, which is never reused:

    zebra                           handle              announced
    id 21 = via 100.64.0.2 dev 4    7                   7 = VTEP 100.64.0.2, VNI 100
    id 22 = via 100.64.0.3 dev 4    8                   8 = VTEP 100.64.0.3, VNI 100
    id 23 = group {21, 22}          9 = {7, 8}          9 = group of 7 and 8
    id 22 deleted; 22 = via ...9    10                  10; 8 stays until its last route is gone

A route may refer to an id that zebra describes later. Its handle exists from then on, but is not
*known*: the route waits. A handle is known once its contents are, their device is resolved to a
name or a VNI (`resolve`), and every member of a group is known.

What changes a known handle, and what follows for the routes bound to it:

    a group loses or gains a member     the same handle, announced again: no route changes
    its device gets another name        the same handle, announced again
    another handle has equal contents   one is an alias of the other (`aliases`); routes of a
                                        handle that joins or parts are announced again
    its device is deleted               zebra's id is forgotten; the handle ends with its last
                                        route, and what zebra still sends gets a new handle
    no datapath can use the contents    the handle *fails*: its nexthop is withdrawn, and its
                                        routes carry the reserved id of the reason

A group with a failing member fails as a whole. Rejected: leaving the member out, which silently
shifts traffic to the other members (decision 0077).

The kernel of FRR's namespace removes nexthops over a device that goes down, and removes them from
groups, without a message; zebra does not rewrite such a group. So the bridge applies the same rule
at RTM_NEWLINK (decision 0050). A group that would be left empty keeps its members: zebra itself
withdraws its routes.

Rejected: zebra's id as the name (routes jump when it is reused), and a hash of the contents (a
group that loses a member would get another name, and each of its routes an update); decision 0002.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from collections.abc import Set as AbstractSet

import numpy as np
import numpy.typing as npt

from dualpath.model.nexthops import (
    DROP_TYPES,
    Nexthop,
    NexthopHandle,
    NexthopType,
    reserved,
)
from dualpath.model.routes import U32
from frr_bridge.handlestates import NO_HANDLE, HandleStates, Resolve
from frr_bridge.wire.inline import Content, InlineNexthop
from frr_bridge.zebraids import ZebraIds


class NexthopHandles:
    """Allocates handles from 1 up, and binds zebra's ids and nexthops inside routes to them.

    The callbacks are those of `HandleStates`.
    """

    def __init__(
        self,
        resolve: Resolve,
        on_change: Callable[[Nexthop], None],
        on_rebound: Callable[[int], None],
        on_failed: Callable[[int], None],
    ) -> None:
        self.states = HandleStates(resolve, on_change, on_rebound, on_failed)
        self._contents = self.states.contents
        self._aliases = self.states.aliases
        self.ids = ZebraIds()
        self._by_value: dict[InlineNexthop, NexthopHandle] = {}  # of nexthops without an id
        self._next = 1
        self.unnamed = False  # some handle has no id: it exists as long as routes use it
        self._lost: dict[NexthopHandle, AbstractSet[NexthopHandle]] = {}  # group -> lost members

    # -- what routes are bound to ---------------------------------------------------------

    def by_id(self, ids: U32) -> U32:
        """Return the handles of zebra's ids; an unknown id gets one now."""
        if len(ids) == 1:
            return np.array([self.handle(int(ids[0]))], np.uint32)
        unique, where = np.unique(ids, return_inverse=True)
        handles = np.array([self.handle(identity) for identity in unique.tolist()], np.uint32)
        return handles[where]

    def handle(self, identity: int) -> NexthopHandle:
        handle = self.ids.get(identity)
        if handle is None:
            handle = self._allocate()
            self.ids.bind(identity, handle)
        return handle

    def inline(self, nexthop: InlineNexthop) -> int:
        """Return the handle of a nexthop that came inside a route; equal nexthops share it."""
        if nexthop.type in DROP_TYPES:
            return reserved(nexthop.type)
        return self._inline(nexthop)

    def known(self, handles: U32) -> npt.NDArray[np.bool_]:
        """Return for each handle whether its routes may be announced; reserved ones always."""
        return self.states.known(handles)

    def originals(self, handles: U32) -> U32:
        """Return what routes are announced with: originals, or reserved ids."""
        return self.states.originals(handles)

    # -- what handles mean ----------------------------------------------------------------

    def learn(self, identity: int, contents: Content) -> None:
        """Note what zebra describes under an id; for a group see `learn_group`."""
        self.states.describe(self.handle(identity), contents)

    def learn_group(self, identity: int, members: tuple[tuple[int, int], ...]) -> None:
        """Note a group and its members as (zebra's id, weight)."""
        if self.states.is_member(self.ids.get(identity) or NO_HANDLE):
            self.forget(identity)  # no group contains groups, so the id is used for something else
        handle = self.handle(identity)
        self._lost.pop(handle, None)
        self.states.describe(handle, tuple((self.handle(m), weight) for m, weight in members))

    def forget(self, identity: int) -> None:
        """Drop an id that zebra deleted. Its handle exists as long as routes are bound to it."""
        self.ids.forget(identity)
        self.unnamed = True

    def device_down(self, oif: int, *, deleted: bool = False) -> set[int]:
        """Note that the kernel removed every nexthop over a device, without a message.

        Return the handles that end with the device: none unless it is deleted.

        nexthop_flush_dev() in net/ipv4/nexthop.c does so when a device goes down, loses its carrier
        or is deleted. A group without members is removed too. When the device is deleted, forget
        also nexthops that only FPM described, such as those of connected routes. zebra may send
        more about the device until it notices the deletion; that must not change what was
        announced.
        """
        ended = self._contents.only_over(oif)
        gone = [i for handle in ended if (i := self.ids.id_of(handle)) is not None]
        if not deleted:
            self.ids.removed(i for i in gone if self.ids.was_in_kernel(i))
            return set()
        for identity in gone:
            self.forget(identity)
        for handle in ended:
            self._aliases.close(handle)
        return set(ended)

    def remove_from_groups(self, oif: int) -> None:
        """Remove the members over a device from every group that keeps another member, by `cut`.

        If zebra describes a group before its turn comes, the group has the members of that
        description.
        """
        over = self._contents.over([oif])
        for group in self._contents.groups_of(over):
            self._lost[group] = over | self._lost[group] if group in self._lost else over

    def cut(self, limit: int) -> bool:
        """Remove lost members from groups, until `limit` members were visited; True if more wait.

        An uplink may be in ten thousand groups, and a call blocks the event loop.
        """
        while self._lost and limit > 0:
            group = next(iter(self._lost))
            lost = self._lost.pop(group)
            members = self._contents.get(group)
            if isinstance(members, tuple) and self.ids.id_of(group) is not None:
                limit -= len(members)
                left = tuple([one for one in members if one[0] not in lost])
                if left:
                    self.states.describe(group, left)
        return self.cutting

    @property
    def cutting(self) -> bool:
        """Whether groups wait for `cut`."""
        return bool(self._lost)

    def described(self, identity: int) -> bool:
        """Report whether the contents of an id are known and current."""
        handle = self.ids.get(identity) or NO_HANDLE
        return handle in self._contents and self.ids.may_be_in_use(identity)

    def retry(self, devices: Collection[int]) -> None:
        """Resolve the nexthops over these devices again, because the devices changed."""
        self.states.retry(devices)

    def collect(self, used: set[int]) -> list[Nexthop]:
        """Forget handles that have neither an id nor a route; return those that were announced."""
        described = {handle for identity, handle in self.ids if self.described(identity)}
        bound = {handle for _, handle in self.ids}
        in_use = described | used
        unused = (bound | self._contents.keys()) - in_use
        dead = {handle for handle in unused if not self._serves(handle, in_use)}
        self.ids.drop(dead)
        gone = [
            nexthop
            for handle in sorted(dead & self._contents.keys())
            if (nexthop := self.states.drop(handle))
        ]
        if dead:
            self._by_value = {k: v for k, v in self._by_value.items() if v not in dead}
        self.unnamed = not described.issuperset(self._contents)
        return gone

    def _serves(self, handle: NexthopHandle, in_use: set[int]) -> bool:
        """Report whether a handle in use has this handle as its original or as a member."""
        seen: set[NexthopHandle] = set()
        todo = [handle]
        while todo:
            one = todo.pop()
            if one in in_use:
                return True
            if one not in seen:
                seen.add(one)
                todo += self.states.referrers(one)
        return False

    def _allocate(self) -> NexthopHandle:
        handle = NexthopHandle(self._next)
        self._next += 1
        if not self.states.has_room(handle):
            self.states.grow()
        return handle

    def _inline(self, nexthop: InlineNexthop) -> NexthopHandle:
        handle = self._by_value.get(nexthop)
        if handle is None:
            self.unnamed = True
            handle = self._by_value[nexthop] = self._allocate()
            if nexthop.type is NexthopType.GROUP:
                members = ((NexthopHandle(self.inline(one)), w) for one, w in nexthop.members)
                self.states.describe(handle, tuple(members))
            else:
                self.states.describe(handle, nexthop)
        return handle
