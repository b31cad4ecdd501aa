"""The FPM session as a transition table: when FRR is to be obeyed, and when to wait.

In LIVE a withdrawal is obeyed at once. In every other state it is noted and what it is about
stays, because a session that is lost, a replay that is under way and a daemon that has just died
all look like withdrawals, and packets must not pay for them. Coming to LIVE sweeps: what nobody
has repeated by then goes.
"""

from __future__ import annotations

from enum import StrEnum, auto


class State(StrEnum):
    IDLE = auto()  # zebra is not connected
    REPLAYING = auto()  # zebra tells what it has
    CONVERGING = auto()  # told; bgpd has not heard from all its peers, or something is owed
    LIVE = auto()  # FRR means what it says
    HELD = auto()  # a daemon died: what it withdrew is kept until it is back, or for so long


class Input(StrEnum):
    CONNECTED = auto()  # zebra opened an FPM session
    LOST = auto()  # the FPM session ended
    REPLAYED = auto()  # zebra's replay is over
    CONVERGED = auto()  # every peer of bgpd has said all, and nothing is owed
    DIED = auto()  # bgpd died, or zebra was restarted alone
    EXPIRED = auto()  # waited for as long as configured
    RELEASED = auto()  # a person said to let go


class Action(StrEnum):
    NONE = auto()
    NEW_SESSION = auto()  # count; what is repeated gets the new number
    START_CLOCK = auto()  # from now on, wait for so long at the most
    SWEEP = auto()  # withdraw what was held or not repeated


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


class Session:
    """Where the session stands. `feed` it what happens; the caller carries out the action."""

    def __init__(self) -> None:
        self.state = State.IDLE
        self.number = 0

    @property
    def obeying(self) -> bool:
        """Whether a withdrawal is to be carried out at once."""
        return self.state is State.LIVE

    def feed(self, happened: Input) -> Action:
        """Take a step. Raises KeyError on what cannot happen here: a bug of the caller."""
        self.state, action = TRANSITIONS[self.state, happened]
        if action is Action.NEW_SESSION:
            self.number += 1
        return action
