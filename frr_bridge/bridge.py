"""frr-bridge's state: what FRR desires, from its two feeds to the bus. No I/O.

    FPM frames        wire.columns   routes -> rib
    FPM nexthops      nexthopfeed    handles -> records
    netlink links     overlay        names, VNIs -> handles, deletedvrfs
    netlink rows      overlay        MACs, neighbors, VTEPs, floods, segments -> records
    netlink nexthops  nexthopfeed    handles -> records
                                     rib, records -> announcer -> bus

The session (`session.py`) decides whether a withdrawal is obeyed or held. The server, the watch and
the publisher call in; `flush` sends what is pending as far as the subscriber's credit goes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.nexthops import Nexthop
from dualpath.model.records import RecordBatch
from dualpath.model.routes import RouteBatch
from dualpath.netlink.message import DecodeError
from frr_bridge import labels
from frr_bridge.announcer import Announcer, Bus
from frr_bridge.deletedvrfs import DeletedVrfs
from frr_bridge.desired import DesiredRecords
from frr_bridge.handles import NexthopHandles
from frr_bridge.nexthopfeed import NexthopFeed
from frr_bridge.overlay.overlay import Overlay
from frr_bridge.recording import tape
from frr_bridge.recording.tape import Tape
from frr_bridge.rib import Rib
from frr_bridge.session import Action, Input, Session, State
from frr_bridge.wire.columns import TableRoutes, decode
from frr_bridge.wire.fpm import Frames
from frr_bridge.wire.link import LinkMessage
from frr_bridge.wire.lsp import LspMessage
from frr_bridge.wire.message import Other
from frr_bridge.wire.neighbor import NeighborMessage
from frr_bridge.wire.nexthop import ZebraNexthop
from frr_bridge.wire.offload import offload

log = logging.getLogger(__name__)

MEMBERS_IN_FLUSH = 2048  # of groups that lost an uplink: tests.bench.uplink
ROUTES_IN_BATCH = 16384
RECORDS_IN_BATCH = 512


class Bridge:
    """What FRR desires, kept in full and announced to one subscriber.

    `bgpd_died` is asked before a withdrawal is obeyed, and must answer at once: did bgpd die, or
    did zebra end its session? `answer` sends bytes to zebra. `dump_complete` reports whether FRR's
    namespace was dumped in full. `replay` ends the FPM session, so that zebra connects again and
    repeats all its routes.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        bgpd_died: Callable[[], bool],
        answer: Callable[[bytes], None],
        dump_complete: Callable[[], bool] = lambda: True,
        replay: Callable[[], None] = lambda: None,
        recording: Tape | None = None,
    ) -> None:
        self._bgpd_died = bgpd_died
        self._answer = answer
        self._dump_complete = dump_complete
        self._tape = recording or Tape()
        self._within = False  # bytes of a feed are being processed
        self.acknowledge = False  # zebra waits for acknowledgements of its routes
        self.session = Session()
        self.reason = ""  # what the session waits for
        self.trouble = ""  # why FRR's namespace cannot be read
        self.stale_after = 0.0
        self.decode_errors = 0
        self.rib = Rib()
        self.records = DesiredRecords(self._obeying)
        self.overlay = Overlay(self.records)
        self.handles = NexthopHandles(
            self.overlay.devices.resolve,
            self._nexthop_known,
            self.rib.repeat_nexthop,
            self._nexthop_failed,
        )
        self.nexthops = NexthopFeed(self.handles, self.rib, self._count)
        self._deleted_vrfs = DeletedVrfs(self.rib, self.overlay.devices, self._obeying, replay)
        self._announcer = Announcer(
            bus, session=self._session_changed, changes=self._changes, complete=self._complete
        )
        self._changed_links: set[int] = set()  # since nexthops were last resolved

    # -- the feeds ------------------------------------------------------------------------

    def receive_frames(self, frames: Frames, *, in_order: bool = True) -> None:
        """Process what zebra sent over FPM.

        `in_order` says whether every netlink message that zebra had read before was processed.
        """
        self._deleted_vrfs.fpm_ahead = not in_order
        decoded = decode(frames.buffer, frames.offsets, self.handles)
        for error in decoded.errors:
            self._count(error)
        hold = not self._obeying()
        for routes in decoded.routes:
            programmed = self.rib.learn(routes, self.session.number, hold=hold)
            if self.acknowledge and len(programmed):
                self._acknowledge(routes, programmed)
        for other in decoded.others:
            if isinstance(other, LspMessage):
                self.receive_lsp(other)
            elif isinstance(other, ZebraNexthop):
                self.nexthops.from_fpm(other)

    def receive_netlink(self, message: Other) -> None:
        """Process a message of the kernel in FRR's namespace."""
        if isinstance(message, NeighborMessage):
            if message.error:
                self._count(message.error)
            self.overlay.neighbor(message)
        elif isinstance(message, LinkMessage):
            self._changed_links |= self.overlay.link(message)
            if message.deleted:
                self._links_deleted()
            else:
                self._deleted_vrfs.created(message.vrf_table)
                if not message.carries:
                    self.nexthops.device_lost(message.index, deleted=False, cut=True)
        elif isinstance(message, ZebraNexthop) and not self.overlay.nexthop(message):
            self.nexthops.from_kernel(message)

    def receive_lsp(self, message: LspMessage) -> None:
        if message.deleted:
            self.records.withdraw(Kind.LSP, message.label)
        else:
            self.records.upsert(labels.lsp(message, self.overlay.devices.links))

    def begin_dump(self) -> None:
        """Start a dump of FRR's namespace: `end_dump` removes what it does not repeat."""
        self.overlay.begin_dump()
        self.handles.ids.begin_dump()

    def end_dump(self) -> None:
        """Withdraw what the dump did not repeat. Never call it after an incomplete dump."""
        self._changed_links |= self.overlay.end_dump()
        self.handles.ids.end_dump()
        self._links_deleted()
        self.nexthops.collectable = True

    def programmed(self, batch: RouteBatch) -> None:
        """Note what the datapath did with routes, and tell zebra; nexthop 0 is a refused row."""
        for number in self.overlay.devices.vrfs().tables(batch.vrf):
            self.rib.programmed(number, batch)
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
        """Tell zebra that routes which it repeated are programmed already."""
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

    # -- the session ----------------------------------------------------------------------

    def step(self, happened: Input) -> Action:
        """Feed the session, and sweep if that follows."""
        self._tape.mark(f"{tape.INPUT}{happened}{tape.WITHIN if self._within else ''}")
        before = self.session.state
        action = self.session.feed(happened)
        if self.session.state is not before:
            log.info("session %d: %s", self.session.number, self.session.state)
        if action is Action.SWEEP:
            self._sweep()
        return action

    @property
    def stale(self) -> int:
        """Count the rows that a sweep would withdraw."""
        return self.rib.stale(self.session.number) + self.records.held

    def progress(self) -> tuple[int, int, int]:
        """Return figures that change as long as FRR reports anything new."""
        return len(self.rib), len(self.records), self.stale

    def caught_up(self) -> None:
        """Note that every netlink message that belongs to the frames so far was processed."""
        self._tape.mark(tape.CAUGHT_UP)
        self._deleted_vrfs.fpm_ahead = False

    def collect(self) -> None:
        """Forget nexthops that zebra removed, or never had an id for, and that no route uses."""
        if not self.session.obeying:
            return
        self._tape.mark(tape.COLLECT)
        self._deleted_vrfs.withdraw()
        self.nexthops.end_kernel_routes()
        for nexthop in self.nexthops.collect():
            self.records.drop(Kind.NEXTHOP, nexthop.key)

    def _obeying(self) -> bool:
        if not self.session.obeying:
            return False
        self._within = True
        try:
            return not self._bgpd_died()
        finally:
            self._within = False

    def _sweep(self) -> None:
        rows = self.rib.sweep(self.session.number) + self.records.sweep()
        self._deleted_vrfs.swept()
        self.nexthops.collectable = True
        log.info("session %d: swept %d stale rows", self.session.number, rows)

    # -- the bus --------------------------------------------------------------------------

    def repeat(self) -> None:
        """Announce everything again: the subscriber is new."""
        self._announcer.restart()
        self.rib.repeat()
        self.records.repeat()

    def flush(self) -> bool:
        """Send what is pending, as far as the subscriber's credit goes; True to be called again."""
        if self._changed_links:  # once for all the links of a dump or a burst
            changed, self._changed_links = self._changed_links, set()
            self.handles.retry(changed)
        more = self.handles.cut(MEMBERS_IN_FLUSH)
        self._announcer.flush()
        return more

    def _changes(self) -> Iterator[RouteBatch | RecordBatch]:
        yield from self.records.changes(RECORDS_IN_BATCH)
        yield from self.rib.changes(self.overlay.devices.vrfs(), ROUTES_IN_BATCH, self.handles)

    def _session_changed(self) -> events.SessionChanged:
        return events.SessionChanged(
            number=self.session.number,
            state=self.session.state,
            reason="; ".join(filter(None, (self.reason, self.trouble))),
            stale_after=self.stale_after,
            acknowledge=self.acknowledge,
        )

    def _complete(self) -> bool:
        live = self.session.state is State.LIVE
        return live and self._dump_complete() and not self.handles.cutting

    # -- inside ---------------------------------------------------------------------------

    def _links_deleted(self) -> None:
        """Withdraw what depended on deleted devices: the kernel and zebra report little of it."""
        for link in self.overlay.devices.take_removed():
            self.nexthops.device_lost(link.index, deleted=True, cut=self._obeying())
            if link.vrf_table:
                self._deleted_vrfs.deleted(link.vrf_table)
        self._deleted_vrfs.withdraw()

    def _nexthop_known(self, nexthop: Nexthop) -> None:
        self.records.upsert(nexthop)
        self.rib.unpark()

    def _nexthop_failed(self, handle: int) -> None:
        """Withdraw a nexthop: its routes fail, so the datapath must not keep the old one."""
        self.records.drop(Kind.NEXTHOP, handle)

    def _count(self, error: DecodeError) -> None:
        self.decode_errors += 1
        source = error.raw[:64].hex() or "from netlink"
        log.warning("zebra sent something that cannot be forwarded: %s (%s)", error, source)
