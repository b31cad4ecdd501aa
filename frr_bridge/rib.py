"""zebra's routes as the bridge knows them: columns, and the keys that are still to be said.

The table is the queue. A row that changes is marked, once; saying it clears the mark; a row that
waits for its nexthop or for its VRF's name just keeps it. So memory is bounded by the table,
and ten flaps while the controller is busy are one row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

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

_DIRTY = 1  # to be said
_GONE = 2  # withdrawn: removed once that is said
_HELD = 4  # withdrawn by zebra, but kept: see Rib.learn
_DONE = 8  # the datapath has it as it was last said
_PARKED = 16  # to be said, but waits for its nexthop

_NOTHING = np.uint64(0xFFFF_FFFF_FFFF_FFFF)  # what is wanted of a withdrawn row

_COLUMNS = {
    "nexthop": np.uint32,  # handle
    "protocol": np.uint8,
    "flags": np.uint8,
    "session": np.uint32,
}

Rows = npt.NDArray[np.intp]


class Handles(Protocol):
    """What the table must know of nexthops to say its routes: see `handles`."""

    def known(self, handles: U32) -> npt.NDArray[np.bool_]: ...

    def originals(self, handles: U32) -> U32: ...


class Table:
    """One of zebra's tables, in one address family."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.vrf = ""  # by which its rows were told
        self.rows = KeyedColumns(route_key_words(family), _COLUMNS)
        self._dirty = SlotQueue()
        self._parked = SlotQueue()
        self.held = 0
        self.released = False  # a row no longer uses the handle that it used

    @property
    def parked(self) -> int:
        """Rows that wait for their nexthop."""
        return len(self._parked)

    @property
    def owed(self) -> int:
        """Rows for a datapath that wait for their nexthop.

        Kernel routes are shown only. FRR 10.3 gives them nexthop ids and never says what they are.
        """
        protocol = self.rows["protocol"]
        return sum(int((protocol[slots] != RTPROT_KERNEL).sum()) for slots in self._parked)

    @property
    def dirty(self) -> bool:
        return bool(self._dirty)

    def learn(self, routes: TableRoutes, session: int, *, hold: bool) -> Rows:
        """Take zebra's word. With `hold` a withdrawal is noted, but the row stays.

        Return the rows of `routes` that the datapath has already just as they are said now.
        """
        slots, fresh = self.rows.add(route_keys(self.family, routes.prefixes, routes.lengths))
        before = self._wanted(slots)
        used = self.rows["nexthop"][slots]
        gone = routes.ops == Op.WITHDRAW
        flags = self.rows["flags"]
        kept_flags = flags[slots] & (_DIRTY | _DONE | _PARKED)
        flags[slots] = kept_flags | np.where(gone, _HELD if hold else _GONE, 0)
        if hold:
            slots_kept, kept = slots[~gone], ~gone
        else:
            slots_kept, kept = slots, np.ones(len(gone), np.bool_)
        self.rows["nexthop"][slots_kept] = routes.nexthops[kept]
        self.rows["protocol"][slots_kept] = routes.protocols[kept]
        self.rows["session"][slots] = session
        self.released |= bool(((used != 0) & (used != routes.nexthops))[kept].any())
        wanted = self._wanted(slots)
        changed = (before != wanted) | (wanted == _NOTHING)
        void = fresh[flags[fresh] & (_GONE | _HELD) != 0]  # never said, so need not be unsaid
        if len(void):
            changed &= ~np.isin(slots, void)
            self.rows.remove(void)
        flags[slots[changed]] &= np.uint8(0xFF ^ _DONE)
        self._mark(slots[changed])
        return np.flatnonzero(~gone & (flags[slots] & _DONE != 0))

    def done(self, batch: RouteBatch) -> None:
        """Note which rows the datapath took; a nexthop of 0 is a row that it refused."""
        slots = self.rows.find(route_keys(batch.family, batch.prefixes, batch.lengths))
        taken = slots[(slots >= 0) & (batch.nexthops != 0)]
        flags = self.rows["flags"]
        flags[taken[flags[taken] & _DIRTY == 0]] |= np.uint8(_DONE)

    def _wanted(self, slots: Slots) -> npt.NDArray[np.uint64]:
        """Return one number for each row that changes when what is asked for it does.

        A row held after its withdrawal is wanted as before.
        """
        nexthops = self.rows["nexthop"][slots].astype(np.uint64)
        wanted = (nexthops << np.uint64(8)) | self.rows["protocol"][slots]
        return np.where(self.rows["flags"][slots] & _GONE, _NOTHING, wanted)

    def sweep(self, session: int) -> int:
        """Withdraw what was held, and what `session` has not repeated; return how many rows."""
        slots = self.rows.slots()
        flags = self.rows["flags"]
        kept = flags[slots] & _GONE == 0
        old = (flags[slots] & _HELD != 0) | (self.rows["session"][slots] != session)
        going = slots[kept & old]
        flags[going] = (flags[going] & (_DIRTY | _PARKED)) | _GONE
        self._mark(going)
        return len(going)

    def end(self) -> None:
        """Withdraw everything."""
        slots = self.rows.slots()
        flags = self.rows["flags"]
        going = slots[flags[slots] & _GONE == 0]
        flags[going] = (flags[going] & (_DIRTY | _PARKED)) | _GONE
        self._mark(going)

    def left_behind(self) -> Table:
        """Return a table that withdraws these rows under the VRF's name that they were told by."""
        left = Table(self.family)
        left.vrf = self.vrf
        left.rows.add(self.rows.keys(self.rows.slots()))
        left.end()
        return left

    def stale(self, session: int) -> int:
        """Count rows that a sweep would withdraw."""
        slots = self.rows.slots()
        flags = self.rows["flags"][slots]
        old = (flags & _HELD != 0) | (self.rows["session"][slots] != session)
        return int(np.count_nonzero(old & (flags & _GONE == 0)))

    def repeat(self) -> None:
        """Everything is to be said again."""
        self._parked.clear()
        self._dirty.clear()
        slots = self.rows.slots()
        self.rows["flags"][slots] &= np.uint8(0xFF ^ _PARKED)
        self.rows["flags"][slots] |= np.uint8(_DIRTY)
        self._dirty.append(slots)

    def repeat_nexthop(self, handle: int) -> None:
        """What a handle stands for changed: its routes are to be said again."""
        slots = self.rows.slots()
        self._mark(slots[self.rows["nexthop"][slots] == handle])

    def unpark(self) -> None:
        """Nexthops became known: rows that waited may be said."""
        if not self._parked:
            return
        slots = self._parked.take_all()
        self.rows["flags"][slots] &= np.uint8(0xFF ^ _PARKED)
        self._dirty.append(slots)

    def take(self, limit: int, handles: Handles) -> RouteBatch | None:
        """Return the next changes to say, at most `limit` rows of them, or None."""
        while self._dirty:
            slots = self._dirty.take(limit)
            gone = self.rows["flags"][slots] & _GONE != 0
            ready = gone | handles.known(self.rows["nexthop"][slots])
            if not ready.all():
                self.rows["flags"][slots[~ready]] |= np.uint8(_PARKED)
                self._parked.append(slots[~ready])
                slots, gone = slots[ready], gone[ready]
            if len(slots):
                return self._say(slots, gone, handles)
        return None

    def _say(self, slots: Slots, gone: npt.NDArray[np.bool_], handles: Handles) -> RouteBatch:
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
        self.rows["flags"][slots] &= np.uint8(0xFF ^ _DIRTY)
        self.rows.remove(slots[gone])
        self.released |= bool(gone.any())
        return batch

    def _mark(self, slots: Slots) -> None:
        flags = self.rows["flags"]
        if (flags[slots] & _PARKED).any():
            self.unpark()  # what is wanted of a parked row may no longer need that nexthop
        clean = distinct(slots[flags[slots] & _DIRTY == 0])
        flags[clean] |= np.uint8(_DIRTY)
        self._dirty.append(clean)


