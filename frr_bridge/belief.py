"""Decides whether to obey FRR's daemons: does zebra withdraw routes, or did a daemon die? Pure.

    bgpd dies             zebra withdraws all of BGP   hold for hold_s, or until bgpd is back
    bgpd hangs            its sessions expire, and it  hold from before they can expire, for hold_s
                          withdraws once it runs again or until bgpd has them again
    zebra restarts alone  bgpd repeats nothing         hold without limit, until sessions restart
    both restart          everything is repeated       wait for the sessions that were up

The decision needs no history, since the bridge may start at any point of it. zebra restarted alone
if a BGP session is older than zebra: bgpd gave that session's routes to an earlier zebra.

    zebra's process is 4 s old, eth1's session is up for 3,600 s: alone
    zebra's process is 4 s old, eth1's session is up for 2 s:     not alone

Every time is of one monotonic clock (`now` is passed in), or an age. bgpd's wall clock times
(`bgpTimerUpEstablishedEpoch`) move when the clock is set: after a forward step every session would
look younger than zebra.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from frr_bridge import convergence
from frr_bridge.session import Input, State

ALONE = "zebra was restarted without bgpd, which never repeats its routes: restart FRR as a whole"
DEAD = "bgpd died; holding its routes"
HUNG = "bgpd does not answer; holding its routes"
AWAY = "zebra is not connected"
CONVERGING = "BGP has not converged"

WAITING = frozenset({State.CONVERGING, State.HELD})

PATIENCE = 1 / 3
"""After which part of the shortest hold time of its sessions a bgpd that does not answer hangs.

