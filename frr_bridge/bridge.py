"""The bridge's state and what happens to it: from FRR's two feeds to the bus.

Here the session decides whether a withdrawal is obeyed. No sockets: the server, the watch and
the publisher call in, and `flush` says what there is to say as far as there is credit.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Lsp
from dualpath.model.nexthops import Nexthop
from dualpath.model.records import Key, Record, RecordBatch
from dualpath.model.routes import RouteBatch
from frr_bridge.check import Check
from frr_bridge.errors import DecodeError
from frr_bridge.handles import NexthopHandles
from frr_bridge.overlay import Overlay
from frr_bridge.records import Records
from frr_bridge.rib import Rib
from frr_bridge.session import Action, Input, Session, State
from frr_bridge.wire.columns import TableRoutes, decode
from frr_bridge.wire.fpm import Frames
from frr_bridge.wire.inline import Unsupported
from frr_bridge.wire.link import LinkMessage
from frr_bridge.wire.lsp import LspMessage, LspNexthop
from frr_bridge.wire.message import Other
from frr_bridge.wire.neighbor import NeighborMessage
from frr_bridge.wire.nexthop import ZebraNexthop
from frr_bridge.wire.offload import offload

log = logging.getLogger(__name__)

ROUTES_IN_BATCH = 16384
RECORDS_IN_BATCH = 2048

KINDS = (
    Kind.REMOTE_VTEP,
    Kind.FLOOD,
    Kind.ETHERNET_SEGMENT,
    Kind.MAC,
    Kind.NEIGHBOR,
    Kind.NEXTHOP,
    Kind.LSP,
)


class Bus(Protocol):
    """Where `flush` says things: the publisher."""

    credit: int

    @property
    def subscribed(self) -> bool: ...

    def send(self, event: events.FromBridge) -> None: ...


class Bridge:
    """What FRR wants, as one value that is kept whole, and told to one subscriber.

    `doubt` is asked before a withdrawal is obeyed: it must say at once whether a daemon has died.
    `answer` sends bytes to zebra. `whole` says whether all that FRR's namespace holds is known.
    `replay` is called when only zebra can tell which routes there are: it ends the FPM session,
    so that zebra connects again and repeats all of them.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        doubt: Callable[[], bool],
        answer: Callable[[bytes], None],
        whole: Callable[[], bool] = lambda: True,
        replay: Callable[[], None] = lambda: None,
    ) -> None:
        self._bus = bus
        self._doubt = doubt
        self._answer = answer
        self._whole = whole
        self._replay = replay
        self.acknowledge = False  # zebra waits to hear what became of its routes
        self.session = Session()
        self.reason = ""
        self.check: Check | None = None  # one that is under way
        self.trouble = ""  # why FRR's namespace cannot be read
        self.stale_after = 0.0
        self.rib = Rib()
        self.records = {kind: Records(kind) for kind in KINDS}
        self.overlay = Overlay(self._want, self._withdraw, self._moved)
        self.handles = NexthopHandles(
            self.overlay.resolve,
            self._nexthop_known,
            self.rib.repeat_nexthop,
            self._nexthop_failed,
        )
        self._synced = False  # said since the subscription
        self._told: events.SessionChanged | None = None
        self.decode_errors = 0
        self._forgotten = False  # zebra dropped a nexthop since the last `collect`
        self._shrunk: dict[int, EthernetSegment] = {}  # as FRR has them now, while more is kept
        self._links_changed = False  # since nexthops were last resolved
        self._ended_tables: set[int] = set()  # of VRFs whose device is gone
        self._overtaken = False  # routes came ahead of netlink messages that zebra acted on

    # -- the feeds ------------------------------------------------------------------------

    def take_frames(self, frames: Frames, *, in_order: bool = True) -> None:
        """Take what zebra says over FPM.

        `in_order` tells whether all netlink messages were taken that zebra had read before.
        """
        self._overtaken = not in_order
        decoded = decode(frames.buffer, frames.offsets, self.handles)
        for error in decoded.errors:
            self._count(error)
        hold = not self._obeying()
        for routes in decoded.routes:
            done = self.rib.learn(routes, self.session.number, hold=hold)
            if self.acknowledge and len(done):
                self._acknowledge(routes, done)
        for other in decoded.others:
            if isinstance(other, LspMessage):
                self._lsp(other)
            elif isinstance(other, ZebraNexthop):
                self._hint(other)

    def begin_dump(self) -> None:
        """A dump of FRR's namespace begins: what it does not repeat is gone at `end_dump`."""
        self.overlay.begin()
        self.handles.begin_dump()

    def end_dump(self) -> None:
        """Withdraw what the dump did not repeat. Never call it unless the dump was whole."""
        self.overlay.end()
        self.handles.end_dump()
        self._end_links()
        self._links_changed = True
        self._forgotten = True

    def take_netlink(self, said: Other) -> None:
        """Take what the control namespace's kernel says."""
        if isinstance(said, LinkMessage):
            self._links_changed |= self.overlay.link(said)
            if said.deleted:
                self._end_links()
            else:
                self._ended_tables.discard(said.vrf_table)
                if not said.carries:
                    self._flush_device(said.index)
        elif isinstance(said, NeighborMessage):
            if said.error:
                self._count(said.error)
            self.overlay.neighbor(said)
        elif isinstance(said, ZebraNexthop) and not self.overlay.nexthop(said):
            self._nexthop(said)

    def programmed(self, batch: RouteBatch) -> None:
        """Take the datapath's word for routes, and tell zebra; nexthop 0 is a refused row."""
        for number, vrf in self.overlay.vrfs().items():
            if vrf == batch.vrf:
                self.rib.done(number, batch)
                self._answer(
                    offload(
                        number,
                        batch.family,
                        batch.prefixes,
                        batch.lengths,
                        batch.protocols,
                        batch.nexthops == 0,
                    )
                )

    def _acknowledge(self, routes: TableRoutes, rows: npt.NDArray[np.intp]) -> None:
        """Tell zebra of routes that it repeats and that the datapath has all along."""
        self._answer(
            offload(
                routes.table,
                routes.family,
                routes.prefixes[rows],
                routes.lengths[rows],
                routes.protocols[rows],
                np.zeros(len(rows), np.bool_),
            )
        )

    def step(self, happened: Input) -> Action:
        """Let the session take a step, and sweep when that is what follows."""
        before = self.session.state
        action = self.session.feed(happened)
        if self.session.state is not before:
            log.info("session %d: %s", self.session.number, self.session.state)
        if action is Action.SWEEP:
            self._sweep()
        return action

    def caught_up(self) -> None:
        """Note that all netlink messages were taken that belong to the frames so far."""
        self._overtaken = False

    def collect(self) -> None:
        """Forget nexthops that zebra dropped, or never had an id for, and no route uses now."""
        if not self.session.obeying:
            return
        self._end_tables()
        if not self._forgotten and not (self.handles.unnamed and self.rib.released):
            return
        self._forgotten = self.rib.released = False
        for nexthop in self.handles.collect(self.rib.used_handles()):
            self.records[Kind.NEXTHOP].withdraw(nexthop.key, hold=False)

    def _end_links(self) -> None:
        """Let go of what stood on links that are gone: the kernel and zebra report little of it."""
        for link in self.overlay.take_ended():
            self._flush_device(link.index, ended=True)
            if link.vrf_table:
                self._ended_tables.add(link.vrf_table)
        self._end_tables()

    def _flush_device(self, index: int, *, ended: bool = False) -> None:
        self.handles.flushed(index, ended=ended)
        self._forgotten = True
        # A namespace that ends takes its links along, and no cable was pulled.
        if not ended or self._obeying():
            self.handles.lost_device(index)

    def _end_tables(self) -> None:
        """Withdraw the routes of VRFs whose device is gone: zebra withdraws only some of them.

        It must happen before routes of the next VRF with that table number come. When that order
        was lost, in a dump or beside one, nobody but zebra can tell the routes of both apart.
        """
        if not self._ended_tables or not self._obeying():
            return
        again = self._ended_tables & self.overlay.vrfs().keys()
        if again or self._overtaken:
            log.info("a VRF device was replaced while netlink was behind: zebra is to repeat all")
            self._ended_tables -= again
            self._overtaken = False
            self._replay()
            return
        for number in self._ended_tables:
            self.rib.end(number)

    @property
    def stale(self) -> int:
        """Rows that a sweep would take away."""
        held = sum(records.held for records in self.records.values())
        return self.rib.stale(self.session.number) + held

    def progress(self) -> tuple[int, int, int]:
        """Return what changes as long as FRR has things to say that it had not said yet."""
        return len(self.rib), sum(map(len, self.records.values())), self.stale

    # -- the bus --------------------------------------------------------------------------

    def repeat(self) -> None:
        """A new subscriber: everything is to be said again."""
        self._synced = False
        self._told = None
        self.rib.repeat()
        for records in self.records.values():
            records.repeat()

    def flush(self) -> None:
        """Say what there is to say, as far as the subscriber's credit goes."""
        if self._links_changed:  # once for all the links of a dump or a burst
            self._links_changed = False
            self.handles.retry()
        if not self._bus.subscribed:
            return
        self._tell_session()
        changes = self._changes()
        while self._bus.credit > 0:
            batch = next(changes, None)
            if batch is None:
                self._tell_synced()
                return
            self._bus.send(events.Changed(batch))

    def _changes(self) -> Iterator[RouteBatch | RecordBatch]:
        for records in self.records.values():
            yield from records.take(RECORDS_IN_BATCH)
        yield from self.rib.take(self.overlay.vrfs(), ROUTES_IN_BATCH, self.handles)

    def _tell_session(self) -> None:
        now = events.SessionChanged(
            number=self.session.number,
            state=self.session.state,
            reason="; ".join(filter(None, (self.reason, self.trouble))),
            stale_after=self.stale_after,
            acknowledge=self.acknowledge,
        )
        if now != self._told:
            self._told = now
            self._bus.send(now)

    def _tell_synced(self) -> None:
        if self.session.state is State.LIVE and not self._synced and self._whole():
            self._synced = True
            self._bus.send(events.Synced())

    # -- inside ---------------------------------------------------------------------------

    def _obeying(self) -> bool:
        return self.session.obeying and not self._doubt()

    def _sweep(self) -> None:
        rows = self.rib.sweep(self.session.number)
        for segment in self._shrunk.values():
            self.records[Kind.ETHERNET_SEGMENT].shrink(segment)
        self._shrunk.clear()
        rows += sum(records.sweep() for records in self.records.values())
        self._ended_tables -= self.overlay.vrfs().keys()
        log.info("swept %d rows that nobody repeated", rows)
        self._forgotten = True

    def _want(self, record: Record) -> None:
        if isinstance(record, EthernetSegment):
            record = self._kept_whole(record)
        if self.records[record.kind].want(record) and self.check:
            self.check.wanted(record)

    def _kept_whole(self, segment: EthernetSegment) -> EthernetSegment:
        """Keep the VTEPs that a dead daemon takes out of a segment, until the sweep."""
        self._shrunk.pop(segment.id, None)
        before = self.records[Kind.ETHERNET_SEGMENT].wanted(segment.id)
        if not isinstance(before, EthernetSegment) or set(before.vteps) <= set(segment.vteps):
            return segment
        if self._obeying():
            return segment
        self._shrunk[segment.id] = segment
        return replace(segment, vteps=tuple(sorted({*before.vteps, *segment.vteps})))

    def _withdraw(self, kind: Kind, key: Key) -> None:
        self._note(self.records[kind].withdraw(key, hold=not self._obeying()))

    def _moved(self, kind: Kind, key: Key) -> None:
        self._note(self.records[kind].withdraw(key, hold=False))

    def _note(self, withdrawn: Record | None) -> None:
        if withdrawn and self.check:
            self.check.withdrawn(withdrawn)

    def _nexthop_known(self, nexthop: Nexthop) -> None:
        self._want(nexthop)
        self.rib.unpark()

    def _nexthop_failed(self, handle: int) -> None:
        """Withdraw a nexthop: its routes fail, so the datapath must not keep the old one."""
        self.records[Kind.NEXTHOP].withdraw(handle, hold=False)

    def _nexthop(self, said: ZebraNexthop) -> None:
        """The kernel's word on a nexthop: it counts."""
        if said.deleted:
            self._forget_nexthop(said.id)
            return
        if isinstance(said.nexthop, Unsupported):
            self._count(said.nexthop.error)
        self._learn_nexthop(said)
        self.handles.installed(said.id)

    def _forget_nexthop(self, identity: int) -> None:
        self.handles.forget(identity)
        self._forgotten = True

    def _learn_nexthop(self, said: ZebraNexthop) -> None:
        if said.members:
            self.handles.learn_group(said.id, said.members)
        elif said.nexthop is not None:
            self.handles.learn(said.id, said.nexthop)

    def _hint(self, said: ZebraNexthop) -> None:
        """FPM's word on a nexthop: its groups go stale, so the kernel's word is never undone."""
        if said.deleted:
            if not self.handles.in_kernel(said.id):
                self._forget_nexthop(said.id)
        elif not self.handles.explained(said.id):
            self._learn_nexthop(said)

    def _lsp(self, said: LspMessage) -> None:
        if said.deleted:
            self._withdraw(Kind.LSP, said.label)
            return
        self._want(Lsp(said.label, tuple(self._lsp_text(leg) for leg in said.nexthops)))

    def _lsp_text(self, leg: LspNexthop) -> str:
        link = self.overlay.links.get(leg.oif)
        via = f"via {ipaddress.ip_address(leg.gateway)} " if leg.gateway else ""
        labels = "/".join(map(str, leg.labels)) or "pop"
        return f"{via}dev {link.name if link else leg.oif} label {labels}"

    def _count(self, error: DecodeError) -> None:
        self.decode_errors += 1
        source = error.raw[:64].hex() or "from netlink"
        log.warning("zebra sent what cannot be forwarded: %s: %s", error, source)
