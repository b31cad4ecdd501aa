"""The session: when FRR is obeyed, and that whatever can happen has a place in the table."""

from __future__ import annotations

import pytest

from frr_bridge.session import TRANSITIONS, Action, Input, Session, State

UNTIMED = {
    (State.IDLE, Input.LOST),  # the server loses a client only once
    (State.IDLE, Input.REPLAYED),  # these three follow a look at the state
    (State.IDLE, Input.CONVERGED),
    (State.REPLAYING, Input.CONVERGED),
    (State.CONVERGING, Input.REPLAYED),
    (State.LIVE, Input.REPLAYED),
    (State.LIVE, Input.CONVERGED),
    (State.LIVE, Input.EXPIRED),
    (State.HELD, Input.REPLAYED),
}
"""What the runtime never feeds."""


def session(*inputs: Input) -> Session:
    made = Session()
    for happened in inputs:
        made.feed(happened)
    return made


def test_whatever_can_happen_is_in_the_table() -> None:
    everything = {(state, happened) for state in State for happened in Input}
    assert everything - TRANSITIONS.keys() == UNTIMED


@pytest.mark.parametrize("state", list(State))
def test_every_state_can_be_reached(state: State) -> None:
    reached, todo = set[State](), [State.IDLE]
    while todo:
        at = todo.pop()
        if at not in reached:
            reached.add(at)
            todo += [target for (source, _), (target, _) in TRANSITIONS.items() if source is at]
    assert state in reached


def test_a_start_goes_by_replay_and_convergence_to_live() -> None:
    made = Session()
    steps = [made.feed(i) for i in (Input.CONNECTED, Input.REPLAYED, Input.CONVERGED)]
    assert steps == [Action.NEW_SESSION, Action.START_CLOCK, Action.SWEEP]
    assert (made.state, made.number, made.obeying) == (State.LIVE, 1, True)


def test_a_lost_session_keeps_forwarding() -> None:
    """Invariant 1: no way out of the session sweeps but the way to LIVE."""
    for (source, happened), (target, action) in TRANSITIONS.items():
        came_live = target is State.LIVE and source is not State.LIVE
        assert (action is Action.SWEEP) == came_live
        if happened in {Input.LOST, Input.DIED, Input.CONNECTED}:
            assert action is not Action.SWEEP


def test_only_a_live_session_is_obeyed() -> None:
    for state in State:
        made = Session()
        made.state = state
        assert made.obeying == (state is State.LIVE)


def test_every_connection_is_a_session_of_its_own() -> None:
    made = session(Input.CONNECTED, Input.CONNECTED, Input.LOST, Input.CONNECTED)
    assert made.number == 3


@pytest.mark.parametrize("end", [Input.CONVERGED, Input.EXPIRED, Input.RELEASED])
def test_dead_daemon_s_routes_are_held_until_something_ends_the_hold(end: Input) -> None:
    made = session(Input.CONNECTED, Input.REPLAYED, Input.CONVERGED, Input.DIED)
    assert not made.obeying
    assert made.feed(end) is Action.SWEEP
    assert made.obeying


def test_impossible_input_is_an_error() -> None:
    with pytest.raises(KeyError):
        Session().feed(Input.REPLAYED)
