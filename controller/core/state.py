"""Desired and programmed state, and how events of frr-bridge and of the datapath change it.

An event only marks rows as pending; the reconciler applies them. No I/O.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain

import numpy as np

from controller.core import recordviews
from controller.core.clock import Clock
from controller.core.nexthop_ids import NexthopIds
from controller.core.records import FROM_INTENT, RecordTable
from controller.core.rib import Rib
from controller.core.segments import Segments
from datapaths.base import LearnedMac, LearnedNeighbor
from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Mac
from dualpath.model.nexthops import Nexthop, NexthopHandle, NexthopId, NexthopType
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import Op, RouteBatch

log = logging.getLogger(__name__)

INTENT_KINDS = (Kind.VRF, Kind.VNI, Kind.PORT)
"""The intent wants these; FRR wants the others."""

FRR_KINDS = (
    Kind.REMOTE_VTEP,
    Kind.FLOOD,
    Kind.ETHERNET_SEGMENT,
    Kind.MAC,
    Kind.NEIGHBOR,
    Kind.NEXTHOP,
)


class State:
    """Desired and programmed rows, by kind.

    Calls `wake` when rows are pending; `settled` with routes that need no work and whose
    acknowledgement zebra awaits; and `unmanaged` with changes of unmanaged rows.
    """

    def __init__(
        self,
        clock: Clock,
        wake: Callable[[], None],
        settled: Callable[[RouteBatch], object],
        unmanaged: Callable[[RouteBatch | RecordBatch], object],
    ) -> None:
        self._clock = clock
        self._wake = wake
        self._settled = settled
        self._unmanaged = unmanaged
        self.rib = Rib()
        self.records = {kind: RecordTable(kind) for kind in (*INTENT_KINDS, *FRR_KINDS)}
        self.records[Kind.LSP] = RecordTable(Kind.LSP, managed=False)
        self.nexthop_ids = NexthopIds()
        self.segments = Segments()
        self.generation = 0  # counts subscriptions
        self.session = events.SessionChanged(number=0, state="idle")
        self.frr = events.FrrReport()
        self.connected = False  # to the bridge
        self.synced = False  # FRR has repeated everything since the subscription began
        self.repaired = 0
        self._left_out: dict[int, Nexthop] = {}  # by handle, until their members are known
        self._intended: set[Kind] = set()  # kinds that the intent has set
        self._losses: list[tuple[Record, ...] | RouteBatch] | None = None  # during a dump

    def fork(
        self,
        wake: Callable[[], None],
        settled: Callable[[RouteBatch], object],
        unmanaged: Callable[[RouteBatch | RecordBatch], object],
    ) -> State:
        """Return the state of a second datapath, with the same desired rows and nothing programmed.

        Pass every later event to both, and call `copy_routes`. Compare every kind before the first
        write, because the second datapath may already have rows.
        """
        other = State(self._clock, wake, settled, unmanaged)
        other.records = {kind: table.fork() for kind, table in self.records.items()}
        other.nexthop_ids = self.nexthop_ids.fork()
        other.segments = self.segments.fork()
        other.generation, other.session = self.generation, self.session
        other.frr, other.connected, other.synced = self.frr, self.connected, self.synced
        other._left_out = dict(self._left_out)
        other._intended = set(self._intended)
        return other

    def copy_routes(self, other: State) -> Iterator[None]:
        """Copy the desired routes to a fork, a slice at a time: there may be a million."""
        for table in self.rib.tables():
            yield from table.copy_desired(other.rib.table(table.vrf, table.family))

    # -- desired --------------------------------------------------------------------------

    def subscribed(self, *, same_bridge: bool) -> None:
        """Begin a subscription: FRR repeats everything, and `Synced` sweeps the rest."""
        self.generation += 1
        self.connected = True
        self.synced = False
        self._left_out.clear()
        if not same_bridge:
            self.nexthop_ids.new_bridge()

    def datapath_takes(self, kinds: frozenset[Kind]) -> None:
        """Note which kinds the datapath supports. Call it before the first `adopt`."""
        self.segments.balanced = Kind.ETHERNET_SEGMENT in kinds
        self.records[Kind.ETHERNET_SEGMENT].managed = self.segments.balanced
        self._rewrite(self.segments.all_macs())

    def _rewrite(self, macs: Iterable[Mac]) -> None:
        """Replace the desired records of MACs that FRR has not repeated."""
        for mac in macs:
            self.records[Kind.MAC].rewrite(mac, now=self._clock.epoch())

    def bridge_lost(self) -> None:
        """Note that frr-bridge is gone. All rows stay; only FRR's own report is dropped."""
        self.connected = False
        self.frr = events.FrrReport()

    def learn(self, event: events.FromBridge) -> None:
        """Store what an event of frr-bridge reports."""
        match event:
            case events.Changed(RouteBatch() as batch):
                self._routes(batch)
            case events.Changed(RecordBatch() as batch):
                self._records(batch)
            case events.SessionChanged():
                self.session = event
            case events.FrrReport():
                self.frr = event
                return
            case events.Synced():
                self._sweep()
            case _:
                return
        self._wake()

    def kept(self) -> int:
        """Return about how many programmed rows of FRR's kinds a sweep can remove."""
        records = sum(len(list(self.records[kind].all_programmed())) for kind in FRR_KINDS)
        return records + sum(len(table.rows) for table in self.rib)

    def want(self, kind: Kind, records: list[Record]) -> None:
        """Make `records` the desired records of one of the intent's kinds."""
        table = self.records[kind]
        self._intended.add(kind)
        now = self._clock.epoch()
        wanted = {record.key for record in records}
        for record in records:
            table.want(record, generation=FROM_INTENT, session=0, now=now)
        for key in list(table):
            if key not in wanted:
                table.unwant(key, now=now)
                table.touch(key)
        self._wake()

    def complete(self, kind: Kind) -> bool:
        """Return whether every desired row of a kind is known, so that others may be removed."""
        return kind in self._intended if kind in INTENT_KINDS else self.synced

    def _routes(self, batch: RouteBatch) -> None:
        ids = self.nexthop_ids.translate(batch.nexthops)
        lost = (ids == 0) & (batch.ops == Op.UPSERT)
        if lost.any():
            log.error(
                "%d routes of VRF %s ignored: their nexthop is unknown", lost.sum(), batch.vrf
            )
            batch, ids = batch.take(~lost), ids[~lost]
        translated = replace(batch, nexthops=ids)
        table = self.rib.table(batch.vrf, batch.family)
        _, own = table.learn(
            translated,
            generation=self.generation,
            session=self.session.number,
            now=self._clock.epoch(),
        )
        if len(own):
            self._unmanaged(translated.take(own))
        # zebra awaits an acknowledgement of each route, also of those that need no work.
        if self.session.acknowledge and len(settled := table.settled(translated)):
            self._settled(translated.take(settled))
        if self.session.acknowledge and len(unusable := table.unusable(translated)):
            rows = translated.take(unusable)
            self._settled(replace(rows, nexthops=np.zeros_like(rows.nexthops)))

    def _records(self, batch: RecordBatch) -> None:
        table = self.records[batch.kind]
        now, generation, session = self._clock.epoch(), self.generation, self.session.number
        news = [
            wanted
            for wanted in self._translated(batch)
            if table.want(wanted, generation=generation, session=session, now=now)
        ]
        if not table.managed:
            gone = tuple(r for r in batch.withdrawals if table.desired(r.key) is not None)
            self._unmanaged(RecordBatch(batch.kind, tuple(news), gone))
        for record in batch.withdrawals:
            if isinstance(record, Nexthop):
                self._left_out.pop(record.id, None)
                self._unwant_nexthop(self.nexthop_ids.release(NexthopHandle(record.id)), now)
            else:
                table.unwant(record.key, now=now)
                if isinstance(record, EthernetSegment):
                    self.segments.forget(record)
                elif isinstance(record, Mac):
                    self.segments.forget_mac(record)

    def _translated(self, batch: RecordBatch) -> Iterable[Record]:
        """Return the records for the datapath that follow from FRR's; use them in this order."""
        records = batch.upserts
        match batch.kind:
            case Kind.NEXTHOP:
                handles = (it for it in _members_first(records) if isinstance(it, Nexthop))
                return chain.from_iterable(map(self._claim, handles))
            case Kind.MAC:
                return [self.segments.mac(mac) for mac in records if isinstance(mac, Mac)]
            case Kind.ETHERNET_SEGMENT:
                for segment in records:
                    if isinstance(segment, EthernetSegment):
                        self._rewrite(self.segments.learn(segment))
                return records
            case _:
                return records

    def _unwant_nexthop(self, nexthop: NexthopId, now: float) -> None:
        table = self.records[Kind.NEXTHOP]
        table.unwant(nexthop, now=now)
        if table.programmed(nexthop) is None:  # otherwise the id is forgotten after the withdrawal
            self.nexthop_ids.forget(nexthop)

    def _claim(self, by_handle: Nexthop) -> Iterator[Nexthop]:
        """Yield a nexthop with nexthop ids for handles, then the groups that waited for it.

        A group with an unknown member is left out until that member comes.
        """
        handle = by_handle.id
        try:
            nexthop = self.nexthop_ids.claim(by_handle)
        except KeyError as error:
            if handle not in self._left_out:
                log.error("nexthop handle %d left out: handle %s is unknown", handle, error)
            self._left_out[handle] = by_handle
            return
        self._left_out.pop(handle, None)
        yield nexthop
        for group in list(self._left_out.values()):
            if any(member.id == handle for member in group.members):
                yield from self._claim(group)

    def _sweep(self) -> None:
        """Stop desiring the rows of FRR that this subscription did not repeat."""
        now = self._clock.epoch()
        labels = recordviews.to_sweep(self.records[Kind.LSP], self.generation)
        self._unmanaged(RecordBatch(Kind.LSP, withdrawals=labels))
        for routes in self.rib:
            self._unmanaged(routes.unmanaged_to_sweep(self.generation))
        swept = {kind: self.records[kind].sweep(self.generation, now) for kind in FRR_KINDS}
        nexthops = self.records[Kind.NEXTHOP]
        self.nexthop_ids.keep({key for key in nexthops if nexthops.desired(key)}, set(nexthops))
        swept[Kind.LSP] = self.records[Kind.LSP].sweep(self.generation, now)
        swept[Kind.ROUTE] = sum(table.sweep(self.generation, now) for table in self.rib)
        self.synced = True
        text = ", ".join(f"{rows} {kind.name}" for kind, rows in swept.items() if rows)
        log.info("FRR has converged; removed stale rows: %s", text or "none")

    # -- programmed -----------------------------------------------------------------------

    def adopt(self, batch: RouteBatch | RecordBatch) -> None:
        """Adopt rows of the datapath."""
        now = self._clock.epoch()
        if isinstance(batch, RouteBatch):
            self.rib.table(batch.vrf, batch.family).adopt(batch, now=now)
            return
        for record in batch.upserts:
            self.records[batch.kind].adopt(record, now=now)
        if batch.kind is Kind.NEXTHOP:
            self.nexthop_ids.adopt(r for r in batch.upserts if isinstance(r, Nexthop))

    @contextmanager
    def dumping(self) -> Iterator[Callable[[], None]]:
        """Collect the losses during a dump, because they are newer than the dump.

        Yields a function that notes them a second time. Call it after the dump was compared.
        """
        losses: list[tuple[Record, ...] | RouteBatch] = []
        self._losses = losses

        def repeat() -> None:
            for lost in losses:
                if isinstance(lost, RouteBatch):
                    self.lost_routes(lost)
                else:
                    self.lost_records(lost)

        try:
            yield repeat
        finally:
            self._losses = None

    def lost_records(self, records: tuple[Record, ...]) -> int:
        """Note that another program removed records; return how many were programmed.

        A nexthop's routes and its memberships of groups are lost too: the kernel removes both.
        """
        self._note_loss(records)
        count = 0
        nexthops: set[int] = set()
        for record in records:
            count += self.records[record.kind].lost(record.key)
            if isinstance(record, Nexthop):
                self._lost_nexthop(record.id, nexthops)
        if nexthops:  # one search for the routes of all
            for routes in self.rib:
                routes.lost_nexthops(nexthops)
        if count:
            self.repaired += count
            self._wake()
        return count

    def appeared(self, host: LearnedMac | LearnedNeighbor) -> None:
        """Note a local host that the datapath learned; FRR may still have it behind a VTEP."""
        if isinstance(host, LearnedMac):
            self.records[Kind.MAC].overridden((host.vni, host.mac))
        else:
            self.records[Kind.NEIGHBOR].overridden((host.vni, host.address))

    def changed(self, actual: Record) -> int:
        """Note that a record in the datapath differs from the programmed one; return 1.

        A group from which the kernel removed members still exists, and so do its routes.
        """
        table = self.records[actual.kind]
        table.adopt(actual, now=self._clock.epoch())
        table.touch(actual.key)
        self.repaired += 1
        self._wake()
        return 1

    def lost_routes(self, batch: RouteBatch) -> int:
        """Note that another program removed routes; return how many were programmed."""
        self._note_loss(batch)
        count = self.rib.table(batch.vrf, batch.family).lost(batch)
        if count:
            self.repaired += count
            self._wake()
        return count

    def _note_loss(self, lost: tuple[Record, ...] | RouteBatch) -> None:
        if self._losses is not None:
            self._losses.append(lost)

    def _lost_nexthop(self, nexthop: int, lost: set[int]) -> None:
        """Remove a nexthop from its groups; add it, and the groups left empty, to `lost`."""
        lost.add(nexthop)
        table = self.records[Kind.NEXTHOP]
        for key in table.programmed_groups.groups_of([nexthop]):
            group = table.programmed(key)
            if isinstance(group, Nexthop):
                left = tuple(m for m in group.members if m.id != nexthop)
                table.applied(group.key, replace(group, members=left) if left else None)
                if not left:
                    self._lost_nexthop(group.id, lost)


def _members_first(records: tuple[Record, ...]) -> list[Record]:
    """Return nexthops before groups: a group refers to its members."""
    return sorted(records, key=lambda r: isinstance(r, Nexthop) and r.type is NexthopType.GROUP)
