"""Routes as columns: the result of the decoder, and how to join its parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dualpath.model.nexthops import DROP_TYPES, reserved, unsupported
from dualpath.model.routes import U8, U32, Family, Op
from frr_bridge.wire.inline import Content, InlineNexthop, Unsupported
from frr_bridge.wire.route import ZebraRoute

Rows = npt.NDArray[np.int64]

_OPS = {False: int(Op.UPSERT), True: int(Op.WITHDRAW)}  # by ZebraRoute.deleted


class Handles(Protocol):
    """Gives handles for nexthops: u32, not 0, and below the reserved ones."""

    def by_id(self, ids: U32) -> U32:
        """Return a handle for each RTA_NH_ID; an unknown id gets a new one."""

    def inline(self, nexthop: InlineNexthop) -> int:
        """Return a handle for an inline nexthop; never called for a blackhole or the like."""


@dataclass(frozen=True, slots=True, eq=False)
class TableRoutes:
    """Changes to one routing table and family; row i is the i-th of each column.

    Rows keep zebra's order, and a later row for the same prefix wins. So the deletion and addition
    that zebra may send for an update become one replacement.
    """

    table: int
    family: Family
    ops: U8  # (n,): Op
    prefixes: U8  # (n, family.width): network order, host bits zero
    lengths: U8  # (n,): prefix length in bits
    protocols: U8  # (n,): RTPROT_*; 0 on a withdrawal
    nexthops: U32  # (n,): from Handles, or reserved; 0 on a withdrawal

    def __len__(self) -> int:
        return len(self.ops)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Rows of one family that were decoded together."""

    rows: Rows  # (n,): number of the message in the buffer, ascending
    tables: U32
    ops: U8
    prefixes: U8
    lengths: U8
    protocols: U8
    nexthops: U32


def part_of(family: Family, routes: Sequence[tuple[int, ZebraRoute]], handles: Handles) -> Part:
    """Turn routes of one family that were decoded one by one into columns."""
    columns = table_of(0, family, [route for _, route in routes], handles)
    return Part(
        np.array([row for row, _ in routes], np.int64),
        np.array([route.table for _, route in routes], np.uint32),
        columns.ops,
        columns.prefixes,
        columns.lengths,
        columns.protocols,
        columns.nexthops,
    )


def table_of(
    table: int, family: Family, routes: Sequence[ZebraRoute], handles: Handles
) -> TableRoutes:
    """Turn routes of one table and family into columns.

    Convert through `bytes`: most often there is one route, and numpy takes longer to convert a list
    than all the rest here.
    """
    prefixes = np.frombuffer(b"".join([route.prefix for route in routes]), np.uint8)
    return TableRoutes(
        table,
        family,
        np.frombuffer(bytes([_OPS[route.deleted] for route in routes]), np.uint8),
        prefixes.reshape(-1, family.width),
        np.frombuffer(bytes([route.length for route in routes]), np.uint8),
        np.frombuffer(bytes([0 if r.deleted else r.protocol for r in routes]), np.uint8),
        _identities(routes, handles),
    )


def _identities(routes: Sequence[ZebraRoute], handles: Handles) -> U32:
    identities = np.array([route.nexthop_id for route in routes], np.uint32)
    numbered = identities.nonzero()[0]
    if len(numbered):
        identities[numbered] = handles.by_id(identities[numbered])
    for i, route in enumerate(routes):
        if route.nexthop is not None:
            identities[i] = _identity(route.nexthop, handles)
    return identities


def _identity(nexthop: Content, handles: Handles) -> int:
    if isinstance(nexthop, Unsupported):
        return unsupported(nexthop.reason)
    return reserved(nexthop.type) if nexthop.type in DROP_TYPES else handles.inline(nexthop)


def by_key(routes: Sequence[ZebraRoute], handles: Handles) -> Iterator[TableRoutes]:
    """Yield a few routes by family and table, sorted; rows keep their order."""
    groups: dict[tuple[Family, int], list[ZebraRoute]] = {}
    for route in routes:
        groups.setdefault((route.family, route.table), []).append(route)
    for family, table in sorted(groups):
        yield table_of(table, family, groups[family, table], handles)


def by_table(family: Family, parts: Sequence[Part]) -> Iterator[TableRoutes]:
    """Put the rows of all parts in the stream's order, and yield them by table, sorted."""
    part = parts[0] if len(parts) == 1 else _join(parts)
    tables = part.tables
    if (tables == tables[0]).all():
        yield _table(int(tables[0]), family, part, slice(None))
        return
    order = np.argsort(tables, kind="stable")
    ordered = tables[order]
    for rows in np.split(order, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1):
        yield _table(int(tables[rows[0]]), family, part, rows)


def _table(
    table: int, family: Family, part: Part, rows: npt.NDArray[np.intp] | slice
) -> TableRoutes:
    return TableRoutes(
        table,
        family,
        part.ops[rows],
        part.prefixes[rows],
        part.lengths[rows],
        part.protocols[rows],
        part.nexthops[rows],
    )


def _join(parts: Sequence[Part]) -> Part:
    rows = np.concatenate([part.rows for part in parts])
    places = np.zeros(int(rows.max()) + 1, np.int64)
    places[rows] = np.arange(1, len(rows) + 1)
    order = places[places > 0] - 1
    return Part(
        rows[order],
        np.concatenate([part.tables for part in parts])[order],
        np.concatenate([part.ops for part in parts])[order],
        np.concatenate([part.prefixes for part in parts])[order],
        np.concatenate([part.lengths for part in parts])[order],
        np.concatenate([part.protocols for part in parts])[order],
        np.concatenate([part.nexthops for part in parts])[order],
    )
