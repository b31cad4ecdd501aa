"""Nexthop handles: stable names for what zebra's nexthop ids mean.

zebra reuses an id for different contents, and a restarted zebra numbers from the start. A route
refers to an id. If an id changed its meaning under a programmed route, packets would take a path
that nobody asked for. So a route is bound to a *handle*, which is never reused:

    zebra                           handle              announced
    id 21 = via 100.64.0.2 dev 4    7                   7 = VTEP 100.64.0.2, VNI 100
    id 22 = via 100.64.0.3 dev 4    8                   8 = VTEP 100.64.0.3, VNI 100
    id 23 = group {21, 22}          9 = {7, 8}          9 = group of 7 and 8
    id 22 deleted; 22 = via ...9    10                  10; 8 stays until its last route goes

A route may refer to an id that zebra describes later. Its handle exists from then on, but is not
*known*: the route waits. A handle is known once its contents are, their device is resolved to a
name or a VNI (`resolve`), and every member of a group is known.

What changes a known handle, and what follows for the routes bound to it:

    a group loses or gains a member     the same handle, announced again: no route changes
    its device gets another name        the same handle, announced again
    another handle has equal contents   one is an alias of the other (`aliases`); routes of a
                                        handle that joins or parts are announced again
    its device is deleted               zebra's id is forgotten; the handle ends with its last
                                        route, and what zebra still sends is a handle of its own
    no datapath can use the contents    the handle *fails*: its nexthop is withdrawn, and its
                                        routes carry the reserved id of the reason

A group with a failing member fails as a whole. Rejected: leaving the member out, which shifts
traffic to the others without anybody knowing (decision 0077).

The kernel of FRR's namespace removes nexthops over a device that goes down, takes them out of
groups, and sends no message; zebra does not rewrite such a group. So the bridge applies the same
rule at RTM_NEWLINK (decision 0050). A group that would be left empty keeps its members: its routes
are withdrawn by zebra itself.

Rejected: zebra's id as the name (routes jump when it is reused), and a hash of the contents (a
group that loses a member would get another name, and each of its routes an update); decision 0002.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dualpath.model.nexthops import (
    DROP_TYPES,
    FIRST_RESERVED,
    MOST_WEIGHT,
    Member,
    Nexthop,
    NexthopHandle,
    NexthopType,
    reserved,
    unsupported,
)
from dualpath.model.routes import U32
from frr_bridge.aliases import Aliases
from frr_bridge.contents import Contents, Description, Members
from frr_bridge.wire.inline import Content, InlineNexthop, Unsupported
from frr_bridge.zebraids import ZebraIds

Resolve = Callable[[int, InlineNexthop], Nexthop | None]
"""Returns a nexthop with names for a handle; None while its device is unknown."""

NO_HANDLE = NexthopHandle(0)
_SIZE = 1024


class NexthopHandles:
    """Allocates handles from 1 up and keeps what each one means.

    `on_change` is called with the nexthop whenever a handle became known or means something else;
    `on_rebound` with a handle whose routes must be announced again; `on_failed` with a handle
    whose announced nexthop must be withdrawn.
    """

    def __init__(
        self,
        resolve: Resolve,
        on_change: Callable[[Nexthop], None],
        on_rebound: Callable[[int], None],
        on_failed: Callable[[int], None],
    ) -> None:
        self._resolve = resolve
        self._on_change = on_change
        self._on_rebound = on_rebound
        self._on_failed = on_failed
        self.ids = ZebraIds()
        self._by_value: dict[InlineNexthop, NexthopHandle] = {}  # of nexthops without an id
        self._contents = Contents()
        self._aliases = Aliases(_SIZE)
        self._nexthops: dict[NexthopHandle, Nexthop] = {}  # announced; of originals only
        self._unresolved: set[NexthopHandle] = set()
        self._known = np.zeros(_SIZE, np.bool_)
        self._fails = np.zeros(_SIZE, np.uint32)  # 0, or the reserved id of the reason
        self._next = 1
        self.unnamed = False  # some handle has no id: it lives as long as routes use it

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
        """Return the handle of a nexthop that came inside a route; equal ones share it."""
        if nexthop.type in DROP_TYPES:
            return reserved(nexthop.type)
        return self._inline(nexthop)

    def known(self, handles: U32) -> npt.NDArray[np.bool_]:
        """Return for each handle whether its routes may be announced; reserved ones always."""
        drops = handles >= FIRST_RESERVED
        originals = self._aliases.originals(np.where(drops, 0, handles))
        known: npt.NDArray[np.bool_] = self._known[originals] | (self._fails[originals] != 0)
        return drops | known

    def originals(self, handles: U32) -> U32:
        """Return what routes are announced with: originals, or reserved ids."""
        drops = handles >= FIRST_RESERVED
        originals = self._aliases.originals(np.where(drops, 0, handles))
        fails = self._fails[originals]
        return np.where(drops, handles, np.where(fails != 0, fails, originals))

    # -- what handles mean ----------------------------------------------------------------

    def learn(self, identity: int, contents: Content) -> None:
        """Note what zebra describes under an id; for a group see `learn_group`."""
        self._describe(self.handle(identity), contents)

    def learn_group(self, identity: int, members: tuple[tuple[int, int], ...]) -> None:
        """Note a group and its members as (zebra's id, weight)."""
        if self._is_member(self.ids.get(identity) or NO_HANDLE):
            self.forget(identity)  # no group has groups: the id is used for something else
        self._describe(
            self.handle(identity), tuple((self.handle(m), weight) for m, weight in members)
        )

    def forget(self, identity: int) -> None:
        """Drop an id that zebra deleted. Its handle stays as long as routes are bound to it."""
        self.ids.forget(identity)
        self.unnamed = True

    def device_down(self, oif: int, *, deleted: bool = False) -> None:
        """Note that the kernel removed every nexthop over a device, without a message.

        nexthop_flush_dev() in net/ipv4/nexthop.c does so when a device goes down, loses its carrier
        or is deleted. A group goes with its last member. When the device is deleted, nexthops that
        only FPM described go too, such as those of connected routes; and what zebra still sends
        about the device, until it notices, means nothing that was announced.
        """
        gone = [i for i, handle in self.ids if self._contents.is_only_over(handle, oif)]
        if not deleted:
            self.ids.removed(i for i in gone if self.ids.was_in_kernel(i))
            return
        for identity in gone:
            self.forget(identity)
        for handle in self._contents:
            if self._contents.is_only_over(handle, oif):
                self._aliases.close(handle)

    def remove_from_groups(self, oif: int) -> None:
        """Remove the members over a device from every group that keeps another member."""
        for group in {handle for _, handle in self.ids}:
            members = self._contents.get(group)
            if isinstance(members, tuple):
                left = tuple(one for one in members if not self._contents.is_over(one[0], oif))
                if left:
                    self._describe(group, left)

    def described(self, identity: int) -> bool:
        """Report whether the meaning of an id is known, and not out of date."""
        handle = self.ids.get(identity) or NO_HANDLE
        return handle in self._contents and self.ids.may_be_in_use(identity)

    def retry(self) -> None:
        """Resolve every nexthop again: devices changed."""
        for handle in list(self._contents):
            if self._aliases.original(handle) == handle and self._update(handle):
                self._update_groups_of(handle)

    def collect(self, used: set[int]) -> list[Nexthop]:
        """Forget handles without an id and without a route; return those that were announced."""
        live = self._live(self._described_handles() | {NexthopHandle(handle) for handle in used})
        self.ids.keep(live)
        gone = []
        for handle in [handle for handle in self._contents if handle not in live]:
            del self._contents[handle]
            self._aliases.drop(handle)
            self._unresolved.discard(handle)
            self._known[handle] = False
            if nexthop := self._nexthops.pop(handle, None):
                gone.append(nexthop)
        self._by_value = {k: v for k, v in self._by_value.items() if v in live}
        named = self._described_handles()
        self.unnamed = any(handle not in named for handle in self._contents)
        return gone

    def _described_handles(self) -> set[NexthopHandle]:
        return {handle for identity, handle in self.ids if self.described(identity)}

    def _live(self, used: set[NexthopHandle]) -> set[NexthopHandle]:
        """Return the handles in use, their originals and the members of both."""
        live: set[NexthopHandle] = set()
        todo = list(used)
        while todo:
            handle = todo.pop()
            if handle not in live and handle < len(self._known):
                live.add(handle)
                todo += [self._aliases.original(handle), *self._members(handle)]
        return live

    def _members(self, handle: NexthopHandle) -> list[NexthopHandle]:
        """Return the members of a group: as zebra has it now, and as it was last announced."""
        announced = self._nexthops.get(handle)
        members = announced.members if announced else ()
        return self._contents.members(handle) + [NexthopHandle(member.id) for member in members]

    def _is_member(self, handle: NexthopHandle) -> bool:
        """Report whether a single nexthop is the member of some group."""
        single = self._contents.is_single(handle)
        return single and any(handle in self._members(group) for group in self._contents)

    def _allocate(self) -> NexthopHandle:
        handle = NexthopHandle(self._next)
        self._next += 1
        if handle >= len(self._known):
            self._known = np.concatenate([self._known, np.zeros_like(self._known)])
            self._fails = np.concatenate([self._fails, np.zeros_like(self._fails)])
            self._aliases.grow(len(self._known))
        return handle

    def _inline(self, nexthop: InlineNexthop) -> NexthopHandle:
        handle = self._by_value.get(nexthop)
        if handle is None:
            self.unnamed = True
            handle = self._by_value[nexthop] = self._allocate()
            if nexthop.type is NexthopType.GROUP:
                members = ((NexthopHandle(self.inline(one)), w) for one, w in nexthop.members)
                self._describe(handle, tuple(members))
            else:
                self._describe(handle, nexthop)
        return handle

    # -- aliases --------------------------------------------------------------------------

    def _describe(self, handle: NexthopHandle, contents: Description) -> None:
        before = self._contents.get(handle)
        if before == contents:
            return
        self._contents[handle] = contents
        if before is not None:
            self._part(handle)
        self._place(handle)

    def _place(self, handle: NexthopHandle) -> None:
        """Make a handle an alias of the one with equal contents, or find out what it means.

        A known handle stays an original: routes were announced with it.
        """
        original = self._aliases.claim(handle, self._key(handle))
        if original != handle and not self._known[handle]:
            self._join(handle, original)
            self._note_failure(handle, 0)
        elif self._update(handle):
            self._update_groups_of(handle)

    def _key(self, handle: NexthopHandle) -> Description:
        """Return contents that are equal whenever two handles mean the same."""
        contents = self._contents[handle]
        if isinstance(contents, tuple):
            return tuple((self._original(member), weight) for member, weight in contents)
        return contents

    def _original(self, member: NexthopHandle) -> NexthopHandle:
        """Return the original of a group's member; a group in its place stands for itself."""
        return member if self._contents.is_group(member) else self._aliases.original(member)

    def _join(self, handle: NexthopHandle, original: NexthopHandle) -> None:
        self._aliases.join(handle, original)
        self._unresolved.discard(handle)
        self._update_groups_of(handle)
        if nexthop := self._nexthops.get(original):
            self._on_change(nexthop)  # routes that waited for the alias may be announced

    def _part(self, handle: NexthopHandle) -> None:
        """Separate a handle with new contents from those with the old."""
        parting = self._aliases.part(handle)
        for alias in sorted(parting):
            if alias != handle:
                self._place(alias)
            self._on_rebound(alias)
        for group in self._contents.groups_of(parting):
            if group != handle and not self._aliases.has_key(group, self._key(group)):
                self._part(group)
                self._place(group)

    # -- resolving ------------------------------------------------------------------------

    def _update_groups_of(self, handle: NexthopHandle) -> None:
        """Update the groups that wait for a handle or for one of its aliases."""
        same = self._aliases.same(handle)
        for group in [g for g in self._unresolved if same.intersection(self._contents.members(g))]:
            if self._aliases.has_key(group, self._key(group)):
                self._update(group)
            else:
                self._part(group)
                self._place(group)

    def _update(self, handle: NexthopHandle) -> bool:
        """Find out what a handle means; True when that changed."""
        contents = self._contents[handle]
        failure = self._failure(contents)
        changed = self._note_failure(handle, failure)
        if failure or isinstance(contents, Unsupported):
            return changed
        if isinstance(contents, tuple):
            if alone := self._lone_vtep(handle, contents):
                self._join(handle, alone)
                return False
            nexthop = self._group(handle, contents)
        else:
            nexthop = self._resolve(handle, contents)
        if nexthop is None:
            self._unresolved.add(handle)
            return False
        self._unresolved.discard(handle)
        if self._nexthops.get(handle) == nexthop:
            return False
        self._nexthops[handle] = nexthop
        self._known[handle] = True
        self._on_change(nexthop)
        return True

    def _lone_vtep(self, handle: NexthopHandle, members: Members) -> NexthopHandle:
        """Return the only member of a new group if it is a VTEP, else 0.

        zebra names such a nexthop sometimes by its own id, sometimes by that of a group of one.
        """
        if len(members) > 1 or handle in self._nexthops:
            return NO_HANDLE
        member = self._original(members[0][0])
        return member if member in self._nexthops and self._nexthops[member].vni else NO_HANDLE

    def _group(self, handle: NexthopHandle, members: Members) -> Nexthop | None:
        originals = [self._original(member) for member, _ in members]
        if not all(self._known[one] and not self._contents.is_group(one) for one in originals):
            return None
        shares = _shares([weight for _, weight in members])
        pairs = zip(originals, shares, strict=True)
        return Nexthop(
            handle, NexthopType.GROUP, members=tuple(Member(one, share) for one, share in pairs)
        )

    # -- failures -------------------------------------------------------------------------

    def _failure(self, contents: Description) -> int:
        """Return the reserved id of the reason why no datapath can use a nexthop, or 0."""
        if isinstance(contents, Unsupported):
            return unsupported(contents.reason)
        if isinstance(contents, tuple):
            singles = (m for m, _ in contents if not self._contents.is_group(m))
            failures = (int(self._fails[self._original(member)]) for member in singles)
            return next(filter(None, failures), 0)
        return 0

    def _note_failure(self, handle: NexthopHandle, failure: int) -> bool:
        """Let a handle, its aliases and its groups fail or work again; True when that is new."""
        if self._fails[handle] == failure:
            return False
        self._fails[handle] = failure
        if failure:
            self._withdraw(handle)
        same = self._aliases.same(handle)
        for one in sorted(same):
            self._on_rebound(one)
        for group in self._contents.groups_of(same):
            self._update(group)
        if failure:  # a group that waits for other members was announced with this one
            for group, nexthop in list(self._nexthops.items()):
                if any(member.id == handle for member in nexthop.members):
                    self._withdraw(group)
                    self._update(group)
        return True

    def _withdraw(self, handle: NexthopHandle) -> None:
        self._known[handle] = False
        if self._nexthops.pop(handle, None):
            self._on_failed(handle)


def _shares(weights: list[int]) -> list[int]:
    """Scale weights to what every datapath accepts: zebra has them up to 65536."""
    most = max(weights, default=1)
    if most <= MOST_WEIGHT:
        return weights
    return [max(1, round(weight * MOST_WEIGHT / most)) for weight in weights]
