"""The bridge at work: sockets, timers and FRR's daemons around the state in `bridge`."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path

from dualpath.bus.publisher import Publisher
from dualpath.model import events
from dualpath.model.frr import FrrSettings, from_json
from dualpath.model.records import RecordBatch
from dualpath.model.words import counted
from dualpath.process.lifetime import end_with
from dualpath.rpc.peers import owner_of_peer
from frr_bridge import convergence, frr_version, report
from frr_bridge.belief import WAITING, Belief
from frr_bridge.bridge import Bridge
from frr_bridge.check import Check
from frr_bridge.frr_apply import Applied, FrrApply
from frr_bridge.frr_config import render
from frr_bridge.mirror import ShadowMirror
from frr_bridge.replay import ReplayWatch
from frr_bridge.rights import Rights, ours
from frr_bridge.server import Caller, FpmServer
from frr_bridge.session import Action, Input, State
from frr_bridge.vty import NotJson, Vty, VtyError
from frr_bridge.watch import Watch
from frr_bridge.wire.fpm import Frames
from frr_bridge.wire.message import Other

log = logging.getLogger(__name__)

_TICK_S = 0.25
_ALIVE_S = 1.0
_COLLECT_S = 5.0
_BUS_S = 0.5
_ROOT = 0  # of the machine: it may do anything anyway, and some run FRR by it
_REPLAY_LIMIT_S = 60.0
_REPORT_S = 5.0
_PEERS_S = 2.0
_CHECK_S = 600.0
_CHECKS = 3  # dumps for one check, while notifications are lost in between
_SHARE = 10  # rest so many times as long as FRR took to answer: of hundreds of peers it has MBs
_ACKNOWLEDGE = b"--asic-offload=notify_on_offload"


@dataclass(frozen=True, slots=True)
class Settings:
    """How one bridge is set up."""

    fpm_host: str
    fpm_port: int
    bus: str  # ipc://PATH
    run_dir: Path  # where FRR's daemons have their vty sockets
    hold_s: float  # how long what a dead daemon withdrew is kept; 0 obeys at once
    rights: Callable[[], Rights] = ours  # that FRR's daemons have
    lock: Callable[[], bool] = lambda: False  # locks again a file that somebody removed
    on_ready: Callable[[], None] = lambda: None  # called once zebra and the controller can connect


class Runtime:
    """One bridge, from its start to its end."""

    def __init__(self, settings: Settings, frr: FrrApply) -> None:
        self._settings = settings
        self._frr = frr
        self._zebra = Vty(settings.run_dir / "zebra.vty", settings.rights)
        self._bgpd = Vty(settings.run_dir / "bgpd.vty", settings.rights)
        self._publisher = Publisher(self._from_controller)
        self.bridge = Bridge(
            self._publisher,
            bgpd_died=self._bgpd_died,
            answer=self._answer,
            dump_complete=lambda: self._watch.whole,
            replay=self._ask_again,
        )
        self._mirror = ShadowMirror(self.bridge.overlay)
        self._server = FpmServer(
            on_connected=self._zebra_connected,
            on_frames=self._frames,
            on_lost=self._zebra_lost,
            who=self._who,
        )
        self._watch = Watch(
            on_begin=self.bridge.begin_dump,
            on_message=self._netlink,
            on_end=self._dumped,
            on_trouble=self._trouble,
        )
        self._replay = ReplayWatch(self._zebra, lambda: self._server.received)
        self._tasks: set[asyncio.Task[None]] = set()
        self._flushing = False
        self._checking = asyncio.Lock()
        self._belief = Belief(settings.hold_s)
        self._unprovisioned = False  # the controller still makes FRR's devices
        self._reported = events.FrrReport()
        self._kept = 0  # rows that the controller would let go, were we to say no more

    async def run(self) -> None:
        """Serve until cancelled. Raises OSError when the FPM port or the bus cannot be had."""
        settings = self._settings
        try:
            if self._zebra.connect():
                await self._replay.arm()
            self._bgpd.connect()
            self._server.listen(settings.fpm_host, settings.fpm_port)
            self._publisher.listen(settings.bus)  # takes the path from whoever has it: last
            log.info("FPM on %s:%d, bus on %s", settings.fpm_host, settings.fpm_port, settings.bus)
            settings.on_ready()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch.run())
                group.create_task(self._every(_TICK_S, self._tick))
                group.create_task(self._every(_ALIVE_S, self._say_alive))
                group.create_task(self._every(_BUS_S, self._keep_bus))
                group.create_task(self._every(_COLLECT_S, self._collect))
                group.create_task(self._converge())
                group.create_task(self._keep_armed())
                group.create_task(self._report())
                group.create_task(self._check_regularly())
        finally:
            self._close()

    def _close(self) -> None:
        """Close what calls us before what we would say it by."""
        self._server.close()
        self._watch.close()
        self._mirror.close()
        self._zebra.close()
        self._bgpd.close()
        self._publisher.close()

    # -- what happens ---------------------------------------------------------------------

    def _who(self, client: socket.socket) -> Caller:
        """Find out whether zebra connects: any other daemon of FRR's could be first."""
        owner = owner_of_peer(client)
        if owner is None:
            return Caller.UNKNOWN
        if owner.uid not in (self._settings.rights().uid, _ROOT):
            return Caller.OTHER
        held = self._zebra.holds(owner.inode) if self._zebra.connect() else None
        if held is None:  # zebra has no vty yet, or its descriptors are not ours to see
            return Caller.UNKNOWN
        return Caller.ZEBRA if held else Caller.OTHER

    def _zebra_connected(self) -> None:
        self._zebra.connect()
        self._bgpd.connect()
        self.bridge.acknowledge = _ACKNOWLEDGE in self._zebra.arguments()
        self.bridge.step(Input.CONNECTED)
        log.info("FPM session %d", self.bridge.session.number)
        self._belief.connected()
        self._explain()
        self._spawn(self._follow_replay(self.bridge.session.number))
        self._flush_soon()

    def _answer(self, data: bytes) -> None:
        self._server.send(data)

    def _frames(self, frames: Frames) -> None:
        self.bridge.receive_frames(frames, in_order=self._in_order())
        self._flush_soon()

    def _in_order(self) -> bool:
        return self._watch.drain() and self._watch.whole

    def _collect(self) -> None:
        if self._in_order():
            self.bridge.caught_up()
        self.bridge.collect()

    def _ask_again(self) -> None:
        asyncio.get_running_loop().call_soon(self._server.lose)  # may be in the midst of its bytes

    def _zebra_lost(self) -> None:
        log.info("FPM session %d ended", self.bridge.session.number)
        self.bridge.step(Input.LOST)
        self._belief.zebra_lost()
        self._explain()
        self._flush_soon()

    def _netlink(self, said: Other) -> None:
        self.bridge.receive_netlink(said)
        self._flush_soon()

    def _dumped(self) -> None:
        self.bridge.end_dump()
        self._flush_soon()

    def _trouble(self, reason: str) -> None:
        self.bridge.trouble = reason
        self._flush_soon()

    def _from_controller(self, event: events.FromController) -> None:
        match event:
            case events.Subscribe(_, provisions, kept):
                log.info("the controller subscribed; it keeps %d rows", kept)
                self._unprovisioned = provisions
                self._kept = kept
                self._reported = events.FrrReport()
                self.bridge.repeat()
            case events.Provisioned():
                self._unprovisioned = False
            case events.Mirror():
                self._mirror.learn(event)
            case events.Programmed(batch):
                self.bridge.programmed(batch)
            case events.Configure():
                self._spawn(self._configure(event))
            case events.Release():
                self._release()
            case events.Check():
                self._spawn(self._answer_check(event.request))
            case events.Credit():
                pass
        self._flush_soon()

    async def _configure(self, wanted: events.Configure) -> None:
        try:
            settings = from_json(wanted.settings)
            if not settings.hostname:
                settings = replace(settings, hostname=socket.gethostname())
            result = await self._apply(settings)
            done = events.Configured(
                wanted.request, result.ok, result.changed, result.message, result.section
            )
        except (OSError, ValueError) as error:
            done = events.Configured(wanted.request, False, False, str(error))
        self._publisher.send(done)

    async def _apply(self, settings: FrrSettings) -> Applied:
        """Have FRR run these settings, unless its routes could never be programmed."""
        offload = self._zebra.alive() and _ACKNOWLEDGE in self._zebra.arguments()
        if why := frr_version.stuck(await self._frr.version(), offload=offload):
            return Applied(False, False, why)
        return await self._frr.apply(render(settings), [s.text for s in settings.raw])

    async def _answer_check(self, request: int) -> None:
        self._publisher.send(events.Checked(request, *await self._check()))

    async def _check(self) -> tuple[int, tuple[RecordBatch, ...]]:
        """Dump FRR's namespace and repair what is known of it; return what differed."""
        async with self._checking:
            left = _CHECKS
            while True:
                check, dumps = await self._dump_to_check()
                left -= 1
                if dumps == 1 or not left:  # else notifications were lost, and nothing was missed
                    break
        differed, batches = check.differing()
        if stranded := check.stranded():
            log.warning(
                "%d MACs lead nowhere in FRR's namespace, such as %s: its kernel refused zebra's "
                "entry for the VXLAN device (OPERATIONS, FRR versions)",
                len(stranded),
                stranded[0].mac.hex(":"),
            )
        if missed := differed - len(stranded):
            log.warning("%d rows of FRR's namespace had been missed; repaired", missed)
        self._flush_soon()
        return differed, batches

    async def _dump_to_check(self) -> tuple[Check, int]:
        check = self.bridge.records.check = Check()
        self._watch.on_news = check.notified
        try:
            dumps = await self._watch.again()
            check.strand(self.bridge.overlay.macs.stranded())
            return check, dumps
        finally:
            self.bridge.records.check = self._watch.on_news = None

    async def _check_regularly(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_S)
            await self._check()

    def _release(self) -> None:
        log.warning("told to let go of %d rows", self.bridge.stale)
        if self.bridge.step(Input.RELEASED) is Action.SWEEP:
            self._went_live()

    # -- FRR's daemons --------------------------------------------------------------------

    def _bgpd_died(self) -> bool:
        """Look at bgpd before a withdrawal is obeyed; True once it is dead."""
        if not self._belief.mourns(self._bgpd.lives, alive=self._bgpd.alive()):
            return False
        if self.bridge.session.state is State.LIVE:
            self._belief.bgpd_died(time.monotonic())
            self._hold()
        return True

    def _hold(self) -> None:
        log.warning("%s", self._belief.reason)
        self.bridge.step(Input.DIED)
        self._explain()

    async def _follow_replay(self, session: int) -> None:
        """Wait for the end of zebra's replay, then see what FRR is worth believing."""
        try:
            async with asyncio.timeout(_REPLAY_LIMIT_S):
                how = await self._replay.finished()
        except TimeoutError:
            how = "time out"
        bridge = self.bridge
        if bridge.session.number != session or bridge.session.state is not State.REPLAYING:
            return
        log.info("session %d: replay over (%s), %d routes", session, how, len(bridge.rib))
        bridge.step(Input.REPLAYED)
        self._belief.replayed(time.monotonic(), self._zebra.life(), self._bgpd.life())
        self._explain()
        self._flush_soon()

    async def _converge(self) -> None:
        """While something is kept, look whether FRR is whole again; at most half of the time."""
        rest_s = _TICK_S
        while True:
            await asyncio.sleep(rest_s)
            if self.bridge.session.state not in WAITING:
                continue
            began = time.monotonic()
            waits = await self._waits_for()
            rest_s = max(_TICK_S, time.monotonic() - began)
            if self.bridge.session.state in WAITING:
                self._judge(waits)
                self._flush_soon()

    def _judge(self, waits: str) -> None:
        now, state = time.monotonic(), self.bridge.session.state
        happened = self._belief.verdict(now, state, waits, whole=self._watch.whole)
        if happened is Input.DIED:
            self._hold()
        elif happened:
            if happened is Input.EXPIRED:
                log.warning("waited long enough for: %s", waits)
            self._went_live(happened)
        self._explain()

    async def _waits_for(self) -> str:
        """Return what FRR still owes, or ""."""
        if not self._watch.whole:
            return "a whole dump of FRR's namespace"
        if self.bridge.rib.owed and self.bridge.session.state is State.CONVERGING:
            return f"the nexthops of {counted(self.bridge.rib.owed, 'route')}"
        if self._unprovisioned:
            return "the controller to make FRR's devices"
        if not self._bgpd.connect():
            at_stake = self._at_stake or not self._publisher.subscribed
            waits = self._belief.without_bgpd(self._bgpd.life(), at_stake=at_stake)
            return waits or self._still_talking()
        if not self._zebra.connect() and self._zebra.lives:
            return "zebra's answer"
        try:
            neighbors = await self._ask_bgpd("show bgp vrf all neighbors json")
            vnis = await self._ask_bgpd("show bgp l2vpn evpn vni json")
            configuration = await self._bgpd.command("show running-config")
        except VtyError as error:
            log.debug("%s", error)
            return self._belief.unanswered(self._bgpd.life())
        zebra, bgpd = self._zebra.life(), self._bgpd.life()
        return (
            self._belief.sessions_owe(time.monotonic(), zebra, bgpd, neighbors, configuration)
            or convergence.missing_vnis(vnis, self.bridge.overlay.devices.vnis())
            or self._still_talking()
        )

    @property
    def _at_stake(self) -> bool:
        return bool(self._kept or self.bridge.stale)

    def _still_talking(self) -> str:
        now, progress = time.monotonic(), self.bridge.progress()
        return self._belief.still_talking(now, progress, at_stake=self._at_stake)

    async def _ask_bgpd(self, line: str) -> object:
        """Return what bgpd shows; an old one without an instance says so in words: nothing."""
        try:
            return await self._bgpd.json(line)
        except NotJson:
            return {}

    async def _ask(self, daemon: Vty, line: str) -> object:
        """Return what a daemon shows; one that is not there shows nothing.

        Connecting is left to those who have to notice that it is another one.
        """
        if not daemon.alive():
            return {}
        try:
            return await daemon.json(line)
        except NotJson:
            return {}

    def _went_live(self, happened: Input | None = None) -> None:
        if happened:
            self.bridge.step(happened)
        self._belief.live(self._bgpd.life())
        self._explain()

    def _explain(self) -> None:
        self.bridge.reason = self._belief.reason
        self.bridge.stale_after = self._belief.deadline

    async def _keep_armed(self) -> None:
        """While zebra is away, get ready for its next replay; while it is here, know its peers."""
        peers_at = 0.0
        while True:
            await asyncio.sleep(_TICK_S)
            if not self._server.connected:
                if not self._replay.armed and self._zebra.connect():
                    await self._replay.arm()
            elif self.bridge.session.state is State.LIVE and time.monotonic() >= peers_at:
                began = time.monotonic()
                await self._learn_peers()
                peers_at = time.monotonic() + _rest_s(_PEERS_S, began)

    async def _learn_peers(self) -> None:
        if not self._bgpd.alive():
            return
        try:
            neighbors = await self._ask_bgpd("show bgp vrf all neighbors json")
        except VtyError:
            return
        if self.bridge.session.state is State.LIVE:
            self._belief.peers_seen(neighbors)

    async def _report(self) -> None:
        """Tell the controller of BGP sessions and VNIs, when they are not as they were."""
        rest_s = _REPORT_S
        while True:
            await asyncio.sleep(rest_s)
            began = time.monotonic()
            try:
                found = report.report(
                    await self._ask(self._bgpd, report.NEIGHBORS),
                    await self._ask(self._zebra, report.VNIS),
                    await self._ask(self._zebra, report.TENANTS),
                    time.monotonic(),
                    self._reported,
                )
            except VtyError as error:
                log.debug("%s", error)
                continue
            rest_s = _rest_s(_REPORT_S, began)
            if found != self._reported:
                self._reported = found
                self._publisher.send(found)

    # -- the loop -------------------------------------------------------------------------

    def _tick(self) -> None:
        live = not self._bgpd_died() and self.bridge.session.state is State.LIVE
        if live and self._bgpd.connect():  # one started later, or one that came back after all
            self._belief.bgpd_back()
        self._mirror.retry()
        self._flush_soon()

    def _keep_bus(self) -> None:
        """Make the bus's socket and lock again when somebody removed them."""
        try:
            again = self._publisher.renew()
            if self._settings.lock() or again:
                log.warning("%s: somebody removed it; it is there again", self._settings.bus)
        except OSError as error:
            log.warning("%s: %s; trying again", error.filename, error.strerror)

    def _say_alive(self) -> None:
        self._publisher.send(events.Alive())

    async def _every(self, period_s: float, call: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(period_s)
            call()

    def _flush_soon(self) -> None:
        """Say what changed once the loop has taken in what is there: one batch, not many."""
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        self.bridge.flush()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(end_with)


def _rest_s(period_s: float, began: float) -> float:
    return max(period_s, _SHARE * (time.monotonic() - began))
