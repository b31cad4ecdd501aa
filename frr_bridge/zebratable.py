"""One routing table of zebra's: a column per field, and which rows to announce.

The table is its own queue. When a row changes, it is marked once and its slot is queued; announcing
the row clears the mark. So the table's size limits the memory, and a route that flaps ten times
while the controller is busy is announced once. Rejected: a queue of operations, which grows with
every flap.

Flags of a row:

    DIRTY       queued to be announced (or parked)
    WITHDRAWN   zebra withdrew it; the row is removed once that is announced
    HELD        zebra withdrew it while withdrawals were held; forwarded as before
    PROGRAMMED  the datapath has it exactly as it was last announced
    PARKED      DIRTY, but its nexthop is not known yet

The life of 10.2.0.4/32; handle 7 is known, handle 9 is not:

    event                              nexthop  flags
    zebra: + nexthop 21 (handle 7)     7        DIRTY
    announced                          7        -
    the datapath programmed it         7        PROGRAMMED
    bgpd is killed; zebra: -           7        PROGRAMMED HELD   nothing is announced
    bgpd is back; zebra: + nexthop 21  7        PROGRAMMED        acknowledged at once
    zebra: + nexthop 40 (handle 9)     9        DIRTY PARKED      handle 7 is forwarded until then
    netlink: nexthop 40 is known       9        DIRTY
    zebra: -                           9        DIRTY WITHDRAWN   removed once announced

A sweep turns HELD, and every row whose `session` is an older FPM session, into DIRTY WITHDRAWN.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from dualpath.model.nexthops import FIRST_RESERVED
from dualpath.model.routes import RTPROT_KERNEL, U32, Family, Op, RouteBatch
from dualpath.model.slotqueue import SlotQueue
from dualpath.model.table import (
    KeyedColumns,
    Slots,
    distinct,
    route_key_words,
    route_keys,
    route_prefixes,
)
from frr_bridge.wire.columns import TableRoutes

DIRTY = 1
WITHDRAWN = 2
HELD = 4
PROGRAMMED = 8
PARKED = 16

_NOTHING = np.uint64(0xFFFF_FFFF_FFFF_FFFF)  # `_desired` of a withdrawn row

_COLUMNS = {
    "nexthop": np.uint32,  # handle
    "protocol": np.uint8,
    "flags": np.uint8,
    "session": np.uint32,  # the FPM session that repeated the row last
}

Rows = npt.NDArray[np.intp]


class Handles(Protocol):
    """The questions about nexthops that a table asks to announce its routes: see `handles`."""

    def known(self, handles: U32) -> npt.NDArray[np.bool_]: ...

    def originals(self, handles: U32) -> U32: ...


class ZebraTable:
    """One of zebra's routing tables, in one address family."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.vrf = ""  # the name under which its rows were announced
        self.rows = KeyedColumns(route_key_words(family), _COLUMNS)
        self._dirty = SlotQueue()
        self._parked = SlotQueue()
        self.released = False  # a row stopped using its handle

    @property
    def parked(self) -> int:
        """Count the rows that wait for their nexthop."""
        return len(self._parked)

    @property
    def owed(self) -> int:
        """Count the rows for a datapath that wait for their nexthop.

        Kernel routes are only shown. FRR 10.3 gives them nexthop ids, but never describes these.
        """
        protocol = self.rows["protocol"]
        return sum(int((protocol[slots] != RTPROT_KERNEL).sum()) for slots in self._parked)

    @property
    def dirty(self) -> bool:
        return bool(self._dirty)

    def learn(self, routes: TableRoutes, session: int, *, hold: bool) -> Rows:
        """Note routes of zebra's. With `hold`, a withdrawn row stays.

        Return the rows of `routes` that are programmed already, exactly as they are now.
        """
        slots, fresh = self.rows.add(route_keys(self.family, routes.prefixes, routes.lengths))
        before = self._desired(slots)
        used = self.rows["nexthop"][slots]
        gone = routes.ops == Op.WITHDRAW
        flags = self.rows["flags"]
        kept_flags = flags[slots] & (DIRTY | PROGRAMMED | PARKED)
        flags[slots] = kept_flags | np.where(gone, HELD if hold else WITHDRAWN, 0)
        if hold:
            slots_kept, kept = slots[~gone], ~gone
        else:
            slots_kept, kept = slots, np.ones(len(gone), np.bool_)
        self.rows["nexthop"][slots_kept] = routes.nexthops[kept]
        self.rows["protocol"][slots_kept] = routes.protocols[kept]
        self.rows["session"][slots] = session
        self.released |= bool(((used != 0) & (used != routes.nexthops))[kept].any())
        desired = self._desired(slots)
        changed = (before != desired) | (desired == _NOTHING)
        void = fresh[flags[fresh] & (WITHDRAWN | HELD) != 0]  # never announced: nothing to withdraw
        if len(void):
            changed &= ~np.isin(slots, void)
            self.rows.remove(void)
        flags[slots[changed]] &= np.uint8(0xFF ^ PROGRAMMED)
        self._mark(slots[changed])
        return np.flatnonzero(~gone & (flags[slots] & PROGRAMMED != 0))

    def programmed(self, batch: RouteBatch) -> None:
        """Note which rows the datapath accepted; nexthop 0 means that it refused the row."""
        slots = self.rows.find(route_keys(batch.family, batch.prefixes, batch.lengths))
        accepted = slots[(slots >= 0) & (batch.nexthops != 0)]
        flags = self.rows["flags"]
        flags[accepted[flags[accepted] & DIRTY == 0]] |= np.uint8(PROGRAMMED)

    def _desired(self, slots: Slots) -> npt.NDArray[np.uint64]:
        """Return one number per row that differs whenever the desired route differs.

        A held row counts as desired, as before its withdrawal.
        """
        nexthops = self.rows["nexthop"][slots].astype(np.uint64)
        desired = (nexthops << np.uint64(8)) | self.rows["protocol"][slots]
        return np.where(self.rows["flags"][slots] & WITHDRAWN, _NOTHING, desired)

    def sweep(self, session: int) -> int:
        """Withdraw held rows, and rows that `session` has not repeated; return how many."""
        slots = self.rows.slots()
        stale = slots[self._stale(slots, session)]
        self._withdraw(stale)
        return len(stale)

    def end(self) -> None:
        """Withdraw every row."""
        slots, flags = self.rows.slots(), self.rows["flags"]
        present = slots[flags[slots] & WITHDRAWN == 0]
        self._withdraw(present)

    def end_kernel_routes(self, handles: set[int]) -> None:
        """Withdraw the kernel routes bound to these handles."""
        slots = self.rows.slots()
        kernel = self.rows["protocol"][slots] == RTPROT_KERNEL
        present = self.rows["flags"][slots] & WITHDRAWN == 0
        ended = np.isin(self.rows["nexthop"][slots], list(handles))
        self._withdraw(slots[kernel & present & ended])

    def left_behind(self) -> ZebraTable:
        """Return a table that withdraws these rows under the VRF name they were announced with."""
        left = ZebraTable(self.family)
        left.vrf = self.vrf
        left.rows.add(self.rows.keys(self.rows.slots()))
        left.end()
        return left

    def stale(self, session: int) -> int:
        """Count the rows that a sweep would withdraw."""
        return int(np.count_nonzero(self._stale(self.rows.slots(), session)))

    def _stale(self, slots: Slots, session: int) -> npt.NDArray[np.bool_]:
        flags = self.rows["flags"][slots]
        old = (flags & HELD != 0) | (self.rows["session"][slots] != session)
        stale: npt.NDArray[np.bool_] = old & (flags & WITHDRAWN == 0)
        return stale

    def repeat(self) -> None:
        """Announce every row again."""
        self._parked.clear()
        self._dirty.clear()
        slots = self.rows.slots()
        self.rows["flags"][slots] &= np.uint8(0xFF ^ PARKED)
        self.rows["flags"][slots] |= np.uint8(DIRTY)
        self._dirty.append(slots)

    def repeat_nexthops(self, handles: set[int]) -> None:
        """Announce again the routes bound to handles whose original changed."""
        slots = self.rows.slots()
        self._mark(slots[np.isin(self.rows["nexthop"][slots], sorted(handles))])

    def used_handles(self) -> set[int]:
        """Return the handles, and the reserved ids, to which rows are bound."""
        nexthops = self.rows["nexthop"][self.rows.slots()]
        drops = nexthops >= FIRST_RESERVED
        handles = np.where(drops, 0, nexthops)
        bound = np.zeros(int(handles.max(initial=0)) + 1, np.bool_)  # a sort would take 20 times
        bound[handles] = True  # as long for a million rows
        return {*np.flatnonzero(bound).tolist(), *distinct(nexthops[drops]).tolist()}

    def unpark(self) -> None:
        """Queue again the rows that waited for a nexthop."""
        if not self._parked:
            return
        slots = self._parked.take_all()
        self.rows["flags"][slots] &= np.uint8(0xFF ^ PARKED)
        self._dirty.append(slots)

    def next_batch(self, limit: int, handles: Handles) -> RouteBatch | None:
        """Return the next rows to announce, at most `limit`, or None."""
        while self._dirty:
            slots = self._dirty.take(limit)
            gone = self.rows["flags"][slots] & WITHDRAWN != 0
            ready = gone | handles.known(self.rows["nexthop"][slots])
            if not ready.all():
                self.rows["flags"][slots[~ready]] |= np.uint8(PARKED)
                self._parked.append(slots[~ready])
                slots, gone = slots[ready], gone[ready]
            if len(slots):
                return self._announce(slots, gone, handles)
        return None

    def _announce(self, slots: Slots, gone: npt.NDArray[np.bool_], handles: Handles) -> RouteBatch:
        prefixes, lengths = route_prefixes(self.family, self.rows.keys(slots))
        batch = RouteBatch(
            vrf=self.vrf,
            family=self.family,
            ops=np.where(gone, Op.WITHDRAW, Op.UPSERT).astype(np.uint8),
            prefixes=prefixes,
            lengths=lengths,
            protocols=np.where(gone, 0, self.rows["protocol"][slots]).astype(np.uint8),
            nexthops=np.where(gone, 0, handles.originals(self.rows["nexthop"][slots])).astype("u4"),
        )
        self.rows["flags"][slots] &= np.uint8(0xFF ^ DIRTY)
        self.rows.remove(slots[gone])
        self.released |= bool(gone.any())
        return batch

    def _withdraw(self, slots: Slots) -> None:
        flags = self.rows["flags"]
        flags[slots] = (flags[slots] & (DIRTY | PARKED)) | WITHDRAWN
        self._mark(slots)

    def _mark(self, slots: Slots) -> None:
        flags = self.rows["flags"]
        if (flags[slots] & PARKED).any():
            self.unpark()  # the desired route may no longer need that nexthop
        clean = distinct(slots[flags[slots] & DIRTY == 0])
        flags[clean] |= np.uint8(DIRTY)
        self._dirty.append(clean)
