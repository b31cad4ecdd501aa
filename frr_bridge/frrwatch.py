"""Watches zebra and bgpd, and tells the session what their state means.

Three loops feed one `Belief`, which decides, and the session, which carries it out:

    death     Before a withdrawal is applied, look at bgpd's vty connection. The kernel closes
              it when bgpd dies, before zebra can process anything: so a dying bgpd's withdrawals
              are held, without a timer
    end       A zebra that ends on SIGTERM closes its FPM session first, and then deletes what it
              wrote to its kernel. frr-bridge may read the deletions first: look at the session too
    hang      A bgpd that does not answer in time may lose its sessions. What it withdraws when it
              runs again is held, as after its death
    replay    after zebra connects, `ReplayWatch` reports the end of its replay: CONVERGING
    converge  While something is held, ask bgpd what it still waits for. Once that is nothing,
              or the hold time is over: LIVE

While the session is LIVE, the bridge remembers the established peers. After a restart of all
daemons it knows for which sessions to wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from dualpath.model.words import counted
from frr_bridge import convergence
from frr_bridge.belief import WAITING, Belief
from frr_bridge.bridge import Bridge
from frr_bridge.replay import ReplayWatch
from frr_bridge.session import Action, Input, State
from frr_bridge.vty import NotJson, Vty, VtyError

log = logging.getLogger(__name__)

TICK_S = 0.25
_REPLAY_LIMIT_S = 60.0
_PEERS_S = 2.0
_REST = 10  # times as long as FRR took to answer: hundreds of peers give MBs of JSON


@dataclass(slots=True)
class Subscriber:
    """The fields of the controller's Subscribe."""

    provisioning: bool = False  # it still creates FRR's devices
    kept: int = 0  # rows in its datapath that a Synced removes unless they are repeated


