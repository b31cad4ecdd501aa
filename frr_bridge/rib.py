"""zebra's routes as the bridge knows them, by table; `zebratable` holds the rows of one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from dualpath.model.routes import Family, RouteBatch
from dualpath.model.table import distinct
from frr_bridge.wire.columns import TableRoutes
from frr_bridge.zebratable import Handles, Rows, ZebraTable


class Rib:
    """Every routing table of zebra's, by table number and family.

    The subscriber knows a table by its VRF's name, zebra by a number that the next VRF may reuse.
    So when a VRF is deleted or renamed, its rows move to a table that only withdraws them, under
    the old name; those tables are announced first.
    """

    def __init__(self) -> None:
        self._tables: dict[tuple[int, Family], ZebraTable] = {}
        self._ending: deque[ZebraTable] = deque()
        self._released = False

    def learn(self, routes: TableRoutes, session: int, *, hold: bool) -> Rows:
        """Note routes of zebra's; see `ZebraTable.learn`."""
        key = routes.table, routes.family
        table = self._tables.get(key)
        if table is None:
            table = self._tables[key] = ZebraTable(routes.family)
        return table.learn(routes, session, hold=hold)

    def programmed(self, number: int, batch: RouteBatch) -> None:
        """Note which rows the datapath accepted; see `ZebraTable.programmed`."""
        if table := self._tables.get((number, batch.family)):
            table.programmed(batch)

    def sweep(self, session: int) -> int:
        return sum(table.sweep(session) for table in self._tables.values())

    def end(self, number: int) -> None:
        """Withdraw the routes of a table whose VRF is deleted."""
        for family in Family:
            table = self._tables.pop((number, family), None)
            if table is not None:
                table.end()
                self._leave(table)

    def end_kernel_routes(self, handles: set[int]) -> None:
        """Withdraw the kernel routes bound to these handles."""
        for table in self._tables.values():
            table.end_kernel_routes(handles)

    def _leave(self, ended: ZebraTable) -> None:
        """Withdraw rows, then announce again those that another table of the same name has."""
        if not ended.vrf:  # never announced
            self._released = True
            return
        self._ending.append(ended)
        for table in self._tables.values():
            if (table.vrf, table.family) == (ended.vrf, ended.family):
                table.repeat()

    def _name(self, vrfs: Mapping[int, str]) -> None:
        """Announce the rows of a renamed VRF under its new name."""
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
        """Announce again the routes bound to a handle."""
        for table in self._tables.values():
            table.repeat_nexthop(handle)

    def unpark(self) -> None:
        for table in self._tables.values():
            table.unpark()

    @property
    def released(self) -> bool:
        """Report whether some row stopped using its handle since this was set to False."""
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
        """Yield what to announce, a batch at a time; a table whose VRF is unknown waits."""
        self._name(vrfs)
        while self._ending:
            if batch := self._ending[0].next_batch(limit, handles):
                yield batch
            else:
                self._ending.popleft()
                self._released = True
        for (number, _), table in self._tables.items():
            while number in vrfs and table.dirty and (batch := table.next_batch(limit, handles)):
                yield batch

    def used_handles(self) -> set[int]:
        """Return the handles to which rows are bound."""
        used: set[int] = set()
        for table in (*self._tables.values(), *self._ending):
            used.update(distinct(table.rows["nexthop"][table.rows.slots()]).tolist())
        return used

    def __len__(self) -> int:
        return sum(len(table.rows) for table in self._tables.values())
