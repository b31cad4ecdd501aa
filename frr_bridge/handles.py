"""What zebra's nexthop ids mean: a handle of our own for every nexthop ever met.

zebra's ids start over when zebra does, and routes refer to ids that come later. So nothing but
this module knows zebra's ids: a route is bound to a *handle*, which is never used again for
something else. A handle is *known* once its content is, and only then may its routes be said.
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
    NexthopType,
    reserved,
    unsupported,
)
from dualpath.model.routes import U32
from frr_bridge.wire.inline import Content, InlineNexthop, Unsupported

Resolve = Callable[[int, InlineNexthop], Nexthop | None]
"""From an id and zebra's words to names; None while the outgoing interface is unknown."""

Said = Content | tuple[tuple[int, int], ...]
"""What zebra said of a nexthop: itself, or a group's members as (handle, weight)."""


class NexthopHandles:
    """Allocates handles from 1 up and keeps what is behind them.

    A handle whose content another one has already is an alias of that one: a restarted zebra
    gives everything another id, and yet nothing is another nexthop. `resolve` turns an interface
    index into a name or a VNI. `on_change` is called whenever what a handle means became known or
    another thing; `on_rebound` when routes bound to a handle must be said again for it. `on_failed`
    is called when a handle's contents were replaced by some that no datapath can use: its routes
    then have the reserved identity of the reason, and groups with it fail as a whole.
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
        self._by_id: dict[int, int] = {}  # zebra's id -> handle
        self._in_kernel: dict[int, bool] = {}  # those ids that the kernel had: does it still?
        self._unseen: set[int] = set()  # ids that a dump has not repeated yet
        self._by_value: dict[InlineNexthop, int] = {}
        self._said: dict[int, Said] = {}
        self._key: dict[int, Said] = {}  # what was said, with originals for aliases
        self._first: dict[Said, int] = {}  # key -> the handle that had it first
        self._aliases: dict[int, set[int]] = {}  # that handle -> those that came later
        self._content: dict[int, Nexthop] = {}  # of handles that are no aliases
        self._unresolved: set[int] = set()
        self._stands_for = np.arange(1024, dtype=np.uint32)  # an alias's original, else itself
        self._known = np.zeros(1024, np.bool_)
        self._fails = np.zeros(1024, np.uint32)  # 0, or the reserved identity of the reason
        self._next = 1
        self.unnamed = False  # some handle has no id: it lives as long as routes use it

    # -- what routes are bound to ---------------------------------------------------------

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
        handle = self._by_value.get(nexthop)
        if handle is None:
            self.unnamed = True
            handle = self._by_value[nexthop] = self._allocate()
            if nexthop.type is NexthopType.GROUP:
                self._say(handle, tuple((self.inline(leg), w) for leg, w in nexthop.members))
            else:
                self._say(handle, nexthop)
        return handle

    def known(self, handles: U32) -> npt.NDArray[np.bool_]:
        """Say for each handle whether its content is known; reserved ones always are."""
        drops = handles >= FIRST_RESERVED
        originals = self._stands_for[np.where(drops, 0, handles)]
        known: npt.NDArray[np.bool_] = self._known[originals] | (self._fails[originals] != 0)
        return drops | known

    def originals(self, handles: U32) -> U32:
        """Return what to tell others for handles: their originals, or reserved identities."""
        drops = handles >= FIRST_RESERVED
        originals = self._stands_for[np.where(drops, 0, handles)]
        fails = self._fails[originals]
        return np.where(drops, handles, np.where(fails != 0, fails, originals))

    # -- what handles mean ----------------------------------------------------------------

    def learn(self, identity: int, content: Content) -> None:
        """Take zebra's word for what an id means now; members of a group come by `learn_group`."""
        self._say(self.handle(identity), content)

    def learn_group(self, identity: int, members: tuple[tuple[int, int], ...]) -> None:
        """Take (zebra's id, weight) for the members of a group."""
        if self._is_leg(self._by_id.get(identity, 0)):
            self.forget(identity)  # no group has groups: the id is used for something else
        self._say(self.handle(identity), tuple((self.handle(m), weight) for m, weight in members))

    def forget(self, identity: int) -> None:
        """The id is gone from zebra, and may come back as something else.

        Routes may still be bound to its handle, so what is behind that stays.
        """
        self._by_id.pop(identity, None)
        self._in_kernel.pop(identity, None)
        self.unnamed = True

    def installed(self, identity: int) -> None:
        """Note that the kernel has an id."""
        self._in_kernel[identity] = True
        self._unseen.discard(identity)

    def in_kernel(self, identity: int) -> bool:
        return self._in_kernel.get(identity, False)

    def begin_dump(self) -> None:
        """A dump of the kernel's nexthops begins; `end_dump` marks those that it did not show."""
        self._unseen = {identity for identity, there in self._in_kernel.items() if there}

    def end_dump(self) -> None:
        for identity in self._unseen:
            self._in_kernel[identity] = False
        self._unseen.clear()

    def flushed(self, oif: int, *, deleted: bool = False) -> None:
        """Note that the kernel removed all nexthops over a device, and sent no message.

        With the device end those as well that only FPM told, such as of connected routes.

        nexthop_flush_dev() in net/ipv4/nexthop.c does so when a device goes down, loses its
        carrier or is deleted. A group goes with its last member. Routes bound to such an id keep
        it, as zebra may install it again; without routes `collect` removes it.
        """
        for identity, handle in self._by_id.items():
            legs = self._said.get(handle)
            if isinstance(legs, tuple):
                gone = all(self._is_over(leg, oif) for leg, _ in legs)
            else:
                gone = self._is_over(handle, oif)
            if gone and (deleted or identity in self._in_kernel):
                self._in_kernel[identity] = False

    def lost_device(self, oif: int) -> None:
        """Take the legs over a device out of groups: the kernel did.

        One that would be left empty keeps them: its routes are to go, and zebra says so.
        """
        for group in set(self._by_id.values()):
            legs = self._said.get(group)
            if isinstance(legs, tuple):
                left = tuple(leg for leg in legs if not self._is_over(leg[0], oif))
                if left:
                    self._say(group, left)

    def _is_over(self, handle: int, oif: int) -> bool:
        said = self._said.get(handle)
        return isinstance(said, InlineNexthop) and said.oif == oif

    def explained(self, identity: int) -> bool:
        """Say whether it is known what one of zebra's ids means now."""
        known = self._by_id.get(identity, 0) in self._said
        return known and self._in_kernel.get(identity, True)

    def retry(self) -> None:
        """Interfaces changed: look again at what could not be resolved, or now means another."""
        for handle in list(self._said):
            if self._stands_for[handle] == handle and self._settle(handle):
                self._settle_groups_of(handle)

    def collect(self, used: set[int]) -> list[Nexthop]:
        """Forget handles that zebra has no id for and no route uses; return what was known."""
        explained = {handle for i, handle in self._by_id.items() if self.explained(i)}
        live = self._live(explained | used)
        self._by_id = {i: handle for i, handle in self._by_id.items() if handle in live}
        self._in_kernel = {i: there for i, there in self._in_kernel.items() if i in self._by_id}
        dead = [handle for handle in self._said if handle not in live]
        gone = []
        for handle in dead:
            del self._said[handle]
            self._leave_key(handle)
            self._aliases.get(int(self._stands_for[handle]), set()).discard(handle)
            self._aliases.pop(handle, None)
            self._unresolved.discard(handle)
            self._known[handle] = False
            if nexthop := self._content.pop(handle, None):
                gone.append(nexthop)
        self._by_value = {k: v for k, v in self._by_value.items() if v in live}
        named = {handle for i, handle in self._by_id.items() if self.explained(i)}
        self.unnamed = any(handle not in named for handle in self._said)
        return gone

    def _live(self, used: set[int]) -> set[int]:
        """Return the handles used, and those that they stand on."""
        live: set[int] = set()
        todo = list(used)
        while todo:
            handle = todo.pop()
            if handle not in live and handle < len(self._stands_for):
                live.add(handle)
                todo += [int(self._stands_for[handle]), *self._named(handle)]
        return live

    def _members(self, handle: int) -> list[int]:
        said = self._said.get(handle)
        return [leg for leg, _ in said] if isinstance(said, tuple) else []

    def _named(self, handle: int) -> list[int]:
        """Return the members of a group: as zebra has it now, and as it was last said."""
        content = self._content.get(handle)
        return self._members(handle) + ([leg.id for leg in content.members] if content else [])

    def _is_group(self, handle: int) -> bool:
        return isinstance(self._said.get(handle), tuple)

    def _is_leg(self, handle: int) -> bool:
        """Say whether this is a nexthop that groups name."""
        single = isinstance(self._said.get(handle), InlineNexthop | Unsupported)
        return single and any(handle in self._named(group) for group in self._said)

    def _allocate(self) -> int:
        handle = self._next
        self._next += 1
        size = len(self._known)
        if handle >= size:
            self._known = np.concatenate([self._known, np.zeros_like(self._known)])
            more = np.arange(size, 2 * size, dtype=np.uint32)
            self._stands_for = np.concatenate([self._stands_for, more])
            self._fails = np.concatenate([self._fails, np.zeros_like(self._fails)])
        return handle

    def _say(self, handle: int, said: Said) -> None:
        before = self._said.get(handle)
        if before == said:
            return
        self._said[handle] = said
        if before is not None:
            self._part(handle)
        self._place(handle)

    def _place(self, handle: int) -> None:
        """Make a handle an alias of the one that says the same; else find out what it means.

        One that routes have been said with already keeps standing for itself.
        """
        self._leave_key(handle)
        key = self._key[handle] = self._key_of(handle)
        original = int(self._stands_for[self._first.setdefault(key, handle)])
        if original != handle and not self._known[handle]:
            self._become_alias(handle, original)
            self._note_failure(handle, 0)
        elif self._settle(handle):
            self._settle_groups_of(handle)

    def _key_of(self, handle: int) -> Said:
        said = self._said[handle]
        if isinstance(said, tuple):
            return tuple((self._leg(leg), weight) for leg, weight in said)
        return said

    def _leg(self, handle: int) -> int:
        """Return what a leg stands for; a group is no leg, and stands for itself for ever."""
        return handle if self._is_group(handle) else int(self._stands_for[handle])

    def _leave_key(self, handle: int) -> None:
        key = self._key.pop(handle, None)
        if key is not None and self._first.get(key) == handle:
            del self._first[key]

    def _become_alias(self, handle: int, original: int) -> None:
        moving = {handle, *self._aliases.pop(handle, ())}
        for alias in moving:
            self._stands_for[alias] = original
        self._aliases.setdefault(original, set()).update(moving)
        self._unresolved.discard(handle)
        self._settle_groups_of(handle)
        if nexthop := self._content.get(original):
            self._on_change(nexthop)  # routes that waited for the alias may go

    def _part(self, handle: int) -> None:
        """A handle means something else now: it and its aliases go their own ways."""
        self._leave_key(handle)
        parting = self._aliases.pop(handle, set())
        original = int(self._stands_for[handle])
        if original != handle:
            self._aliases[original].discard(handle)
            parting = {handle}
        for alias in parting:
            self._stands_for[alias] = alias
        for alias in sorted(parting):
            if alias != handle:
                self._place(alias)
            self._on_rebound(alias)
        for group in [g for g in self._said if parting.intersection(self._members(g))]:
            if group != handle and self._key.get(group) != self._key_of(group):
                self._part(group)
                self._place(group)

    def _settle_groups_of(self, handle: int) -> None:
        """Look again at the groups that waited for a handle, or for one of its aliases."""
        names = {handle, *self._aliases.get(handle, ())}
        for group in [g for g in self._unresolved if names.intersection(self._members(g))]:
            if self._key.get(group) == self._key_of(group):
                self._settle(group)
            else:
                self._part(group)
                self._place(group)

    def _settle(self, handle: int) -> bool:
        """Work out what a handle means; True when that changed."""
        said = self._said[handle]
        failure = self._failure(said)
        changed = self._note_failure(handle, failure)
        if failure or isinstance(said, Unsupported):
            return changed
        if isinstance(said, tuple):
            if alone := self._lone_vtep(handle, said):
                self._become_alias(handle, alone)
                return False
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

    def _failure(self, said: Said) -> int:
        """Return the reserved identity of why no datapath can use a nexthop or group, or 0."""
        if isinstance(said, Unsupported):
            return unsupported(said.reason)
        if isinstance(said, tuple):
            legs = (self._leg(leg) for leg, _ in said if not self._is_group(leg))
            return next((int(self._fails[leg]) for leg in legs if self._fails[leg]), 0)
        return 0

    def _note_failure(self, handle: int, failure: int) -> bool:
        """Let a handle, its aliases and its groups fail, or work again; True when that is news."""
        if self._fails[handle] == failure:
            return False
        self._fails[handle] = failure
        if failure:
            self._drop_content(handle)
        names = {handle, *self._aliases.get(handle, ())}
        for name in sorted(names):
            self._on_rebound(name)
        for group in [g for g in self._said if names.intersection(self._members(g))]:
            self._settle(group)
        if failure:  # a group that waits for other members still has this one
            for group, nexthop in list(self._content.items()):
                if any(member.id == handle for member in nexthop.members):
                    self._drop_content(group)
                    self._settle(group)
        return True

    def _drop_content(self, handle: int) -> None:
        self._known[handle] = False
        if self._content.pop(handle, None):
            self._on_failed(handle)

    def _lone_vtep(self, handle: int, legs: tuple[tuple[int, int], ...]) -> int:
        """Return the only leg of a new group if that is a VTEP, else 0.

        zebra names such a nexthop now by its own id, now by that of a group of one.
        """
        if len(legs) > 1 or handle in self._content:
            return 0
        leg = self._leg(legs[0][0])
        return leg if leg in self._content and self._content[leg].vni else 0

    def _group(self, handle: int, legs: tuple[tuple[int, int], ...]) -> Nexthop | None:
        originals = [self._leg(leg) for leg, _ in legs]
        if not all(self._known[leg] and not self._is_group(leg) for leg in originals):
            return None
        shares = _shares([weight for _, weight in legs])
        members = tuple(Member(leg, share) for leg, share in zip(originals, shares, strict=True))
        return Nexthop(handle, NexthopType.GROUP, members=members)


def _shares(weights: list[int]) -> list[int]:
    """Bring weights to what every datapath takes: a zebra may have them up to 65536."""
    most = max(weights, default=1)
    if most <= MOST_WEIGHT:
        return weights
    return [max(1, round(weight * MOST_WEIGHT / most)) for weight in weights]
