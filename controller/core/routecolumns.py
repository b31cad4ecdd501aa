"""Routes of one VRF and family as columns: no Python object per route.

A row is a prefix with its desired and its programmed nexthop id. This module only reads and changes
rows; `pending.py` decides what follows from a change.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dualpath.model.nexthops import FIRST_UNSUPPORTED
from dualpath.model.routes import RTPROT_KERNEL, U8, U32, Family, Op, RouteBatch
from dualpath.model.table import (
    KeyedColumns,
    Slots,
    route_key_words,
    route_keys,
    route_prefixes,
)

Mask = npt.NDArray[np.bool_]

QUEUED = 1  # in a queue of `PendingRoutes`, once
FAILED = 2  # refused by the datapath; `retry` queues it again
IN_FLIGHT = 4  # in a batch whose outcome is not known yet
PARKED = 8  # queued, but its nexthop is not in the datapath
LOST = 16  # another program removed it while it was in flight

_COLUMNS = {
    "desired": np.uint32,  # nexthop id; 0: not desired
    "programmed": np.uint32,  # nexthop id; 0: not programmed
    "protocol": np.uint8,
    "flags": np.uint8,
    "errno": np.uint8,
    "generation": np.uint32,  # of the subscription that last repeated it; 0: adopted
    "session": np.uint32,
    "changed_at": np.float64,
}


class RouteColumns:
    """The rows of one VRF and family. Fetch a column again after `add`, which may replace it."""

    def __init__(self, vrf: str, family: Family) -> None:
        self.vrf = vrf
        self.family = family
        self._keyed = KeyedColumns(route_key_words(family), _COLUMNS)

    def __len__(self) -> int:
        return len(self._keyed)

    def __getitem__(self, column: str) -> npt.NDArray[Any]:
        return self._keyed[column]

    def add(self, batch: RouteBatch) -> Slots:
        """Return the slots of a batch's prefixes; new rows have zeros in every column."""
        slots, _ = self._keyed.add(route_keys(batch.family, batch.prefixes, batch.lengths))
        return slots

    def find(self, batch: RouteBatch) -> Slots:
        """Return the slots of a batch's prefixes, -1 for those without a row."""
        return self._keyed.find(route_keys(batch.family, batch.prefixes, batch.lengths))

    def remove(self, slots: Slots) -> None:
        self._keyed.remove(slots)

    def slots(self) -> Slots:
        """Return the slots of all rows, ascending."""
        return self._keyed.slots()

    def page(self, start: int, limit: int) -> tuple[Slots, int]:
        """Return up to `limit` slots from `start` on, and where to continue; -1 is the end."""
        return self._keyed.page(start, limit)

    def prefixes(self, slots: Slots) -> tuple[U8, U8]:
        """Return the prefixes and their lengths."""
        return route_prefixes(self.family, self._keyed.keys(slots))

    def target(self, slots: Slots) -> U32:
        """Return the nexthop ids that the datapath should have; 0 for a row that it should not."""
        desired = self["desired"][slots]
        return np.where(
            self.kernel_own(slots) | (desired >= FIRST_UNSUPPORTED), np.uint32(0), desired
        )

    def kernel_own(self, slots: Slots) -> Mask:
        """Return which rows are connected or kernel routes: the datapath creates them itself."""
        own: Mask = self["protocol"][slots] == RTPROT_KERNEL
        return own

    def unsupported(self, slots: Slots) -> Mask:
        """Return which rows have a nexthop that no datapath can use."""
        unsupported: Mask = self["desired"][slots] >= FIRST_UNSUPPORTED
        return unsupported & ~self.kernel_own(slots)

    def flagged(self, slots: Slots, flag: int) -> Mask:
        flagged: Mask = self["flags"][slots] & flag != 0
        return flagged

    def set_flags(self, slots: Slots, flags: int) -> None:
        self["flags"][slots] |= np.uint8(flags)

    def clear_flags(self, slots: Slots, flags: int) -> None:
        self["flags"][slots] &= np.uint8(0xFF ^ flags)

    def batch(self, slots: Slots, nexthops: U32, op: Op) -> RouteBatch:
        """Return rows as a batch, with these nexthop ids."""
        prefixes, lengths = self.prefixes(slots)
        return RouteBatch(
            vrf=self.vrf,
            family=self.family,
            ops=np.full(len(slots), op, np.uint8),
            prefixes=prefixes,
            lengths=lengths,
            protocols=self["protocol"][slots],
            nexthops=nexthops.astype(np.uint32, copy=False),
        )
