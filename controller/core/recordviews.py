"""Read-only queries of a record table: the states of its rows, and counts."""

from __future__ import annotations

from collections.abc import Iterator

from controller.core.records import FROM_INTENT, RecordTable
from controller.core.rows import Row
from dualpath.model.records import Record
from dualpath.model.view import KindCount, RecordRow, RowState


def show(table: RecordTable, generation: int) -> Iterator[RecordRow]:
    """Yield the rows in the order in which they were created."""
    for row in table.rows():
        record = row.desired or row.programmed
        if record is not None:
            state = _state(table, row, generation)
            yield RecordRow(record, state, row.error, row.session, row.changed_at, row.number)


def count(table: RecordTable, generation: int) -> KindCount:
    rows = table.rows()
    states = [_state(table, row, generation) for row in rows]
    desired = sum(row.desired is not None for row in rows)
    return KindCount(
        table.kind,
        desired=desired if table.managed else 0,
        programmed=sum(row.programmed is not None for row in rows),
        failed=states.count(RowState.FAILED),
        stale=states.count(RowState.STALE),
        unmanaged=0 if table.managed else desired,
    )


def to_sweep(table: RecordTable, generation: int) -> tuple[Record, ...]:
    """Return the desired records that `RecordTable.sweep` would remove."""
    rows = [row for row in table.rows() if row.generation != generation]
    return tuple(row.desired for row in rows if row.desired is not None)


def _state(table: RecordTable, row: Row, generation: int) -> RowState:
    if not table.managed:
        return RowState.UNMANAGED
    if row.error:
        return RowState.FAILED
    if row.programmed is not None and row.generation not in (generation, FROM_INTENT):
        return RowState.STALE
    if row.desired is None:
        return RowState.LEAVING
    return RowState.PROGRAMMED if row.desired == row.programmed else RowState.PENDING
