"""zebra's routes in all tables; `zebratable` holds the rows of one table."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from dualpath.model.routes import Family, RouteBatch
from frr_bridge.wire.columns import TableRoutes
from frr_bridge.zebratable import Handles, Rows, ZebraTable


class Rib:
    """Every routing table of zebra's, by table number and family.

    The subscriber knows a table by its VRF's name. zebra knows it by a number, which the next VRF
    may reuse. So when a VRF is deleted or renamed, its rows move to a table that only withdraws
    them under the old name; such tables are announced first.

    With a thousand VRFs, a change visits only two kinds of tables: those with something to
    announce, and those with rows that wait for a nexthop.
    """

    def __init__(self) -> None:
        self._tables: dict[tuple[int, Family], ZebraTable] = {}
        self._ending: deque[ZebraTable] = deque()
        self._released = False
        self._dirty: dict[tuple[int, Family], ZebraTable] = {}  # may have rows to announce
        self._parking: dict[tuple[int, Family], ZebraTable] = {}  # may have parked rows
        self._rebound: set[int] = set()  # handles whose routes are to be announced again
        self._vrfs: Mapping[int, str] = {}  # names of the tables at the last call

    def learn(self, routes: TableRoutes, session: int, *, hold: bool) -> Rows:
        """Note routes of zebra's; see `ZebraTable.learn`."""
        self._repeat_rebound()
        key = routes.table, routes.family
        table = self._tables.get(key)
        if table is None:
            table = self._tables[key] = ZebraTable(routes.family)
            table.vrf = self._vrfs.get(routes.table, "")
        self._dirty[key] = table
        return table.learn(routes, session, hold=hold)

    def programmed(self, number: int, batch: RouteBatch) -> None:
        """Note which rows the datapath accepted; see `ZebraTable.programmed`."""
        self._repeat_rebound()
        if table := self._tables.get((number, batch.family)):
            table.programmed(batch)

    def sweep(self, session: int) -> int:
        self._dirty.update(self._tables)
        return sum(table.sweep(session) for table in self._tables.values())

    def end(self, number: int) -> None:
        """Withdraw the routes of a table whose VRF is deleted."""
        for family in Family:
            table = self._tables.pop((number, family), None)
            self._dirty.pop((number, family), None)
            self._parking.pop((number, family), None)
            if table is not None:
                table.end()
                self._leave(table)

    def end_kernel_routes(self, handles: set[int]) -> None:
        """Withdraw the kernel routes that are bound to these handles."""
        self._dirty.update(self._tables)
        for table in self._tables.values():
            table.end_kernel_routes(handles)

    def _leave(self, ended: ZebraTable) -> None:
        """Withdraw rows; then announce again the rows that another table of the same name has."""
        if not ended.vrf:  # never announced
            self._released = True
            return
        self._ending.append(ended)
        for key, table in self._tables.items():
            if (table.vrf, table.family) == (ended.vrf, ended.family):
                self._dirty[key] = table
                table.repeat()

    def _name(self, vrfs: Mapping[int, str]) -> None:
        """Announce the rows of a renamed VRF under its new name."""
        if vrfs is self._vrfs:  # immutable
            return
        self._vrfs = vrfs
        for key, table in self._tables.items():
            name = vrfs.get(key[0], table.vrf)
            if name == table.vrf:
                continue
            left = table.left_behind() if table.vrf else None
            table.vrf = name
            if left:
                self._dirty[key] = table
                table.repeat()
                self._leave(left)

    def stale(self, session: int) -> int:
        return sum(table.stale(session) for table in self._tables.values())

    def repeat(self) -> None:
        self._dirty.update(self._tables)
        for table in self._tables.values():
            table.repeat()

    def repeat_nexthop(self, handle: int) -> None:
        """Announce again the routes bound to a handle.

        One search finds the routes of all such handles, before the rows are used next.
        """
        self._rebound.add(handle)

    def _repeat_rebound(self) -> None:
        if not self._rebound:
            return
        rebound, self._rebound = self._rebound, set()
        self._dirty.update(self._tables)
        for table in self._tables.values():
            table.repeat_nexthops(rebound)

    def unpark(self) -> None:
        """Queue again the rows that waited for a nexthop."""
        self._dirty |= self._parking
        for table in self._parking.values():
            table.unpark()
        self._parking.clear()

    @property
    def released(self) -> bool:
        """Whether a row stopped using its handle since this was set to False."""
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
        """Count the routes for a datapath that wait for their nexthop; see `ZebraTable.owed`."""
        return sum(table.owed for table in self._tables.values())

    def changes(
        self, vrfs: Mapping[int, str], limit: int, handles: Handles
    ) -> Iterator[RouteBatch]:
        """Yield batches to announce; a table whose VRF is unknown waits."""
        self._repeat_rebound()
        self._name(vrfs)
        while self._ending:
            if batch := self._ending[0].next_batch(limit, handles):
                yield batch
            else:
                self._ending.popleft()
                self._released = True
        for key, table in list(self._dirty.items()):
            while key[0] in vrfs and table.dirty:
                batch = table.next_batch(limit, handles)
                if table.parked:  # note it now: the caller may take no further batch
                    self._parking[key] = table
                if batch:
                    yield batch
            if not table.dirty:
                self._dirty.pop(key, None)

    def used_handles(self) -> set[int]:
        """Return the handles to which rows are bound."""
        used: set[int] = set()
        for table in (*self._tables.values(), *self._ending):
            used |= table.used_handles()
        return used

    def __len__(self) -> int:
        return sum(len(table.rows) for table in self._tables.values())
