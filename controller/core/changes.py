"""Changes as `watch` shows them, from the batches of the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from controller.core.describe import describe
from controller.core.journal import Entry
from dualpath.model.kinds import Kind
from dualpath.model.nexthops import Nexthop
from dualpath.model.records import Record
from dualpath.model.routes import Op, RouteBatch, prefix_text
from dualpath.model.view import Change, RowState


def expand(entry: Entry, nexthop: Callable[[int], Nexthop | None]) -> Iterator[Change]:
    """Yield the change of each row; `nexthop` resolves a route's nexthop id."""
    batch = entry.batch
    done = RowState.UNMANAGED if entry.unmanaged else RowState.PROGRAMMED
    for index in range(len(batch)):
        why = entry.failures.get(index, "")
        if isinstance(batch, RouteBatch):
            withdrawn = bool(batch.ops[index] == Op.WITHDRAW)
            record: Record | None = nexthop(int(batch.nexthops[index]))
            kind, vrf, family = Kind.ROUTE, batch.vrf, batch.family
            text = prefix_text(batch.prefixes[index].tobytes(), int(batch.lengths[index]))
            detail = "" if withdrawn else str(record or "")
        else:
            record = batch.row(index)
            withdrawn = index >= len(batch.upserts)
            kind, vrf, family = record.kind, "", None
            text, detail = describe(record)
        yield Change(
            sequence=entry.first + index,
            at=entry.at,
            kind=kind,
            text=text,
            vrf=vrf,
            state=RowState.FAILED if why else done,
            withdrawn=withdrawn,
            detail=why or detail,
            record=record,
            family=family,
        )
