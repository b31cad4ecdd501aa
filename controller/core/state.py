"""Everything that the controller knows, and how the bridge's words and the datapath's change it.

Events only mark what to look at; the reconciler does the looking. No I/O.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from controller.core.clock import Clock
from controller.core.nexthop_ids import NexthopIds
from controller.core.records import FROM_INTENT, RecordTable
from controller.core.rib import Rib
from controller.core.segments import Segments
from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Mac
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import Op, RouteBatch

log = logging.getLogger(__name__)

INTENT_KINDS = (Kind.VRF, Kind.VNI, Kind.PORT)
"""What manifests ask for; the rest is what FRR wants."""

FRR_KINDS = (
    Kind.REMOTE_VTEP,
    Kind.FLOOD,
    Kind.ETHERNET_SEGMENT,
    Kind.MAC,
    Kind.NEIGHBOR,
    Kind.NEXTHOP,
)


class State:
    """Desired and programmed, by kind.

    `wake` is called when there is work for the reconciler, and `settled` with routes that were
    said again and that the datapath has already, if zebra waits for an answer. `unmanaged` is
    called with what changed of rows that no datapath is given.
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
        self.synced = False  # the bridge has said everything since it was subscribed to
        self.synced_at = 0.0
        self.repaired = 0
        self._left_out: dict[int, Nexthop] = {}  # by handle, until their members come
        self._intended: set[Kind] = set()  # kinds of which intent has said everything
        self._losses: list[tuple[Record, ...] | RouteBatch] | None = None  # during a dump

    # -- what FRR wants -------------------------------------------------------------------

    def subscribed(self, *, same_bridge: bool) -> None:
        """Everything will be said again. What is not, goes at Synced and not before."""
        self.generation += 1
        self.connected = True
        self.synced = False
        self._left_out.clear()
        if not same_bridge:
            self.nexthop_ids.new_bridge()

    def datapath_takes(self, kinds: frozenset[Kind]) -> None:
        """Note what the datapath takes, before anything is adopted from it."""
        self.segments.balanced = Kind.ETHERNET_SEGMENT in kinds
        self.records[Kind.ETHERNET_SEGMENT].managed = self.segments.balanced
        self._rewrite(self.segments.all_macs())

    def _rewrite(self, macs: Iterable[Mac]) -> None:
        """Desire MACs otherwise that FRR has not said again."""
        for mac in macs:
            self.records[Kind.MAC].rewrite(mac, now=self._clock.epoch())

    def bridge_lost(self) -> None:
        """The bridge is silent: nothing changes but what we say of ourselves."""
        self.connected = False
        self.frr = events.FrrReport()

    def take(self, event: events.FromBridge) -> None:
        """Take the bridge's word."""
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
        """Count what FRR once wanted and the datapath has, more or less: what a sweep can take."""
        records = sum(len(list(self.records[kind].all_programmed())) for kind in FRR_KINDS)
        return records + sum(len(table.rows) for table in self.rib)

    def want(self, kind: Kind, records: list[Record]) -> None:
        """Make `records` all that intent wants of a kind."""
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
        """Say whether all that is wanted of a kind is known, so that the rest may be removed."""
        return kind in self._intended if kind in INTENT_KINDS else self.synced

    def _routes(self, batch: RouteBatch) -> None:
        ids = self.nexthop_ids.translate(batch.nexthops)
        lost = (ids == 0) & (batch.ops == Op.UPSERT)
        if lost.any():
            log.error("%d routes of %s without a nexthop; left out", lost.sum(), batch.vrf)
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
        # zebra waits for an answer to each route that it says, also where nothing is to be done.
        if self.session.acknowledge and len(settled := table.settled(translated)):
            self._settled(translated.take(settled))
        if self.session.acknowledge and len(refused := table.refused(translated)):
            rows = translated.take(refused)
            self._settled(replace(rows, nexthops=np.zeros_like(rows.nexthops)))

    def _records(self, batch: RecordBatch) -> None:
        table = self.records[batch.kind]
        now, generation, session = self._clock.epoch(), self.generation, self.session.number
        claimed = (
            wanted
            for record in _members_first(batch.upserts)
            for wanted in self._translated(record)
        )
        news = [
            r for r in claimed if table.want(r, generation=generation, session=session, now=now)
        ]
        if not table.managed:
            gone = tuple(r for r in batch.withdrawals if table.desired(r.key) is not None)
            self._unmanaged(RecordBatch(batch.kind, tuple(news), gone))
        for record in batch.withdrawals:
            if isinstance(record, Nexthop):
                self._left_out.pop(record.id, None)
                self._unwant_nexthop(self.nexthop_ids.release(record.id), now)
            else:
                table.unwant(record.key, now=now)
                if isinstance(record, EthernetSegment):
                    self.segments.forget(record)
                elif isinstance(record, Mac):
                    self.segments.forget_mac(record)

    def _translated(self, record: Record) -> Iterator[Record]:
        """Yield what the datapath is to have for what FRR says."""
        match record:
            case Nexthop():
                yield from self._claim(record)
            case Mac():
                yield self.segments.mac(record)
            case EthernetSegment():
                self._rewrite(self.segments.learn(record))
                yield record
            case _:
                yield record

    def _unwant_nexthop(self, identity: int, now: float) -> None:
        table = self.records[Kind.NEXTHOP]
        table.unwant(identity, now=now)
        if table.programmed(identity) is None:  # else it is forgotten once it is withdrawn
            self.nexthop_ids.forget(identity)

    def _claim(self, said: Nexthop) -> Iterator[Nexthop]:
        """Yield a nexthop with lasting ids, and the groups that waited for it.

        One whose members are not all known is left out, and said once.
        """
        try:
            nexthop = self.nexthop_ids.claim(said)
        except KeyError as error:
            if said.id not in self._left_out:
                log.error("nexthop %d is left out: %s is no known nexthop", said.id, error)
            self._left_out[said.id] = said
            return
        self._left_out.pop(said.id, None)
        yield nexthop
        for group in list(self._left_out.values()):
            if any(member.id == said.id for member in group.members):
                yield from self._claim(group)

    def _sweep(self) -> None:
        """All has been said: what was not is no longer wanted."""
        now = self._clock.epoch()
        self._unmanaged(RecordBatch(Kind.LSP, (), self.records[Kind.LSP].unsaid(self.generation)))
        for routes in self.rib:
            self._unmanaged(routes.unsaid(self.generation))
        swept = {kind: self.records[kind].sweep(self.generation, now) for kind in FRR_KINDS}
        nexthops = self.records[Kind.NEXTHOP]
        self.nexthop_ids.keep({key for key in nexthops if nexthops.desired(key)}, set(nexthops))
        swept[Kind.LSP] = self.records[Kind.LSP].sweep(self.generation, now)
        swept[Kind.ROUTE] = sum(table.sweep(self.generation, now) for table in self.rib)
        self.synced, self.synced_at = True, now
        text = ", ".join(f"{rows} {kind.name}" for kind, rows in swept.items() if rows)
        log.info("synced; no longer wanted: %s", text or "nothing")

    # -- what the datapath has ------------------------------------------------------------

    def adopt(self, batch: RouteBatch | RecordBatch) -> None:
        """Take what the datapath holds at our start."""
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
        """Remember what gets lost while the datapath is dumped: it is newer than the dump.

        What is yielded is to be called when the dump has been taken in, and takes it back again.
        """
        losses: list[tuple[Record, ...] | RouteBatch] = []
        self._losses = losses

        def again() -> None:
            for lost in losses:
                if isinstance(lost, RouteBatch):
                    self.lost_routes(lost)
                else:
                    self.lost_records(lost)

        try:
            yield again
        finally:
            self._losses = None

    def lost_records(self, records: tuple[Record, ...]) -> int:
        """Somebody removed records of ours; return how many we thought to be there.

        With a nexthop go its routes, and it leaves its groups: the kernel sees to both.
        """
        self._note_loss(records)
        count = 0
        for record in records:
            count += self.records[record.kind].lost(record.key)
            if isinstance(record, Nexthop):
                self._lost_nexthop(record.id)
        if count:
            self.repaired += count
            self._wake()
        return count

    def changed(self, actual: Record) -> int:
        """Note that a record in the datapath is not as it was given; return 1.

        A group that the kernel took members from is still there, and so are its routes.
        """
        table = self.records[actual.kind]
        table.adopt(actual, now=self._clock.epoch())
        table.touch(actual.key)
        self.repaired += 1
        self._wake()
        return 1

    def lost_routes(self, batch: RouteBatch) -> int:
        """Somebody removed routes of ours; return how many we thought to be there."""
        self._note_loss(batch)
        count = self.rib.table(batch.vrf, batch.family).lost(batch)
        if count:
            self.repaired += count
            self._wake()
        return count

    def _note_loss(self, lost: tuple[Record, ...] | RouteBatch) -> None:
        if self._losses is not None:
            self._losses.append(lost)

    def _lost_nexthop(self, identity: int) -> None:
        table = self.records[Kind.NEXTHOP]
        for group in list(table.all_programmed()):
            if isinstance(group, Nexthop) and any(m.id == identity for m in group.members):
                left = tuple(m for m in group.members if m.id != identity)
                table.done(group.key, replace(group, members=left) if left else None)
                if not left:
                    self._lost_nexthop(group.id)
        for routes in self.rib:
            routes.lost_nexthop(identity)


def _members_first(records: tuple[Record, ...]) -> list[Record]:
    """Put groups behind what may be their members."""
    return sorted(records, key=lambda r: isinstance(r, Nexthop) and r.type is NexthopType.GROUP)
