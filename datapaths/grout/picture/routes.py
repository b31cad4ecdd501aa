"""Tell Dualpath's routes in grout from those of other programs. Pure.

Only the prefixes of the others are kept.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datapaths.grout.picture import ids
from datapaths.grout.picture.hops import HopTable
from datapaths.grout.wire import routes as wire
from datapaths.grout.wire.routes import RouteColumns
from dualpath.model.nexthops import FIRST_RESERVED
from dualpath.model.routes import U8, Family, Op, RouteBatch

Prefix = tuple[bytes, int]


class Others:
    """Prefixes of other programs, by VRF: routes, and a /32 or /128 per local address."""

    def __init__(self) -> None:
        self._local: dict[int, set[Prefix]] = {}
        self._routes: dict[int, set[Prefix]] = {}

    def clear(self) -> None:
        self._local.clear()
        self._routes.clear()

    def clear_local(self) -> None:
        self._local.clear()

    def put_local(self, vrf: int, address: bytes) -> None:
        self._local.setdefault(vrf, set()).add((address, len(address) * 8))

    def drop_local(self, vrf: int, address: bytes) -> None:
        self._local.get(vrf, set()).discard((address, len(address) * 8))

    def put_route(self, vrf: int, prefix: Prefix) -> None:
        self._routes.setdefault(vrf, set()).add(prefix)

    def drop_route(self, vrf: int, prefix: Prefix) -> None:
        self._routes.get(vrf, set()).discard(prefix)

    def replace_routes(self, vrf: int, family: Family, prefixes: set[Prefix]) -> None:
        rest = {p for p in self._routes.get(vrf, ()) if len(p[0]) != family.width}
        self._routes[vrf] = rest | prefixes

    def find(self, vrf: int, batch: RouteBatch) -> list[int]:
        """Return the rows whose prefix another program has."""
        held = self._local.get(vrf, set()) | self._routes.get(vrf, set())
        mine = [prefix for prefix in held if len(prefix[0]) == batch.family.width]
        if not mine or not len(batch):
            return []
        # Comparing four bytes first rules out nearly every row.
        heads = np.unique(np.array([_head(prefix) for prefix, _ in mine], np.uint32))
        column = np.ascontiguousarray(batch.prefixes[:, -4:]).view(np.uint32).reshape(-1)
        at = np.searchsorted(heads, column)
        at[at == len(heads)] = 0
        candidates = np.flatnonzero(heads[at] == column).tolist()
        wanted = set(mine)
        return [i for i in candidates if prefix_at(batch, i) in wanted]


def ours(columns: RouteColumns, hops: HopTable) -> npt.NDArray[np.bool_]:
    nh_ids = columns.nh_ids
    group = (nh_ids > ids.FIRST_GROUP) & (nh_ids < ids.FIRST_HOP)
    if hops.dying:
        gone = np.array(sorted(ids.group_of(identity) for identity in hops.dying), np.uint32)
        group &= ~np.isin(nh_ids, gone)
    found: npt.NDArray[np.bool_] = group | (nh_ids >= FIRST_RESERVED)
    found &= columns.origins == ids.ORIGIN
    return found


def batch_of(vrf: str, family: Family, columns: RouteColumns, op: Op = Op.UPSERT) -> RouteBatch:
    """Return routes of a list, all Dualpath's, as a batch."""
    drops = columns.nh_ids >= FIRST_RESERVED
    identities = columns.nh_ids & np.uint32(ids.FIRST_GROUP - 1)
    nexthops = np.where(drops, columns.nh_ids, identities)
    count = len(columns)
    prefixes = wire.masked(columns.prefixes, columns.lengths)
    protocols = np.zeros(count, np.uint8)
    ops = np.full(count, op, np.uint8)
    return RouteBatch(vrf, family, ops, prefixes, columns.lengths.copy(), protocols, nexthops)


def prefixes_of(columns: RouteColumns) -> set[Prefix]:
    prefixes = wire.masked(columns.prefixes, columns.lengths)
    return {
        (row.tobytes(), int(length)) for row, length in zip(prefixes, columns.lengths, strict=True)
    }


def prefix_at(batch: RouteBatch, index: int) -> Prefix:
    return batch.prefixes[index].tobytes(), int(batch.lengths[index])


def _head(prefix: bytes) -> int:
    return int(np.frombuffer(prefix[-4:], np.uint32)[0])


def columns_of(payload: bytes) -> U8:
    """Return a single payload in the shape that `wire.decode` takes."""
    return np.frombuffer(payload, np.uint8).reshape(1, -1)
