"""Nexthops and groups in the datapath: which may be used by routes, and which may be withdrawn.

A group is applied with those of its members that the datapath has: if one of two uplinks is down,
the group of both still forwards. When the missing member returns, the group is applied again.

A nexthop outlives the last route that uses it. So does a VTEP's router MAC: a restarted bgpd can
leave zebra without the router MAC while zebra still wants routes over that VTEP. So both kinds
*leave*: they are remembered, and withdrawn in the first round in which nothing programmed uses
them. A group is withdrawn in one round, its members in the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import cast

import numpy as np

from controller.core import routeviews
from controller.core.clock import Clock
from controller.core.recordapplier import RecordApplier
from controller.core.routecolumns import Mask
from controller.core.state import State
from dualpath.model.kinds import Kind
from dualpath.model.nexthops import FIRST_RESERVED, Nexthop, NexthopId, NexthopType
from dualpath.model.records import Key, Record, RecordBatch
from dualpath.model.routes import U32


class Nexthops:
    """Applies nexthops, and knows the ids in the datapath."""

    def __init__(self, state: State, applier: RecordApplier, clock: Clock) -> None:
        self._state = state
        self._table = state.records[Kind.NEXTHOP]
        self._applier = applier
        self._clock = clock
        self._usable: U32 = np.empty(0, np.uint32)  # ids in the datapath, ascending

    def usable(self, ids: U32) -> Mask:
        """Return for each id whether a route may use it now; reserved ids always work."""
        at = np.searchsorted(self._usable, ids)
        at[at == len(self._usable)] = 0
        known = self._usable[at] == ids if len(self._usable) else np.zeros(len(ids), np.bool_)
        return known | (ids >= FIRST_RESERVED)

    def refresh(self) -> None:
        """Read the ids in the datapath from the state again."""
        self._usable = np.array(sorted(nexthop.id for nexthop in self.programmed()), np.uint32)

    def programmed(self) -> list[Nexthop]:
        records = self._table.all_programmed()
        return [record for record in records if isinstance(record, Nexthop)]

    async def upsert(self, upserts: Sequence[Record]) -> None:
        """Apply single nexthops, then the groups that have a member in the datapath."""
        nexthops = [record for record in upserts if isinstance(record, Nexthop)]
        single = [n for n in nexthops if n.type is not NexthopType.GROUP]
        if single:
            await self._applier.apply(RecordBatch(Kind.NEXTHOP, tuple(single)))
        touched = {nexthop.id for nexthop in single}
        groups = {n.id: n for n in nexthops if n.type is NexthopType.GROUP}
        for key in self._table.desired_groups.groups_of(touched):  # a member returned
            group = self._table.desired(key)
            if isinstance(group, Nexthop):
                groups[group.id] = group
        await self._upsert_groups(list(groups.values()))
        self._note(touched | groups.keys())
        for routes in self._state.rib.busy():
            routes.pending.unpark()

    async def _upsert_groups(self, groups: Sequence[Nexthop]) -> None:
        """Apply each group with those of its members that the datapath has."""
        table = self._table
        ready: list[Record] = []
        for group in groups:
            effective = self._effective(group)
            if not effective.members:
                now = self._clock.epoch()
                table.refuse(group.key, "ENETDOWN: none of its members is up", now=now)
            elif table.programmed(group.key) != effective:
                ready.append(effective)
        if ready:
            await self._applier.apply(RecordBatch(Kind.NEXTHOP, tuple(ready)))

    def _effective(self, group: Nexthop) -> Nexthop:
        """Return a group with those of its members that the datapath has."""
        present = self._table.programmed_ids
        if present.issuperset([m.id for m in group.members]):
            return group
        return replace(group, members=tuple([m for m in group.members if m.id in present]))

    def withdrawn(self, nexthops: Sequence[Record]) -> None:
        """Release the ids of nexthops that the datapath no longer has."""
        for nexthop in nexthops:
            if isinstance(nexthop, Nexthop) and self._table.programmed(nexthop.key) is None:
                self._state.nexthop_ids.forget(NexthopId(nexthop.id))
        self._note({nexthop.id for nexthop in nexthops if isinstance(nexthop, Nexthop)})

    def _note(self, ids: AbstractSet[int]) -> None:
        """Note which of these ids are in the datapath now."""
        present = [one for one in sorted(ids) if self._table.programmed(one) is not None]
        others = self._usable[np.isin(self._usable, list(ids), invert=True)]
        self._usable = np.insert(others, np.searchsorted(others, present), present)


class Leaving:
    """Nexthops and VTEPs to withdraw as soon as nothing programmed uses them."""

    KINDS = frozenset({Kind.REMOTE_VTEP, Kind.NEXTHOP})

    def __init__(self, state: State, nexthops: Nexthops) -> None:
        self._state = state
        self._nexthops = nexthops
        self._keys: dict[Kind, set[Key]] = {kind: set() for kind in self.KINDS}

    def add(self, kind: Kind, records: Iterable[Record]) -> None:
        self._keys[kind].update(record.key for record in records)

    def others(self, kind: Kind, gone: set[Key]) -> bool:
        """Return whether anything except `gone` still leaves."""
        return bool(self._keys[kind] - gone)

    def unused(self, kind: Kind) -> list[Record]:
        """Return the leaving records that nothing programmed uses."""
        table, leaving = self._state.records[kind], self._keys[kind]
        for key in [k for k in leaving if table.desired(k) or not table.programmed(k)]:
            leaving.discard(key)
        if not leaving:
            return []
        ids = self._ids(kind, leaving)
        used = self._used({one for some in ids.values() for one in some})
        unused = sorted((key for key in leaving if used.isdisjoint(ids[key])), key=repr)
        found = [table.programmed(key) for key in unused]
        return [record for record in found if record is not None]

    def _ids(self, kind: Kind, keys: AbstractSet[Key]) -> dict[Key, list[int]]:
        """Return the ids of the programmed nexthops behind each key."""
        if kind is Kind.NEXTHOP:
            return {key: [cast("int", key)] for key in keys}
        found: dict[Key, list[int]] = {key: [] for key in keys}
        for nexthop in self._nexthops.programmed():
            if nexthop.vni and (behind := found.get((nexthop.vni, nexthop.vtep))) is not None:
                behind.append(nexthop.id)
        return found

    def _used(self, ids: set[int]) -> set[int]:
        """Return which of these nexthops programmed groups or routes use."""
        groups = self._state.records[Kind.NEXTHOP].programmed_groups
        used = {one for one in ids if groups.groups_of([one])}
        for routes in self._state.rib:
            used |= routeviews.used_nexthops(routes.rows, ids - used)
        return used
