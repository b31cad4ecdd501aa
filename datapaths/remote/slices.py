"""Cuts batches into parts that fit one gRPC message of 4 MiB. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

from datapaths.base import Batch, Lost
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import RouteBatch

ROUTES = 65536  # of IPv6 1.5 MiB
RECORDS = 1024
MEMBERS = 65536  # of groups in one message: 0.7 MiB


def slices(batch: Batch) -> Iterator[tuple[int, Batch]]:
    """Yield parts in order, each with the index of its first row; an empty batch is one part.

    A part of a record batch has upserts or withdrawals, never both, so rows keep their order.
    """
    if isinstance(batch, RouteBatch):
        for first in range(0, len(batch) or 1, ROUTES):
            yield first, batch.take(slice(first, first + ROUTES))
        return
    first = 0
    for some in _records(batch.upserts):
        yield first, RecordBatch(batch.kind, upserts=some)
        first += len(some)
    for some in _records(batch.withdrawals):
        yield first, RecordBatch(batch.kind, withdrawals=some)
        first += len(some)
    if not len(batch):
        yield 0, batch


def _records(records: tuple[Record, ...]) -> Iterator[tuple[Record, ...]]:
    first = weight = 0
    for at, record in enumerate(records):
        weight += 1 + len(getattr(record, "members", ())) * RECORDS // MEMBERS
        if weight > RECORDS:
            yield records[first:at]
            first, weight = at, 1
    if first < len(records):
        yield records[first:]


def lost_parts(lost: Lost) -> Iterator[Lost]:
    """Yield a loss in parts that a message can carry; one without details is one part."""
    if lost.routes is not None:
        for _, part in slices(lost.routes):
            assert isinstance(part, RouteBatch)
            yield Lost(lost.kind, routes=part)
    if lost.records:
        for some in _records(lost.records):
            yield Lost(lost.kind, some)
    elif lost.routes is None:
        yield lost


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """Cut a part of `slices` in two."""
    middle = len(batch) // 2
    if isinstance(batch, RouteBatch):
        return batch.take(slice(middle)), batch.take(slice(middle, None))
    first, second = (
        RecordBatch(batch.kind, batch.upserts[some], batch.withdrawals[some])
        for some in (slice(middle), slice(middle, None))
    )
    return first, second
