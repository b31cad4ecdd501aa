"""Write routes to grout, and dump them, as columns.

grout has one route per prefix, whoever made it. Dualpath neither replaces nor removes routes of
other programs, including the /32 of a local address: grout would accept a replacement, and then no
longer answer to the address.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Sequence

import numpy as np
import numpy.typing as npt

from datapaths.base import RowFailure, Unavailable
from datapaths.grout.channel import Channel
from datapaths.grout.picture import ids
from datapaths.grout.picture.hops import HopTable
from datapaths.grout.picture.interfaces import IfaceTable
from datapaths.grout.picture.routes import Others, Prefix, batch_of, ours, prefix_at, prefixes_of
from datapaths.grout.program.fib import FibKeeper
from datapaths.grout.program.nexthopplan import drop_request
from datapaths.grout.wire import routes as wire
from datapaths.grout.wire.addresses import TYPE
from datapaths.grout.wire.routes import RouteColumns
from datapaths.grout.wire.table import DecodeError
from dualpath.model.nexthops import FIRST_RESERVED
from dualpath.model.routes import U32, Family, Op, RouteBatch, prefix_text

NOWHERE = ids.FIRST_HOP - 1  # a nexthop id that never exists
DUMP_ROWS = 65536

Rows = npt.NDArray[np.intp]

EXPLAINED = {errno.ENOENT: errno.EINVAL, errno.ENONET: errno.ENODEV}
"""grout's errnos for an unknown nexthop and VRF, and the contract's."""


class RouteWriter:
    """Applies batches of routes."""

    def __init__(
        self, channel: Channel, ifaces: IfaceTable, hops: HopTable, fibs: FibKeeper, others: Others
    ) -> None:
        self._channel = channel
        self._ifaces = ifaces
        self._hops = hops
        self._fibs = fibs
        self._others = others

    async def apply(self, batch: RouteBatch) -> Sequence[RowFailure]:
        """Apply every row. Raises Unavailable when it is unknown how many were applied."""
        vrf = self._ifaces.vrf_id(batch.vrf)
        upserts = np.flatnonzero(batch.ops == Op.UPSERT)
        if not vrf:
            reason = f"grout has no VRF {batch.vrf}"
            return [RowFailure(i, errno.ENODEV, reason) for i in upserts.tolist()]
        foreign = self._others.find(vrf, batch)
        adds, dels = _by_shape(batch, foreign)
        failures = [_held_by_another(batch, i) for i in foreign if batch.ops[i] == Op.UPSERT]
        if len(adds):
            failures += await self._add(batch, vrf, adds)
        if len(dels):
            rows = wire.encode_dels(
                self._channel.api, batch.family, vrf, batch.prefixes[dels], batch.lengths[dels]
            )
            errnos = await self._channel.write(rows)
            failures += _failures(batch, dels, errnos, absent_is_fine=True)
        return sorted(failures, key=lambda failure: failure.index)

    async def _add(self, batch: RouteBatch, vrf: int, rows: Rows) -> list[RowFailure]:
        await self._fibs.make_room(vrf, batch.family, len(rows))
        nh_ids = await self._nh_ids(batch.nexthops[rows])
        errnos = await self._write(batch, vrf, rows, nh_ids)
        full = np.flatnonzero(errnos == errno.ENOSPC)
        while len(full) and await self._fibs.more_blocks(vrf, batch.family):
            errnos[full] = await self._write(batch, vrf, rows[full], nh_ids[full])
            full = np.flatnonzero(errnos == errno.ENOSPC)
        return _failures(batch, rows, errnos)

    async def _write(self, batch: RouteBatch, vrf: int, rows: Rows, nh_ids: U32) -> U32:
        api, family = self._channel.api, batch.family
        prefixes, lengths = batch.prefixes[rows], batch.lengths[rows]
        requests = wire.encode_adds(api, family, vrf, prefixes, lengths, nh_ids, ids.ORIGIN)
        return await self._channel.write(requests)

    async def _nh_ids(self, nexthop_ids: U32) -> U32:
        """Translate nexthop ids, and make missing drop nexthops of reserved ones."""
        drops = nexthop_ids >= FIRST_RESERVED
        if drops.any():
            for nexthop_id in np.unique(nexthop_ids[drops]).tolist():
                if nexthop_id in ids.DROPS and nexthop_id not in self._hops.drops:
                    await self._channel.send([drop_request(self._channel.api, nexthop_id)])
                    self._hops.drops.add(nexthop_id)
        known = nexthop_ids < ids.FIRST_GROUP
        if self._hops.dying:
            known &= ~np.isin(nexthop_ids, np.array(sorted(self._hops.dying), np.uint32))
        groups = np.where(known, nexthop_ids | np.uint32(ids.FIRST_GROUP), np.uint32(NOWHERE))
        return np.where(drops, nexthop_ids, groups)


async def dump_routes(
    channel: Channel, ifaces: IfaceTable, hops: HopTable, others: Others
) -> AsyncIterator[RouteBatch]:
    """Yield Dualpath's routes, and note the prefixes of others. Raises Unavailable."""
    for vrf, name in ifaces.vrfs().items():
        for family in Family:
            foreign: set[Prefix] = set()
            async for columns in _listed(channel, vrf, family):
                mine = ours(columns, hops)
                foreign |= prefixes_of(columns.where(~mine))
                if mine.any():
                    yield batch_of(name, family, columns.where(mine))
            others.replace_routes(vrf, family, foreign)


async def _listed(channel: Channel, vrf: int, family: Family) -> AsyncIterator[RouteColumns]:
    payload = wire.encode_list(channel.api, family, vrf)
    try:
        for run in await channel.collect(f"{TYPE[family]}_ROUTE_LIST", payload):
            for start in range(0, len(run), DUMP_ROWS):
                part = run.payloads[start : start + DUMP_ROWS]
                yield wire.decode(channel.api, family, part)
    except DecodeError as error:
        raise Unavailable(f"cannot decode grout's list of routes: {error}") from error


def _by_shape(batch: RouteBatch, skipped: Sequence[int]) -> tuple[Rows, Rows]:
    """Return the rows to add, and those to delete. With both, the last row of a prefix counts."""
    kept = np.ones(len(batch), np.bool_)
    kept[list(skipped)] = False
    withdrawn = batch.ops == Op.WITHDRAW
    if withdrawn.any() and not withdrawn.all():
        kept &= batch.last_of_each()
    return np.flatnonzero(kept & ~withdrawn), np.flatnonzero(kept & withdrawn)


def _failures(
    batch: RouteBatch, rows: Rows, errnos: U32, *, absent_is_fine: bool = False
) -> list[RowFailure]:
    found: list[RowFailure] = []
    for at in np.flatnonzero(errnos).tolist():
        number, index = int(errnos[at]), int(rows[at])
        if absent_is_fine and number == errno.ENOENT:
            continue
        found.append(_failure(batch, index, number))
    return found


def _failure(batch: RouteBatch, index: int, number: int) -> RowFailure:
    match number:
        case errno.ENOENT:
            reason = f"nexthop {batch.nexthops[index]} does not exist"
        case errno.EBUSY:
            reason = "grout has a connected prefix there"
        case errno.ENOSPC:
            reason = "grout's forwarding table is full, and it has no memory for a larger one"
        case _:
            reason = ""
    return RowFailure(index, EXPLAINED.get(number, number), reason)


def _held_by_another(batch: RouteBatch, index: int) -> RowFailure:
    text = prefix_text(*prefix_at(batch, index))
    reason = f"grout has one route per prefix, and another program made the one to {text}"
    return RowFailure(index, errno.EEXIST, reason)