class Rib:
    """Every table that zebra speaks of, by table number and family.

    The subscriber knows a table by its VRF's name, zebra by a number that the next VRF may have.
    So a table that ends, or whose VRF has another name now, leaves its rows to one that only
    withdraws them under the old name; those go first.
    """

    def __init__(self) -> None:
        self._tables: dict[tuple[int, Family], Table] = {}
        self._ending: list[Table] = []
        self._released = False

    def learn(self, routes: TableRoutes, session: int, *, hold: bool) -> Rows:
        """Take zebra's word; see `Table.learn`."""
        key = routes.table, routes.family
        table = self._tables.get(key)
        if table is None:
            table = self._tables[key] = Table(routes.family)
        return table.learn(routes, session, hold=hold)

    def done(self, number: int, batch: RouteBatch) -> None:
        """Note what the datapath took; see `Table.done`."""
        if table := self._tables.get((number, batch.family)):
            table.done(batch)

    def sweep(self, session: int) -> int:
        return sum(table.sweep(session) for table in self._tables.values())

    def end(self, number: int) -> None:
        """Withdraw the routes of a table whose VRF is gone."""
        for family in Family:
            table = self._tables.pop((number, family), None)
            if table is not None:
                table.end()
                self._leave(table)

    def _leave(self, ended: Table) -> None:
        """Withdraw rows, then tell those again that another table of the same name has."""
        if not ended.vrf:  # never told
            self._released = True
            return
        self._ending.append(ended)
        for table in self._tables.values():
            if (table.vrf, table.family) == (ended.vrf, ended.family):
                table.repeat()

    def _name(self, vrfs: Mapping[int, str]) -> None:
        """Tell the rows of a VRF that has another name now under that."""
        for (number, _), table in self._tables.items():
            name = vrfs.get(number, table.vrf)
            if name == table.vrf:
                continue
            left = table.left_behind() if table.vrf else None
            table.vrf = name
            if left:
                table.repeat()
                self._leave(left)

    def stale(self, session: int) -> int:
        return sum(table.stale(session) for table in self._tables.values())

    def repeat(self) -> None:
        for table in self._tables.values():
            table.repeat()

    def repeat_nexthop(self, handle: int) -> None:
        """Say again the routes bound to a handle."""
        for table in self._tables.values():
            table.repeat_nexthop(handle)

    def unpark(self) -> None:
        for table in self._tables.values():
            table.unpark()

    @property
    def released(self) -> bool:
        """Say whether some row no longer uses the handle that it used, since this was set."""
        return self._released or any(table.released for table in self._tables.values())

    @released.setter
    def released(self, value: bool) -> None:
        self._released = value
        for table in self._tables.values():
            table.released = value

    @property
    def parked(self) -> int:
        return sum(table.parked for table in self._tables.values())

    @property
    def owed(self) -> int:
        """Routes for a datapath that wait for their nexthop; see `Table.owed`."""
        return sum(table.owed for table in self._tables.values())

    def take(self, vrfs: Mapping[int, str], limit: int, handles: Handles) -> Iterator[RouteBatch]:
        """Yield changes to say, a batch at a time; a table whose VRF is unknown waits."""
        self._name(vrfs)
        while self._ending:
            if batch := self._ending[0].take(limit, handles):
                yield batch
            else:
                self._ending.pop(0)
                self._released = True
        for (number, _), table in self._tables.items():
            while number in vrfs and table.dirty and (batch := table.take(limit, handles)):
                yield batch

    def used_handles(self) -> set[int]:
        """Return the handles to which rows are bound."""
        used: set[int] = set()
        for table in (*self._tables.values(), *self._ending):
            used.update(distinct(table.rows["nexthop"][table.rows.slots()]).tolist())
        return used

    def __len__(self) -> int:
        return sum(len(table.rows) for table in self._tables.values())