class FrrWatch:
    """Feeds the session with events of zebra and bgpd.

    `dump_complete` reports whether FRR's namespace was dumped in full; `connected`, `ended` and
    `received` are zebra's FPM connection, whether zebra closed it already, and its bytes. `flush`
    is called after every change.
    """

    def __init__(
        self,
        bridge: Bridge,
        zebra: Vty,
        bgpd: Vty,
        subscriber: Subscriber,
        *,
        hold_s: float,
        dump_complete: Callable[[], bool],
        connected: Callable[[], bool],
        ended: Callable[[], bool],
        received: Callable[[], int],
        subscribed: Callable[[], bool],
        flush: Callable[[], None],
    ) -> None:
        self._bridge = bridge
        self._zebra = zebra
        self._bgpd = bgpd
        self._subscriber = subscriber
        self._dump_complete = dump_complete
        self._connected = connected
        self._ended = ended
        self._subscribed = subscribed
        self._flush = flush
        self._replay = ReplayWatch(zebra, received)
        self.belief = Belief(hold_s)

    async def start(self) -> None:
        """Connect to both daemons, if they run, before zebra's first FPM session starts."""
        if self._zebra.connect():
            await self._replay.arm()
        self._bgpd.connect()

    # -- the FPM session ------------------------------------------------------------------

    def fpm_connected(self) -> None:
        self._bridge.step(Input.CONNECTED)
        log.info("FPM session %d", self._bridge.session.number)
        self.belief.connected()
        self._show()

    def fpm_lost(self) -> None:
        log.info("FPM session %d ended", self._bridge.session.number)
        self._bridge.step(Input.LOST)
        self.belief.zebra_lost()
        self._show()

    async def follow_replay(self, session: int) -> None:
        """Wait for the end of zebra's replay, then start to converge."""
        try:
            async with asyncio.timeout(_REPLAY_LIMIT_S):
                how = await self._replay.finished()
        except TimeoutError:
            how = "time out"
        bridge = self._bridge
        if bridge.session.number != session or bridge.session.state is not State.REPLAYING:
            return
        log.info("session %d: replay over (%s), %d routes", session, how, len(bridge.rib))
        bridge.step(Input.REPLAYED)
        self.belief.replayed(time.monotonic(), self._zebra.life(), self._bgpd.life())
        self._show()
        self._flush()

    def release(self) -> None:
        """End the hold: the operator asked for it."""
        log.warning("the controller ends the hold: releasing %d rows", self._bridge.stale)
        if self._bridge.step(Input.RELEASED) is Action.SWEEP:
            self._live()

    # -- death ----------------------------------------------------------------------------

    def died(self) -> bool:
        """Look at both daemons before a withdrawal is applied; True once one has ended."""
        return self._zebra_ended() or self._bgpd_died()

    def _zebra_ended(self) -> bool:
        if not self._ended():
            return False
        if self._bridge.session.state is State.LIVE:  # `fpm_lost` follows
            self.belief.zebra_lost()
            self._bridge.step(Input.DIED)
            self._show()
        return True

    def _bgpd_died(self) -> bool:
        if not self.belief.may_have_died(self._bgpd.lives, alive=self._bgpd.alive()):
            return False
        if self._bridge.session.state is State.LIVE:
            self.belief.bgpd_died(time.monotonic())
            self._hold()
        return True

    def tick(self) -> None:
        """Notice bgpd's death, its silence, and its return."""
        gone = self.died() or self._bgpd_hangs()
        live = not gone and self._bridge.session.state is State.LIVE
        if live and self._bgpd.connect():  # started later, or came back after the hold
            self.belief.bgpd_back()

    def _bgpd_hangs(self) -> bool:
        now = time.monotonic()
        if self._bridge.session.state is not State.LIVE or not self.belief.hangs(now):
            return False
        self.belief.bgpd_hung(now)
        self._hold()
        return True

    def _hold(self) -> None:
        log.warning("%s", self.belief.reason)
        self._bridge.step(Input.DIED)
        self._show()

    # -- convergence ----------------------------------------------------------------------

    async def converge(self) -> None:
        """While something is held, ask what FRR still owes, for at most half of the time."""
        rest_s = TICK_S
        while True:
            await asyncio.sleep(rest_s)
            if self._bridge.session.state not in WAITING:
                continue
            began = time.monotonic()
            waits = await self.waits_for()
            rest_s = max(TICK_S, time.monotonic() - began)
            if self._bridge.session.state in WAITING:
                self._judge(waits)
                self._flush()

    def _judge(self, waits: str) -> None:
        now, state = time.monotonic(), self._bridge.session.state
        happened = self.belief.verdict(now, state, waits, whole=self._dump_complete())
        if happened is Input.DIED:
            self._hold()
        elif happened:
            if happened is Input.EXPIRED:
                log.warning("the hold time is over; no longer waiting for %s", waits)
            self._bridge.step(happened)
            self._live()
        self._show()

    async def waits_for(self) -> str:
        """Return what FRR still owes, or ""."""
        if not self._dump_complete():
            return "a complete dump of FRR's namespace"
        if self._bridge.rib.owed and self._bridge.session.state is State.CONVERGING:
            return f"the nexthops of {counted(self._bridge.rib.owed, 'route')}"
        if self._subscriber.provisioning:
            return "the controller to create FRR's devices"
        if not self._bgpd.connect():
            at_stake = self.at_stake or not self._subscribed()
            waits = self.belief.without_bgpd(self._bgpd.life(), at_stake=at_stake)
            return waits or self._still_talking()
        if not self._zebra.connect() and self._zebra.lives:
            return "zebra to answer"
        try:
            neighbors = await self._ask_bgpd("show bgp vrf all neighbors json")
            vnis = await self._ask_bgpd("show bgp l2vpn evpn vni json")
            configuration = await self._bgpd.command("show running-config")
        except VtyError as error:
            log.debug("%s", error)
            return self.belief.unanswered(self._bgpd.life())
        zebra, bgpd = self._zebra.life(), self._bgpd.life()
        return (
            self.belief.sessions_owe(time.monotonic(), zebra, bgpd, neighbors, configuration)
            or convergence.missing_vnis(vnis, self._bridge.overlay.devices.vnis())
            or self._still_talking()
        )

    @property
    def at_stake(self) -> bool:
        """Report whether going LIVE could remove anything."""
        return bool(self._subscriber.kept or self._bridge.stale)

    def _still_talking(self) -> str:
        now, progress = time.monotonic(), self._bridge.progress()
        return self.belief.still_talking(now, progress, at_stake=self.at_stake)

    async def _ask_bgpd(self, line: str) -> object:
        """Return what bgpd prints; {} from an old one without an instance, which prints text."""
        self.belief.asked(time.monotonic())
        answer: object = {}
        with contextlib.suppress(NotJson):
            answer = await self._bgpd.json(line)
        self.belief.answered(time.monotonic())
        return answer

    def _live(self) -> None:
        self.belief.live(self._bgpd.life())
        self._show()

    def _show(self) -> None:
        self._bridge.reason = self.belief.reason
        self._bridge.stale_after = self.belief.deadline

    # -- preparing for the next restart ---------------------------------------------------

    async def prepare(self) -> None:
        """While zebra is away, arm the watch of its next replay; while it is LIVE, watch bgpd."""
        asked_at = peers_at = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            if not self._connected():
                if not self._replay.armed and self._zebra.connect():
                    await self._replay.arm()
            elif self._bridge.session.state is State.LIVE and time.monotonic() >= asked_at:
                began = time.monotonic()
                if began < peers_at:
                    await self._ask_whether_it_hangs()
                elif await self._note_peers():
                    peers_at = time.monotonic() + rest_s(_PEERS_S, began)
                asked_at = time.monotonic() + question_s(self.belief.patience_s)

    async def _ask_whether_it_hangs(self) -> None:
        """Ask bgpd something that costs it nothing: the list of hundreds of peers does."""
        if self._bgpd.alive():
            with contextlib.suppress(VtyError):
                await self._ask_bgpd("show version")

    async def _note_peers(self) -> bool:
        """Remember the established peers; tell whether bgpd answered."""
        if not self._bgpd.alive():
            return False
        try:
            neighbors = await self._ask_bgpd("show bgp vrf all neighbors json")
        except VtyError:
            return False
        if self._bridge.session.state is State.LIVE:
            self.belief.peers_seen(neighbors)
        return True


def question_s(patience_s: float) -> float:
    """Return the time between two questions, so that a hang is noticed before a session expires."""
    return min(_PEERS_S, patience_s / 2)


def rest_s(period_s: float, began: float) -> float:
    """Return how long to rest after asking FRR since `began`."""
    return max(period_s, _REST * (time.monotonic() - began))
