"""Compares the datapath with the state: to repair it (`compare`), or only to report (`audit`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from controller.core import routeviews
from controller.core.clock import Clock
from controller.core.describe import describe
from controller.core.routeviews import Differing
from controller.core.state import State
from datapaths.base import Batch, Datapath
from dualpath.model.kinds import Kind
from dualpath.model.nexthops import Nexthop
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import Family, RouteBatch, prefix_text
from dualpath.model.view import Audited, Difference, Problem


class Comparison:
    """Dumps the datapath and compares. The caller makes sure that nothing is applied meanwhile."""

    def __init__(self, state: State, datapath: Datapath, clock: Clock) -> None:
        self._state = state
        self._datapath = datapath
        self._clock = clock

    async def compare(self, kind: Kind) -> int:
        """Note the contents of a dump of `kind`, queue differing rows, and return their number.

        It also queues rows that differ from the desired state: an interrupted round may have left
        them unfinished.
        """
        with self._state.dumping() as repeat_losses:
            batches = [batch async for batch in self._datapath.dump(kind)]
        if kind is Kind.ROUTE:
            differ = self._compare_routes([b for b in batches if isinstance(b, RouteBatch)])
        else:
            differ = self._compare_records(kind, _records(batches))
            complete = self._state.complete(kind)
            self._state.records[kind].touch_unsettled(complete=complete)
        repeat_losses()
        return differ

    def _compare_records(self, kind: Kind, dumped: Iterable[Record]) -> int:
        table = self._state.records[kind]
        observed = {record.key: record for record in dumped}
        differ = 0
        for programmed in list(table.all_programmed()):
            actual = observed.get(programmed.key)
            if actual is None:
                differ += self._state.lost_records((programmed,))
            elif actual != programmed:
                differ += self._state.changed(actual)
        for record in observed.values():
            if table.programmed(record.key) is None and table.desired(record.key) is None:
                table.adopt(record, now=self._clock.epoch())
                if self._state.complete(kind):
                    table.touch(record.key)
                differ += 1
        return differ

    def _compare_routes(self, batches: Sequence[RouteBatch]) -> int:
        for table in self._state.rib:
            table.begin_compare()
        for batch in batches:
            self._state.adopt(batch)
        synced = self._state.complete(Kind.ROUTE)
        differ = sum(table.end_compare(synced=synced) for table in self._state.rib)
        self._state.repaired += differ
        return differ

    async def audit(self, kinds: Sequence[Kind], limit: int) -> Audited:
        """Compare desired, programmed and observed; name at most `limit` rows, change nothing."""
        found = [row for kind in kinds for row in await self._audit_records(kind)]
        differed = len(found)
        for vrf, (problem, prefixes, lengths) in await self._audit_routes():
            differed += len(lengths)
            left = max(limit - len(found), 0)
            for prefix, length in zip(prefixes[:left], lengths[:left], strict=True):
                text = prefix_text(prefix.tobytes(), int(length))
                found.append(Difference(Kind.ROUTE, vrf, text, problem))
        return Audited(differed, tuple(found[:limit]))

    async def _audit_records(self, kind: Kind) -> list[Difference]:
        dump = [batch async for batch in self._datapath.dump(kind)]
        observed = {record.key: record for record in _records(dump)}
        table = self._state.records[kind]
        programmed = {record.key: record for record in table.all_programmed()}
        refused = {record.key: record for record in table.refused()}
        found = []
        for key in programmed.keys() | observed.keys() | refused.keys():
            if programmed.get(key) == observed.get(key):
                if key not in refused:
                    continue
                problem = Problem.REFUSED
            elif key not in observed:
                problem = Problem.MISSING
            else:
                problem = Problem.DIFFERENT if key in programmed else Problem.UNEXPECTED
            text, _ = describe(programmed.get(key) or observed.get(key) or refused[key])
            found.append(Difference(kind, "", text, problem))
        return sorted(found, key=lambda row: row.text)

    async def _audit_routes(self) -> list[tuple[str, Differing]]:
        nexthops = self._state.records[Kind.NEXTHOP].refused()
        refused = np.array([n.id for n in nexthops if isinstance(n, Nexthop)], np.uint32)
        by_table: dict[tuple[str, Family], list[RouteBatch]] = {}
        for batch in [batch async for batch in self._datapath.dump(Kind.ROUTE)]:
            if isinstance(batch, RouteBatch):
                by_table.setdefault((batch.vrf, batch.family), []).append(batch)
        tables = [self._state.rib.table(*key) for key in by_table]
        tables += [t for t in self._state.rib if (t.vrf, t.family) not in by_table]
        return [
            (table.vrf, differing)
            for table in tables
            for differing in routeviews.audit(
                table.rows, by_table.get((table.vrf, table.family), []), refused
            )
        ]


def _records(batches: Iterable[Batch]) -> Iterator[Record]:
    for batch in batches:
        if isinstance(batch, RecordBatch):
            yield from batch.upserts
