"""Aliases: handles with equal contents. The first of them, the *original*, stands for all.

A restarted zebra gives every nexthop another id, and each id gets a handle. If those were announced
as new nexthops, every route would be programmed again for nothing:

    zebra    id 21 = via 100.64.0.2    handle 7, the original
    zebra'   id 35 = via 100.64.0.2    handle 12, an alias of 7: routes are announced with 7

The members of a group are compared by their originals, so groups of aliases are aliases too:

    zebra    id 23 = group {21, 22}    handle 9  = {7, 8}
    zebra'   id 37 = group {35, 36}    handle 14 = {12, 13} = {7, 8}: an alias of 9

Only contents decide. When an original's contents change, its aliases leave it: each becomes an
original again, or joins another one.
"""

from __future__ import annotations

import numpy as np

from dualpath.model.nexthops import NexthopHandle
from dualpath.model.routes import U32
from frr_bridge.wire.inline import Content

Key = Content | tuple[int, ...]
"""Contents; of a group the originals of its members, then their weights."""


class Aliases:
    """The original of each handle: itself, unless it is an alias."""

    def __init__(self, size: int) -> None:
        self._original = np.arange(size, dtype=np.uint32)
        self._joined: dict[NexthopHandle, NexthopHandle] = {}  # the same, without the originals
        self._key: dict[NexthopHandle, Key] = {}
        self._first: dict[Key, NexthopHandle] = {}  # key -> the first handle with it
        self._aliases: dict[NexthopHandle, set[NexthopHandle]] = {}  # by original

    def __len__(self) -> int:
        """Count the handles that this module remembers."""
        return (
            len(self._key)
            + len(self._first)
            + len(self._joined)
            + sum(map(len, self._aliases.values()))
        )

    def grow(self, size: int) -> None:
        more = np.arange(len(self._original), size, dtype=np.uint32)
        self._original = np.concatenate([self._original, more])

    def original(self, handle: NexthopHandle) -> NexthopHandle:
        return self._joined.get(handle, handle)

    def originals_of(self, handles: list[NexthopHandle]) -> list[NexthopHandle]:
        if self._joined.keys().isdisjoint(handles):  # as a rule
            return handles
        return list(map(self._joined.get, handles, handles))

    def originals(self, handles: U32) -> U32:
        return self._original[handles]

    def same(self, original: NexthopHandle) -> set[NexthopHandle]:
        """Return an original and its aliases."""
        return {original, *self._aliases.get(original, ())}

    def has_key(self, handle: NexthopHandle, key: Key) -> bool:
        return self._key.get(handle) == key

    def claim(self, handle: NexthopHandle, key: Key) -> NexthopHandle:
        """Give a handle its key; return the original, which is the first handle with that key."""
        self._release_key(handle)
        self._key[handle] = key
        return self.original(self._first.setdefault(key, handle))

    def close(self, handle: NexthopHandle) -> None:
        """Let no other handle join this one: its device is gone."""
        key = self._key.get(handle)
        if key is not None and self._first.get(key) == handle:
            del self._first[key]

    def join(self, handle: NexthopHandle, original: NexthopHandle) -> None:
        """Make a handle, and its own aliases, aliases of another one."""
        joining = {handle, *self._aliases.pop(handle, ())}
        self._original[list(joining)] = original
        self._joined.update(dict.fromkeys(joining, original))
        self._aliases.setdefault(original, set()).update(joining)

    def part(self, handle: NexthopHandle) -> set[NexthopHandle]:
        """Separate a handle from those with its old contents; return the new originals.

        That is the handle if it was an alias, else its aliases.
        """
        self._release_key(handle)
        parting = self._aliases.pop(handle, set())
        original = self.original(handle)
        if original != handle:
            self._aliases[original].discard(handle)
            parting = {handle}
        for alias in parting:
            self._original[alias] = alias
            del self._joined[alias]
        return parting

    def drop(self, handle: NexthopHandle) -> None:
        """Forget a handle that nobody uses."""
        self._release_key(handle)
        self._aliases.get(self.original(handle), set()).discard(handle)
        self._aliases.pop(handle, None)
        self._joined.pop(handle, None)

    def _release_key(self, handle: NexthopHandle) -> None:
        self.close(handle)
        self._key.pop(handle, None)
