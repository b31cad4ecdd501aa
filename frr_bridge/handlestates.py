"""The state of each nexthop handle: known, waiting or failing; an original or an alias.

`handles` binds zebra's ids and routes to handles. This module keeps the contents of the handles,
and finds out which of them may be announced. A change runs along the references between handles:

    zebra describes handle 7 (VTEP 100.64.0.2)   7 is known: announced
    group 9 = {7, 8} waits for 7 and 8           8 is unknown: 9 waits
    the device of 8 appears                      8 is known, then 9: both announced
    8 gets contents that no datapath can use     8 fails, and so does 9: both withdrawn
    12 is described as VTEP 100.64.0.2, too      12 is an alias of 7, and never announced itself
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import cast

import numpy as np
import numpy.typing as npt

from dualpath.model.membership import Membership
from dualpath.model.nexthops import (
    FIRST_RESERVED,
    MOST_WEIGHT,
    Nexthop,
    NexthopHandle,
    NexthopType,
    member,
    unsupported,
)
from dualpath.model.routes import U32
from frr_bridge.aliases import Aliases, Key
from frr_bridge.contents import Contents, Description, Members
from frr_bridge.wire.inline import InlineNexthop, Unsupported

Resolve = Callable[[int, InlineNexthop], Nexthop | None]
"""Returns a nexthop with names for a handle; None while its device is unknown."""

NO_HANDLE = NexthopHandle(0)
_SIZE = 1024


class HandleStates:
    """Keeps the state of every handle, and reports changes.

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
        self.contents = Contents()
        self.aliases = Aliases(_SIZE)
        self._nexthops: dict[NexthopHandle, Nexthop] = {}  # announced; of originals only
        self._announced = Membership[NexthopHandle]()  # of the groups in `_nexthops`
        self._unresolved: set[NexthopHandle] = set()
        self._known = np.zeros(_SIZE, np.bool_)
        self._fails = np.zeros(_SIZE, np.uint32)  # 0, or the reserved id of the reason
        self._failing: dict[NexthopHandle, int] = {}  # the same, of those that fail

    def has_room(self, handle: NexthopHandle) -> bool:
        """Return whether `grow` has made room for a handle."""
        return handle < len(self._known)

    def grow(self) -> None:
        """Make room for twice as many handles."""
        self._known = np.concatenate([self._known, np.zeros_like(self._known)])
        self._fails = np.concatenate([self._fails, np.zeros_like(self._fails)])
        self.aliases.grow(len(self._known))

    def known(self, handles: U32) -> npt.NDArray[np.bool_]:
        """Return for each handle whether its routes may be announced; reserved ones always."""
        drops = handles >= FIRST_RESERVED
        originals = self.aliases.originals(np.where(drops, 0, handles))
        known: npt.NDArray[np.bool_] = self._known[originals] | (self._fails[originals] != 0)
        return drops | known

    def originals(self, handles: U32) -> U32:
        """Return what routes are announced with: originals, or reserved ids."""
        drops = handles >= FIRST_RESERVED
        originals = self.aliases.originals(np.where(drops, 0, handles))
        fails = self._fails[originals]
        return np.where(drops, handles, np.where(fails != 0, fails, originals))

    def retry(self, devices: Collection[int]) -> None:
        """Resolve the nexthops over these devices again: the devices changed."""
        for handle in sorted(self.contents.over(devices)):
            if self.aliases.original(handle) == handle and self._update(handle):
                self._update_groups_of(handle)

    def drop(self, handle: NexthopHandle) -> Nexthop | None:
        """Forget a handle that nobody uses; return its nexthop if that was announced."""
        del self.contents[handle]
        self.aliases.drop(handle)
        self._unresolved.discard(handle)
        self._known[handle] = False
        self._failing.pop(handle, None)
        return self._revoke(handle)

    def referrers(self, handle: NexthopHandle) -> set[NexthopHandle]:
        """Return the handle's aliases and its groups: those of zebra's, and as last announced."""
        groups = self.contents.groups_of({handle}), self._announced.groups_of([handle])
        return self.aliases.same(handle).union(*groups) - {handle}

    def is_member(self, handle: NexthopHandle) -> bool:
        """Report whether a single nexthop is the member of some group."""
        groups = self.contents.groups_of({handle}) or self._announced.groups_of([handle])
        return bool(groups) and self.contents.is_single(handle)

    # -- aliases --------------------------------------------------------------------------

    def describe(self, handle: NexthopHandle, contents: Description) -> None:
        """Note the contents of a handle; update its state and the handles that refer to it."""
        before = self.contents.get(handle)
        if before == contents:
            return
        self.contents[handle] = contents
        if before is not None:
            self._part(handle)
        self._place(handle)

    def _place(self, handle: NexthopHandle) -> None:
        """Make a handle an alias of the one with equal contents, or update its state.

        A known handle stays an original: routes were announced with it.
        """
        original = self.aliases.claim(handle, self._key(handle))
        if original != handle and handle not in self._nexthops:
            self._join(handle, original)
            self._note_failure(handle, 0)
        elif self._update(handle):
            self._update_groups_of(handle)

    def _key(self, handle: NexthopHandle) -> Key:
        """Return a key that is equal whenever two handles mean the same."""
        contents = self.contents[handle]
        if not isinstance(contents, tuple):
            return contents
        originals = self._originals_of([member for member, _ in contents])
        return (*originals, *[weight for _, weight in contents])

    def _originals_of(self, members: list[NexthopHandle]) -> list[NexthopHandle]:
        if self.contents.no_group_in(members):
            return self.aliases.originals_of(members)
        return [self._original(member) for member in members]

    def _original(self, member: NexthopHandle) -> NexthopHandle:
        """Return the original of a group's member; a group as a member is its own original."""
        return member if self.contents.is_group(member) else self.aliases.original(member)

    def _join(self, handle: NexthopHandle, original: NexthopHandle) -> None:
        self.aliases.join(handle, original)
        self._unresolved.discard(handle)
        self._update_groups_of(handle)
        if nexthop := self._nexthops.get(original):
            self._on_change(nexthop)  # routes that waited for the alias may be announced

    def _part(self, handle: NexthopHandle) -> None:
        """Separate a handle with new contents from those with the old."""
        parting = self.aliases.part(handle)
        for alias in sorted(parting):
            if alias != handle:
                self._place(alias)
            self._on_rebound(alias)
        for group in self.contents.groups_of(parting):
            if group != handle and not self.aliases.has_key(group, self._key(group)):
                self._part(group)
                self._place(group)

    # -- resolving ------------------------------------------------------------------------

    def _update_groups_of(self, handle: NexthopHandle) -> None:
        """Update the groups that wait for a handle or for one of its aliases."""
        same = self.aliases.same(handle)
        if not self._unresolved:
            return
        for group in [g for g in self.contents.groups_of(same) if g in self._unresolved]:
            if self.aliases.has_key(group, self._key(group)):
                self._update(group)
            else:
                self._part(group)
                self._place(group)

    def _update(self, handle: NexthopHandle) -> bool:
        """Update the state of a handle; return True if it changed."""
        contents = self.contents[handle]
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
        before = self._nexthops.get(handle)
        if before == nexthop:
            return False
        self._announced.change(handle, _members(before), _members(nexthop))
        self._nexthops[handle] = nexthop
        self._known[handle] = True
        self._on_change(nexthop)
        return True

    def _lone_vtep(self, handle: NexthopHandle, members: Members) -> NexthopHandle:
        """Return the only member of a new group if it is a VTEP, else 0.

        zebra names such a nexthop sometimes by its own id, sometimes by the id of a group of one.
        """
        if len(members) > 1 or handle in self._nexthops:
            return NO_HANDLE
        member = self._original(members[0][0])
        return member if member in self._nexthops and self._nexthops[member].vni else NO_HANDLE

    def _group(self, handle: NexthopHandle, members: Members) -> Nexthop | None:
        originals = self._originals_of([member for member, _ in members])
        known = self._nexthops.keys() >= set(originals)
        if not known or not self.contents.no_group_in(originals):
            return None
        shares = _shares([weight for _, weight in members])
        return Nexthop(handle, NexthopType.GROUP, members=tuple(map(member, originals, shares)))

    # -- failures -------------------------------------------------------------------------

    def _failure(self, contents: Description) -> int:
        """Return the reserved id of the reason why no datapath can use a nexthop, or 0."""
        if isinstance(contents, Unsupported):
            return unsupported(contents.reason)
        if isinstance(contents, tuple) and self._failing:
            singles = (m for m, _ in contents if not self.contents.is_group(m))
            failures = (self._failing.get(self._original(member), 0) for member in singles)
            return next(filter(None, failures), 0)
        return 0

    def _note_failure(self, handle: NexthopHandle, failure: int) -> bool:
        """Let a handle, its aliases and its groups fail or work again; True if that is new."""
        if self._failing.get(handle, 0) == failure:
            return False
        self._fails[handle] = failure
        self._failing.pop(handle, None)
        if failure:
            self._failing[handle] = failure
            self._withdraw(handle)
        same = self.aliases.same(handle)
        for one in sorted(same):
            self._on_rebound(one)
        for group in self.contents.groups_of(same):
            self._update(group)
        if failure:  # a group that waits for other members was announced with this one
            for group in self._announced.groups_of([handle]):
                self._withdraw(group)
                self._update(group)
        return True

    def _withdraw(self, handle: NexthopHandle) -> None:
        self._known[handle] = False
        if self._revoke(handle):
            self._on_failed(handle)

    def _revoke(self, handle: NexthopHandle) -> Nexthop | None:
        """Forget what was announced of a handle; return it."""
        nexthop = self._nexthops.pop(handle, None)
        self._announced.change(handle, _members(nexthop), ())
        return nexthop


def _members(nexthop: Nexthop | None) -> list[NexthopHandle]:
    return cast("list[NexthopHandle]", [it.id for it in nexthop.members]) if nexthop else []


def _shares(weights: list[int]) -> list[int]:
    """Scale weights down to what every datapath accepts: zebra's weights reach 65536."""
    most = max(weights, default=1)
    if most <= MOST_WEIGHT:
        return weights
    return [max(1, round(weight * MOST_WEIGHT / most)) for weight in weights]
