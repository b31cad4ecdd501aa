"""Rows of the kernel by (interface index, MAC or address), grouped by interface.

When a device is added or deleted, only its own rows matter: 25 of 100,000 MACs on 4,000 bridges. A
flat dictionary would have to be searched for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from frr_bridge.overlay.sink import RowKey

Row = TypeVar("Row")


class RowTable(Generic[Row]):
    """A dictionary by `RowKey` that also knows the rows of one device."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[bytes, Row]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def __iter__(self) -> Iterator[RowKey]:
        return ((device, name) for device, rows in self._rows.items() for name in rows)

    def __contains__(self, key: RowKey) -> bool:
        return key[1] in self._rows.get(key[0], ())

    def __getitem__(self, key: RowKey) -> Row:
        return self._rows[key[0]][key[1]]

    def __setitem__(self, key: RowKey, row: Row) -> None:
        rows = self._rows.get(key[0])
        if rows is None:
            rows = self._rows[key[0]] = {}
        rows[key[1]] = row

    def get(self, key: RowKey) -> Row | None:
        rows = self._rows.get(key[0])
        return rows.get(key[1]) if rows else None

    def pop(self, key: RowKey) -> Row | None:
        """Remove a row and return it; None if it does not exist."""
        rows = self._rows.get(key[0])
        if not rows:
            return None
        row = rows.pop(key[1], None)
        if not rows:
            del self._rows[key[0]]
        return row

    def of(self, device: int) -> list[RowKey]:
        """Return the keys of a device's rows."""
        return [(device, name) for name in self._rows.get(device, ())]
