"""Write batches of routes to the kernel, and dump its routes as batches."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Iterator

import numpy as np
import numpy.typing as npt

from datapaths.base import RowFailure, Unavailable
from datapaths.kernel.channel import Channel, dump
from datapaths.kernel.linktable import LinkTable
from datapaths.kernel.wire.routes import (
    RTN_OF,
    WITHDRAWAL,
    RouteColumns,
    RouteEncoder,
    decode_routes,
    dump_request,
    encode_route,
)
from dualpath.model.nexthops import FIRST_RESERVED
from dualpath.model.routes import Family, Op, RouteBatch
from dualpath.netlink import numbers as n
from dualpath.netlink.message import Answer, DecodeError, is_deletion
from dualpath.netlink.reply import InterruptedDump
from dualpath.netlink.socket import Stream

Rows = npt.NDArray[np.intp]

ABSENT = frozenset({errno.ESRCH, errno.ENOENT, errno.ENODEV})
"""Errors for the deletion of a row that does not exist."""

FEW = 3
"""Encode a batch of up to this many rows message by message."""

FIRST_ROWS, FEWEST_ROWS = 1024, 128
WRITE_S = 0.02
"""Target duration of one write. 4000 rows take 4 to 20 ms, but an IPv4 deletion up to 40 us."""

DECODE_BYTES = 512 * 1024  # decoded at a time: 4 to 8 ms


class RouteWriter:
    """Writes batches of routes to one namespace, grouped by shape of message."""

    def __init__(self, channel: Channel, links: LinkTable) -> None:
        self._channel = channel
        self._links = links
        self._encoder = RouteEncoder()
        self._rows = FIRST_ROWS  # of one write

    async def apply(self, batch: RouteBatch) -> list[RowFailure]:
        """Apply upserts first, and rows of one prefix in their order. Raises Unavailable."""
        table = self._links.table_of(batch.vrf)
        if not table:
            reason = f"no VRF device {batch.vrf} in the forwarding namespace"
            upserts = np.flatnonzero(batch.ops == Op.UPSERT).tolist()
            return [RowFailure(i, errno.ENODEV, reason) for i in upserts]
        if len(batch) <= FEW:
            return await self._apply_few(batch, table)
        failures: list[RowFailure] = []
        for shape, rows in _by_shape(batch):
            some = batch if len(rows) == len(batch) else batch.take(rows)
            start = 0
            while start < len(some):
                part = some.take(slice(start, start + self._rows))
                for at, answer in await self._write(part, table, shape):
                    if shape != WITHDRAWAL or answer.errno not in ABSENT:
                        failures.append(failure(int(rows[start + at]), answer))
                start += len(part)
        return failures

    async def _apply_few(self, batch: RouteBatch, table: int) -> list[RowFailure]:
        """Apply a few rows, without columns: those are faster only for more rows."""
        requests: dict[tuple[bytes, int], tuple[int, bytes]] = {}  # the last row of a prefix
        for i, identity in enumerate(batch.nexthops.tolist()):
            key = batch.prefixes[i].tobytes(), int(batch.lengths[i])
            shape = RTN_OF.get(identity, n.RTN_UNICAST)
            if batch.ops[i] == Op.WITHDRAW:
                shape = WITHDRAWAL
            requests[key] = i, encode_route(batch.family, table, shape, *key, identity)
        ordered = sorted(requests.values(), key=lambda it: is_deletion(it[1]))
        return [
            failure(ordered[at][0], answer)
            for at, answer in await self._channel.send([message for _, message in ordered])
            if not (is_deletion(ordered[at][1]) and answer.errno in ABSENT)
        ]

    async def _write(self, batch: RouteBatch, table: int, shape: int) -> list[tuple[int, Answer]]:
        def encode(first: int) -> Stream:
            return self._encoder.encode(
                batch.family, table, shape, first, batch.prefixes, batch.lengths, batch.nexthops
            )

        answers = list(await self._channel.write(len(batch), encode))
        self._adapt(batch.family, len(batch), self._channel.busy_s)
        return answers

    def _adapt(self, family: Family, rows: int, took_s: float) -> None:
        """Adapt the number of rows per write to the duration of the last one.

        An urgent change waits for the current write, and a kernel without preemption runs nothing
        else on that CPU.
        """
        if took_s > WRITE_S:
            self._rows = max(FEWEST_ROWS, rows // 2)
        elif rows == self._rows and took_s < WRITE_S / 2:
            most = min(self._encoder.capacity(family), self._channel.most_rows)
            self._rows = min(most, rows * 2)


def failure(index: int, answer: Answer) -> RowFailure:
    return RowFailure(index, answer.errno, answer.text)


async def dump_routes(netns: str, links: LinkTable) -> AsyncIterator[RouteBatch]:
    """Yield our routes. Raises Unavailable."""
    for family in Family:
        waiting: list[bytes] = []
        size = 0
        try:
            async for data in dump(netns, dump_request(family)):
                waiting.append(data)
                size += len(data)
                if size >= DECODE_BYTES:
                    for batch in _batches(b"".join(waiting), links):
                        yield batch
                    waiting, size = [], 0
        except InterruptedDump:
            raise Unavailable("netlink: routes changed while they were dumped") from None
        for batch in _batches(b"".join(waiting), links):
            yield batch


def _batches(data: bytes, links: LinkTable) -> Iterator[RouteBatch]:
    try:
        found = list(decode_routes(data))
    except DecodeError as error:
        raise Unavailable(f"netlink: cannot decode a dump: {error}") from error
    for columns in found:
        # Before Linux 4.20 the kernel does not filter, and also sends routes of other protocols.
        ours = columns.protocols == n.RTPROT_DUALPATH
        yield from batches(columns if ours.all() else columns.where(ours), links, Op.UPSERT)


def batches(columns: RouteColumns, links: LinkTable, op: Op) -> Iterator[RouteBatch]:
    """Yield a batch for each VRF of decoded routes; skip tables that belong to no VRF."""
    for table in np.unique(columns.tables).tolist():
        vrf = links.vrf_of(table)
        if not vrf:
            continue
        mine = columns.tables == table
        rows = columns if mine.all() else columns.where(mine)
        count = len(rows)
        ops = np.full(count, op, np.uint8)
        lengths, protocols = rows.lengths, rows.protocols
        yield RouteBatch(vrf, rows.family, ops, rows.prefixes, lengths, protocols, rows.nexthops)


def _by_shape(batch: RouteBatch) -> Iterator[tuple[int, Rows]]:
    """Yield (shape, rows), shapes of upserts first."""
    withdrawn = batch.ops == Op.WITHDRAW
    drops = batch.nexthops >= FIRST_RESERVED
    if not withdrawn.any() and not drops.any():
        yield n.RTN_UNICAST, np.arange(len(batch))
        return
    if withdrawn.all():
        yield WITHDRAWAL, np.arange(len(batch))
        return
    # Shapes are written one after the other, so write only the last row of each prefix.
    last = batch.last_of_each()
    yield from _some(n.RTN_UNICAST, last & ~withdrawn & ~drops)
    for identity, kind in RTN_OF.items():
        yield from _some(kind, last & ~withdrawn & (batch.nexthops == identity))
    yield from _some(WITHDRAWAL, last & withdrawn)


def _some(shape: int, rows: npt.NDArray[np.bool_]) -> Iterator[tuple[int, Rows]]:
    if rows.any():
        yield shape, np.flatnonzero(rows)
