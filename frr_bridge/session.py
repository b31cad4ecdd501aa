"""The FPM session as a transition table: when withdrawals are applied, and when they are held.

In LIVE a withdrawal is applied at once. In every other state it is noted, and the row stays: a lost
session, a replay in progress and a daemon that has just died all look like withdrawals, and must
not cost packets. Entering LIVE sweeps: it withdraws the rows that FRR has not repeated.

    zebra connects        IDLE        -> REPLAYING    count a new session
    its replay ends       REPLAYING   -> CONVERGING   start the hold time
    FRR owes nothing      CONVERGING  -> LIVE         sweep
    bgpd is killed        LIVE        -> HELD         start the hold time
    bgpd is back          HELD        -> LIVE         sweep
"""

from __future__ import annotations

from enum import StrEnum, auto


class State(StrEnum):
    IDLE = auto()  # zebra is not connected
    REPLAYING = auto()  # zebra repeats its routes
    CONVERGING = auto()  # replay over; bgpd waits for a peer, or FRR owes something else
    LIVE = auto()  # withdrawals are applied
    HELD = auto()  # a daemon died: its routes are held until it returns, or the hold time is over


class Input(StrEnum):
    CONNECTED = auto()  # zebra opened an FPM session
    LOST = auto()  # the FPM session ended
    REPLAYED = auto()  # zebra's replay is over
    CONVERGED = auto()  # bgpd has received everything from its peers, and FRR owes nothing
    DIED = auto()  # bgpd died, or zebra was restarted alone
    EXPIRED = auto()  # the hold time is over
    RELEASED = auto()  # the operator ended the hold


class Action(StrEnum):
    NONE = auto()
    NEW_SESSION = auto()  # count it; repeated rows get the new number
    START_CLOCK = auto()  # the hold time begins
    SWEEP = auto()  # withdraw rows that are held, or that were not repeated


TRANSITIONS = {
    (State.IDLE, Input.CONNECTED): (State.REPLAYING, Action.NEW_SESSION),
    (State.IDLE, Input.DIED): (State.IDLE, Action.NONE),
    (State.IDLE, Input.EXPIRED): (State.IDLE, Action.NONE),
    (State.IDLE, Input.RELEASED): (State.IDLE, Action.NONE),
    (State.REPLAYING, Input.CONNECTED): (State.REPLAYING, Action.NEW_SESSION),
    (State.REPLAYING, Input.LOST): (State.IDLE, Action.NONE),
    (State.REPLAYING, Input.DIED): (State.REPLAYING, Action.NONE),
    (State.REPLAYING, Input.REPLAYED): (State.CONVERGING, Action.START_CLOCK),
    (State.REPLAYING, Input.EXPIRED): (State.CONVERGING, Action.START_CLOCK),
    (State.REPLAYING, Input.RELEASED): (State.REPLAYING, Action.NONE),
    (State.CONVERGING, Input.CONNECTED): (State.REPLAYING, Action.NEW_SESSION),
    (State.CONVERGING, Input.LOST): (State.IDLE, Action.NONE),
    (State.CONVERGING, Input.DIED): (State.HELD, Action.START_CLOCK),
    (State.CONVERGING, Input.CONVERGED): (State.LIVE, Action.SWEEP),
    (State.CONVERGING, Input.EXPIRED): (State.LIVE, Action.SWEEP),
    (State.CONVERGING, Input.RELEASED): (State.LIVE, Action.SWEEP),
    (State.LIVE, Input.CONNECTED): (State.REPLAYING, Action.NEW_SESSION),
    (State.LIVE, Input.LOST): (State.IDLE, Action.NONE),
    (State.LIVE, Input.DIED): (State.HELD, Action.START_CLOCK),
    (State.LIVE, Input.RELEASED): (State.LIVE, Action.NONE),
    (State.HELD, Input.CONNECTED): (State.REPLAYING, Action.NEW_SESSION),
    (State.HELD, Input.LOST): (State.IDLE, Action.NONE),
    (State.HELD, Input.DIED): (State.HELD, Action.START_CLOCK),
    (State.HELD, Input.CONVERGED): (State.LIVE, Action.SWEEP),
    (State.HELD, Input.EXPIRED): (State.LIVE, Action.SWEEP),
    (State.HELD, Input.RELEASED): (State.LIVE, Action.SWEEP),
}


_WAY = (Input.CONNECTED, Input.REPLAYED, Input.CONVERGED, Input.DIED)
_STEPS = (State.IDLE, State.REPLAYING, State.CONVERGING, State.LIVE, State.HELD)


def reached(state: State) -> tuple[Input, ...]:
    """Return inputs that lead from IDLE to a state."""
    return _WAY[: _STEPS.index(state)]


class Session:
    """The state of the session. `feed` it inputs; the caller carries out the returned action."""

    def __init__(self) -> None:
        self.state = State.IDLE
        self.number = 0

    @property
    def obeying(self) -> bool:
        """Whether a withdrawal is applied at once."""
        return self.state is State.LIVE

    def feed(self, happened: Input) -> Action:
        """Take a step. Raises KeyError for an input that is impossible in this state: a bug."""
        self.state, action = TRANSITIONS[self.state, happened]
        if action is Action.NEW_SESSION:
            self.number += 1
        return action
