"""zebra's nexthop ids: the handle that each one names now, and whether the kernel has it.

Every zebra starts its numbers again. One zebra may also delete an id and reuse it for something
else. So an id names a handle only until it is forgotten.

The kernel removes nexthops over a device that goes down without a message, so "the kernel had it"
and "the kernel has it" differ. An id in that state keeps its handle, because zebra may install it
again; without routes the handle is collected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dualpath.model.nexthops import NexthopHandle


class ZebraIds:
    """One entry per id of zebra's that is in use."""

    def __init__(self) -> None:
        self._handles: dict[int, NexthopHandle] = {}
        self._ids: dict[NexthopHandle, int] = {}  # handle -> id
        self._in_kernel: dict[int, bool] = {}  # of ids that the kernel reported: does it still?
        self._unseen: set[int] = set()  # ids not yet repeated by a dump

    def __len__(self) -> int:
        return len(self._handles)

    def __iter__(self) -> Iterator[tuple[int, NexthopHandle]]:
        return iter(self._handles.items())

    def get(self, identity: int) -> NexthopHandle | None:
        return self._handles.get(identity)

    def id_of(self, handle: NexthopHandle) -> int | None:
        """Return the id that names a handle."""
        return self._ids.get(handle)

    def bind(self, identity: int, handle: NexthopHandle) -> None:
        """Let an id without a handle name this handle, which no other id names."""
        self._handles[identity] = handle
        self._ids[handle] = identity

    def forget(self, identity: int) -> None:
        if handle := self._handles.pop(identity, None):
            del self._ids[handle]
        self._in_kernel.pop(identity, None)

    def drop(self, handles: Iterable[NexthopHandle]) -> None:
        """Forget the ids of these handles."""
        for handle in handles:
            if (identity := self._ids.get(handle)) is not None:
                self.forget(identity)

    # -- the kernel -----------------------------------------------------------------------

    def installed(self, identity: int) -> None:
        """Note that the kernel has an id."""
        self._in_kernel[identity] = True
        self._unseen.discard(identity)

    def removed(self, identities: Iterable[int]) -> None:
        """Note that the kernel no longer has these ids."""
        self._in_kernel.update(dict.fromkeys(identities, False))

    def in_kernel(self, identity: int) -> bool:
        return self._in_kernel.get(identity, False)

    def was_in_kernel(self, identity: int) -> bool:
        return identity in self._in_kernel

    def may_be_in_use(self, identity: int) -> bool:
        """Return False for an id that the kernel had and removed; FPM alone may name others."""
        return self._in_kernel.get(identity, True)

    def begin_dump(self) -> None:
        """Start a dump of the kernel's nexthops: `end_dump` marks the ids that it did not show."""
        self._unseen = {identity for identity, has in self._in_kernel.items() if has}

    def end_dump(self) -> None:
        self.removed(self._unseen)
        self._unseen.clear()