bgpd is asked every two seconds, or twice in that time. A session expires when nothing was read from
it for its hold time, so after at least two thirds of that in a bgpd that stopped: the last
keepalive may be one third old then (RFC 4271, section 10).
"""


@dataclass(frozen=True, slots=True)
class Life:
    """One daemon as it is now, seen by its vty."""

    number: int = 0  # incarnation of the process, counted by the bridge; 0: none was seen yet
    alive: bool = False
    met: float = 0.0  # when the bridge first spoke with this process
    born: float | None = None  # when it started; None where the bridge cannot see its process
    traces: bool = False  # a socket file exists, with or without a listener


class Belief:
    """Decides what to hold, for how long, and when to go live. The session receives its inputs."""

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self.reason = ""
        self.deadline = 0.0  # when the hold ends; 0: never
        self.alone = False  # zebra was restarted without bgpd, as far as is known
        self.known: frozenset[str] = frozenset()  # peers that were up when FRR was last believed
        self._released = 0  # the bgpd incarnation whose hold is over
        self._asked = 0  # the bgpd incarnation for which `alone` was last decided
        self._progress: Hashable = None
        self._progress_at = 0.0
        self.patience_s = float("inf")  # until some session is up, none can expire
        self._unanswered_since = 0.0  # when the oldest question to bgpd without an answer was put
        self._waited_out = False  # the hold is over, and bgpd still hangs

    # -- what happens ---------------------------------------------------------------------

    def may_have_died(self, bgpd: int, *, alive: bool) -> bool:
        """Report whether a withdrawal may come from the death of bgpd, given its number. Cheap."""
        return bool(self._hold_s and bgpd) and not alive and bgpd != self._released

    def bgpd_died(self, now: float) -> None:
        self.reason = DEAD
        self.deadline = now + self._hold_s

    def zebra_lost(self) -> None:
        self.reason, self.deadline = AWAY, 0.0

    def connected(self) -> None:
        self.deadline = 0.0

    def replayed(self, now: float, zebra: Life, bgpd: Life) -> None:
        """Start the hold time. Until bgpd answers, one older than zebra counts as silent."""
        self.reason = CONVERGING
        self.deadline = now + (self._hold_s or convergence.START_S)
        older = None not in (zebra.born, bgpd.born) and _born(bgpd) < _born(zebra)
        self.alone = bgpd.alive and older
        self._asked = bgpd.number

    def live(self, bgpd: Life) -> None:
        """FRR is believed from now on."""
        self.reason, self.deadline, self.alone = "", 0.0, False
        self._released = 0 if bgpd.alive else bgpd.number
        self._waited_out = bool(self._unanswered_since)

    def bgpd_back(self) -> None:
        """Note that bgpd listens again while the session is LIVE: its next death counts."""
        self._released = 0

    def peers_seen(self, neighbors: Any) -> None:  # noqa: ANN401  JSON of bgpd
        self.known = frozenset(convergence.established(neighbors))
        self.patience_s = PATIENCE * convergence.shortest_hold_s(neighbors)

    # -- a bgpd that hangs ----------------------------------------------------------------

    def asked(self, now: float) -> None:
        """Note that bgpd has a question to answer."""
        self._unanswered_since = self._unanswered_since or now

    def answered(self, now: float) -> None:
        """Note that bgpd answers. What a hang did to its sessions shows only from now on."""
        if self._unanswered_since and now - self._unanswered_since > self.patience_s:
            self._progress = None
        if self.reason == HUNG:
            self.reason = CONVERGING
        self._unanswered_since, self._waited_out = 0.0, False

    def hangs(self, now: float) -> bool:
        """Report whether bgpd has not answered for so long that its sessions may expire."""
        since = self._unanswered_since
        waiting = bool(self._hold_s and since) and not self._waited_out
        return waiting and now - since > self.patience_s

    def bgpd_hung(self, now: float) -> None:
        self.reason = HUNG
        self.deadline = now + self._hold_s

    # -- what is still owed ---------------------------------------------------------------

    def without_bgpd(self, bgpd: Life, *, at_stake: bool) -> str:
        """Return "bgpd" if a bgpd that does not listen must come back first, else "".

        A bridge that starts after bgpd's death never saw that bgpd, but its socket file still
        exists.
        """
        self.alone = False
        return "bgpd" if bgpd.number or (bgpd.traces and at_stake) else ""

    def sessions_owe(
        self,
        now: float,
        zebra: Life,
        bgpd: Life,
        neighbors: Any,  # noqa: ANN401  JSON of `show bgp vrf all neighbors json`
        configuration: str,
    ) -> str:
        """Return the BGP session that FRR still waits for, or ""; decide whether zebra is alone."""
        zebra_age_s = now - _born(zebra) if zebra.number else float("inf")
        bgpd_age_s = now - (bgpd.met if bgpd.born is None else bgpd.born)
        older = convergence.older_than(neighbors, zebra_age_s)
        self.alone = bool(older)
        if older:
            return f"BGP session with {older} to start over"
        return convergence.waits_for(
            neighbors, known=self.known, bgpd_age_s=bgpd_age_s
        ) or convergence.deferred(neighbors, configuration, bgpd_age_s=bgpd_age_s)

    def unanswered(self, bgpd: Life) -> str:
        """Return what FRR owes: bgpd lives and does not answer. A new bgpd resets `alone`."""
        if bgpd.number != self._asked:
            self._asked, self.alone = bgpd.number, False
        return "bgpd to answer"

    def still_talking(self, now: float, progress: Hashable, *, at_stake: bool) -> str:
        """Return what FRR owes while it still reports something new, else ""."""
        if progress != self._progress:
            self._progress, self._progress_at = progress, now
        silence_s = convergence.SILENCE_S if at_stake else convergence.SETTLE_S
        return "FRR to finish its updates" if now - self._progress_at < silence_s else ""

    # -- what follows ---------------------------------------------------------------------

    def verdict(self, now: float, state: State, waits: str, *, whole: bool) -> Input | None:
        """Return the session's next input, given what FRR still owes.

        Without a complete dump of FRR's namespace (`whole`) nothing may be swept.
        """
        if not waits:
            return Input.CONVERGED
        if self.alone:
            if state is State.CONVERGING:
                self.reason, self.deadline = ALONE, 0.0
                return Input.DIED
            self.deadline = 0.0
        elif state is State.HELD and not self.deadline:
            self.reason = CONVERGING  # a bgpd that starts over, or that died
            self.deadline = now + (self._hold_s or convergence.START_S)
        elif self.deadline and now >= self.deadline and whole:
            return Input.EXPIRED
        if not self.alone and self.reason not in (DEAD, HUNG):
            self.reason = f"waiting for {waits}"
        return None


def _born(life: Life) -> float:
    """Return when a daemon started. If that is unknown of the first one seen, assume long ago."""
    if life.born is not None:
        return life.born
    return life.met if life.number > 1 else float("-inf")
