"""Desired and programmed routes against a model: any order of changes ends in the same state."""

from __future__ import annotations

import errno

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controller.core import routeviews
from controller.core.rib import RouteTable
from dualpath.model import slotqueue
from dualpath.model.routes import U32, Family, Op, RouteBatch
from dualpath.model.table import Slots
from tests.fakes.batches import batch, rows_of

PREFIXES = [f"10.{i}.0.0/16" for i in range(8)]
NEXTHOPS = st.integers(0, 3)
CHANGES = st.lists(st.tuples(st.sampled_from(PREFIXES), NEXTHOPS), min_size=1, max_size=6)


class RouteTableMachine(RuleBasedStateMachine):
    """In any order of events, the datapath ends with the routes announced last."""

    few = slotqueue.FEW

    def __init__(self) -> None:
        super().__init__()
        self._patched = pytest.MonkeyPatch()
        self._patched.setattr(slotqueue, "FEW", self.few)
        self.table = RouteTable("default", Family.INET)
        self.desired: dict[str, int] = {}
        self.changed: dict[str, int] = {}  # generation of a prefix's last change
        self.datapath: dict[str, int] = {}
        self.ready = {1, 2, 3}
        self.generation = 1
        self.taken: list[tuple[Slots, RouteBatch]] = []

    def _ready(self, ids: U32) -> npt.NDArray[np.bool_]:
        return np.isin(ids, list(self.ready))

    @rule(changes=CHANGES)
    def learn(self, changes: list[tuple[str, int]]) -> None:
        rows = [f"+ {p} {nexthop}" if nexthop else f"- {p}" for p, nexthop in changes]
        self.table.learn(batch(*rows), generation=self.generation, session=1, now=1.0)
        for prefix, nexthop in changes:
            self.desired.pop(prefix, None)
            self.changed[prefix] = self.generation
            if nexthop:
                self.desired[prefix] = nexthop

    @precondition(lambda self: len(self.taken) < 3)
    @rule(op=st.sampled_from(list(Op)), limit=st.integers(1, 5))
    def take(self, op: Op, limit: int) -> None:
        taken = self.table.pending.next_batch(limit, self._ready, op)
        if not taken:
            return
        slots, rows = taken
        assert len(set(slots.tolist())) == len(slots) == len(rows) <= limit
        assert not set(slots.tolist()) & {slot for others, _ in self.taken for slot in others}
        for prefix, nexthop in rows_of(rows).items():
            assert nexthop == self.desired.get(prefix, 0)
            assert self.datapath.get(prefix, 0) != nexthop
            assert nexthop in (self.ready if op is Op.UPSERT else {0})
        self.taken.append(taken)

    @precondition(lambda self: self.taken)
    @rule(refused=st.sets(st.integers(0, 4)), which=st.integers(0, 2))
    def done(self, refused: set[int], which: int) -> None:
        slots, rows = self.taken.pop(which % len(self.taken))
        bad = {index for index in refused if index < len(rows)}
        for index, (prefix, nexthop) in enumerate(rows_of(rows).items()):
            if index not in bad:
                self._program(prefix, nexthop)
        self.table.pending.applied(slots, rows, [(index, errno.EINVAL) for index in bad])

    @precondition(lambda self: self.taken)
    @rule(which=st.integers(0, 2))
    def abandon(self, which: int) -> None:
        slots, _ = self.taken.pop(which % len(self.taken))
        self.table.pending.abandon(slots)

    @precondition(lambda self: not self.taken and self.datapath)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        prefix = data.draw(st.sampled_from(sorted(self.datapath)))
        assert self.table.lost(batch(f"+ {prefix} 1")) == 1
        del self.datapath[prefix]

    @rule()
    def sweep(self) -> None:
        self.table.sweep(self.generation, 2.0)
        for prefix in [p for p in self.desired if self.changed[p] != self.generation]:
            del self.desired[prefix]

    @rule()
    def subscribe(self) -> None:
        self.generation += 1

    @rule(nexthop=st.integers(1, 3))
    def nexthop_goes(self, nexthop: int) -> None:
        self.ready.discard(nexthop)

    @rule(nexthop=st.integers(1, 3))
    def nexthop_comes(self, nexthop: int) -> None:
        self.ready.add(nexthop)
        self.table.pending.unpark()

    @precondition(lambda self: not self.taken)
    @rule(prefix=st.sampled_from(PREFIXES), nexthop=NEXTHOPS)
    def drift(self, prefix: str, nexthop: int) -> None:
        """Another program changes a row, and an audit finds it."""
        self._program(prefix, nexthop)
        self.table.begin_compare()
        if self.datapath:
            rows = [f"+ {p} {n}" for p, n in self.datapath.items()]
            self.table.adopt(batch(*rows), now=3.0)
        self.table.end_compare(synced=True)

    @rule(op=st.sampled_from(list(Op)))
    def seal(self, op: Op) -> None:
        self.table.pending.seal(op)

    @rule()
    def retry(self) -> None:
        self.table.pending.retry()

    @invariant()
    def at_the_end_the_datapath_has_what_was_said(self) -> None:
        count = routeviews.count(self.table.rows, self.generation)
        assert count.desired == len(self.desired)
        assert count.programmed == len(self.datapath)

    def teardown(self) -> None:
        try:
            self._finish()
        finally:
            self._patched.undo()

    def _finish(self) -> None:
        while self.taken:
            self.done(set(), 0)
        self.ready = {1, 2, 3}
        self.table.pending.unpark()
        self.table.pending.retry()
        for op in (Op.UPSERT, Op.WITHDRAW, Op.UPSERT):
            self.take(op, 5)
            while self.taken:
                self.done(set(), 0)
                self.take(op, 5)
        assert self.datapath == self.desired
        assert len(self.table.rows) == len(self.desired)
        assert not self.table.pending.failed

    def _program(self, prefix: str, nexthop: int) -> None:
        self.datapath.pop(prefix, None)
        if nexthop:
            self.datapath[prefix] = nexthop


class SpreadMachine(RouteTableMachine):
    """The same, and three rows are so many that they are handed out far apart."""

    few = 2


SETTINGS = settings(max_examples=60, stateful_step_count=30, deadline=None)
RouteTableMachine.TestCase.settings = SpreadMachine.TestCase.settings = SETTINGS
TestRouteTableMachine = RouteTableMachine.TestCase
TestSpreadMachine = SpreadMachine.TestCase
