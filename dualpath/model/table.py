"""Rows found by key: an open-addressing index over growing numpy columns.

frr-bridge and the controller both keep their routes in it: about 30 bytes a row and no Python
object per route. Every operation takes a whole batch, and costs a few dozen numpy operations
whatever its size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from dualpath.model.routes import U8, Family

Keys = npt.NDArray[np.uint64]
"""(n, words): a key is a row of 64-bit words."""

Slots = npt.NDArray[np.intp]
"""(n,): positions of rows; -1: no row."""

Integer = TypeVar("Integer", bound=np.integer[Any])

_EMPTY = -1
_DELETED = -2
_FIRST_CLAIM = -3  # an index cell below this is claimed by row (_FIRST_CLAIM - cell) of a batch
_PAGE_SLOTS = 1024  # at least as many are examined at once
_MIX = np.uint64(0x9E37_79B9_7F4A_7C15)  # 2**64 / golden ratio: Fibonacci hashing


def route_keys(family: Family, prefixes: U8, lengths: U8) -> Keys:
    """Return the keys of prefixes: one word for IPv4, three for IPv6."""
    n = len(lengths)
    if family is Family.INET:
        words = np.ascontiguousarray(prefixes).view(">u4").reshape(n).astype(np.uint64)
        return ((words << np.uint64(8)) | lengths).reshape(n, 1)
    keys = np.empty((n, 3), np.uint64)
    keys[:, :2] = np.ascontiguousarray(prefixes).view(">u8").reshape(n, 2)
    keys[:, 2] = lengths
    return keys


def route_prefixes(family: Family, keys: Keys) -> tuple[U8, U8]:
    """Return the (prefixes, lengths) of keys made by `route_keys`."""
    n = len(keys)
    if family is Family.INET:
        lengths = keys[:, 0].astype(np.uint8)
        words = (keys[:, 0] >> np.uint64(8)).astype(">u4")
        return words.view(np.uint8).reshape(n, 4), lengths
    words = np.ascontiguousarray(keys[:, :2]).astype(">u8")
    return words.view(np.uint8).reshape(n, 16), keys[:, 2].astype(np.uint8)


def route_key_words(family: Family) -> int:
    return 1 if family is Family.INET else 3


def distinct(numbers: npt.NDArray[Integer]) -> npt.NDArray[Integer]:
    """Return numbers ascending, each once; the array itself if it is so already.

    np.unique hashes since numpy 2.3: a hundred times as slow for a million slots in order.
    """
    if (numbers[1:] > numbers[:-1]).all():
        return numbers
    ascending = np.sort(numbers)
    first = np.ones(len(ascending), np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=first[1:])
    return ascending[first]


class KeyedColumns:
    """A set of rows with a unique key each, and named columns beside it.

    A row keeps its slot until it is removed. Read and write columns by slot: `table["session"]`
    is an array. Fetch a column again after `add`, which may replace it by a longer one.
    """

    def __init__(self, words: int, columns: Mapping[str, npt.DTypeLike]) -> None:
        self._keys: Keys = np.zeros((16, words), np.uint64)
        self._columns: dict[str, npt.NDArray[Any]] = {
            name: np.zeros(16, dtype) for name, dtype in columns.items()
        }
        self._used = np.zeros(16, np.bool_)
        self._high = 0  # slots at and above were never used
        self._free = np.empty(16, np.int32)  # a stack of removed slots
        self._spare = 0  # slots on that stack
        self._index = np.full(64, _EMPTY, np.int32)
        self._deleted = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, column: str) -> npt.NDArray[Any]:
        return self._columns[column]

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        columns = sum(column.nbytes for column in self._columns.values())
        return self._keys.nbytes + columns + self._used.nbytes + self._index.nbytes

    def keys(self, slots: Slots) -> Keys:
        return self._keys[slots]

    def slots(self) -> Slots:
        """Return the slots of all rows, ascending."""
        return np.flatnonzero(self._used[: self._high])

    def page(self, start: int, limit: int) -> tuple[Slots, int]:
        """Return up to `limit` slots from `start` on, and where to continue; -1 is the end."""
        found: list[Slots] = []
        count, at = 0, start
        while count <= limit and at < self._high:
            end = min(at + max(limit + 1, _PAGE_SLOTS), self._high)
            found.append(np.flatnonzero(self._used[at:end]) + at)
            count += len(found[-1])
            at = end
        slots = np.concatenate(found) if found else np.empty(0, np.intp)
        if count <= limit:
            return slots, -1
        return slots[:limit], int(slots[limit])

    def find(self, keys: Keys) -> Slots:
        """Return the slot of each key, or -1."""
        found = np.full(len(keys), -1, np.intp)
        mask = len(self._index) - 1
        todo = np.arange(len(keys))
        at = self._hash(keys) & mask
        while len(todo):
            slot = self._index[at]
            live = slot >= 0
            same = live & (self._keys[slot] == keys[todo]).all(axis=1)
            found[todo[same]] = slot[same]
            going = ~same & (slot != _EMPTY)
            todo = todo[going]
            at = (at[going] + 1) & mask
        return found

    def add(self, keys: Keys) -> tuple[Slots, Slots]:
        """Return the slot of each key, and the slots among them that are new.

        A new row's columns are zero. The same key may come more than once in a batch.
        """
        self._reserve(len(keys))
        slots = np.full(len(keys), -1, np.intp)
        fresh: list[Slots] = []
        mask = len(self._index) - 1
        todo = np.arange(len(keys))
        at = self._hash(keys) & mask
        while len(todo):
            cell = self._index[at]
            same = (cell >= 0) & (self._keys[cell] == keys[todo]).all(axis=1)
            slots[todo[same]] = cell[same]
            # A row that reaches an empty cell claims it. Of several claims the last one stands;
            # the other rows examine the cell again: they have the same key, or move on.
            empty = np.flatnonzero(cell == _EMPTY)
            if len(empty):
                claims = _FIRST_CLAIM - empty
                self._index[at[empty]] = claims
                won = empty[self._index[at[empty]] == claims]
                new = self._take_slots(len(won))
                self._keys[new] = keys[todo[won]]
                self._index[at[won]] = new
                slots[todo[won]] = new
                fresh.append(new)
            going = slots[todo] < 0
            step = going & (cell != _EMPTY)
            at = (at + step)[going] & mask
            todo = todo[going]
        return slots, np.concatenate(fresh) if fresh else np.empty(0, np.intp)

    def remove(self, slots: Slots) -> None:
        """Remove rows. Each slot must be in use, and be given once."""
        if not len(slots):
            return
        mask = len(self._index) - 1
        todo = slots
        at = self._hash(self._keys[slots]) & mask
        while len(todo):
            here = self._index[at] == todo
            self._index[at[here]] = _DELETED
            at = (at[~here] + 1) & mask
            todo = todo[~here]
        self._used[slots] = False
        self._push_free(slots)
        self._deleted += len(slots)
        self._count -= len(slots)

    def _hash(self, keys: Keys) -> npt.NDArray[np.intp]:
        mixed = keys[:, 0] * _MIX
        for word in range(1, keys.shape[1]):
            mixed = (mixed ^ (mixed >> np.uint64(29)) ^ keys[:, word]) * _MIX
        return (mixed >> np.uint64(32)).astype(np.intp)

    def _push_free(self, slots: Slots) -> None:
        spare = self._spare + len(slots)
        if spare > len(self._free):
            self._free = _grown(self._free, max(spare, len(self._free) * 3 // 2))
        self._free[self._spare : spare] = slots
        self._spare = spare

    def _take_slots(self, n: int) -> Slots:
        left = self._spare - min(n, self._spare)
        reused = self._free[left : self._spare].astype(np.intp)
        self._spare = left
        fresh = np.arange(self._high, self._high + n - len(reused))
        self._high += len(fresh)
        new = np.concatenate([reused, fresh])
        self._used[new] = True
        for column in self._columns.values():
            column[new] = 0
        self._count += n
        return new

    def _reserve(self, n: int) -> None:
        """Make room for n more rows, with the index at most two thirds full."""
        capacity = len(self._used)
        if self._count + n > capacity:
            wanted = max(self._count + n, capacity * 3 // 2)
            self._keys = _grown(self._keys, wanted)
            for name, column in self._columns.items():
                self._columns[name] = _grown(column, wanted)
            self._used = _grown(self._used, wanted)
        if (self._count + self._deleted + n) * 3 > len(self._index) * 2:
            self._rebuild(n)

    def _rebuild(self, n: int) -> None:
        size = len(self._index)
        while (self._count + n) * 2 > size:
            size *= 2
        self._index = np.full(size, _EMPTY, np.int32)
        self._deleted = 0
        rows = self.slots()
        for start in range(0, len(rows), 65536):
            self._place(rows[start : start + 65536])

    def _place(self, slots: Slots) -> None:
        """Index rows whose keys are known to be absent and distinct."""
        mask = len(self._index) - 1
        todo = slots
        at = self._hash(self._keys[slots]) & mask
        while len(todo):
            empty = self._index[at] == _EMPTY
            self._index[at[empty]] = todo[empty]
            lost = self._index[at] != todo
            at = (at[lost] + 1) & mask
            todo = todo[lost]


def _grown(column: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    grown = np.zeros((size, *column.shape[1:]), column.dtype)
    grown[: len(column)] = column
    return grown
