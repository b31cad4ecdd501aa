"""When FRR is believed, from every state in which the bridge may have started."""

from __future__ import annotations

from typing import Any

import pytest

from frr_bridge.belief import ALONE, CONVERGING, DEAD, HUNG, PATIENCE, Belief, Life
from frr_bridge.convergence import SETTLE_S, SILENCE_S, START_S
from frr_bridge.frrwatch import TICK_S, question_s
from frr_bridge.session import Input, State

HOLD_S = 150.0
NOW = 10_000.0
OLD = Life(1, True, met=NOW - 3600, born=NOW - 7200)
YOUNG = Life(1, True, met=NOW - 4, born=NOW - 5)
UNSEEN = Life(1, True, met=NOW - 4)  # in another process namespace
DEAD_BGPD = Life(1, False, met=NOW - 3600, born=NOW - 7200)
NEVER = Life()
GONE = Life(traces=True)


def session(up_s: float) -> dict[str, Any]:
    received = {"endOfRibRecv": {"ipv4Unicast": True}}
    return {
        "bgpState": "Established",
        "bgpTimerUpMsec": int(up_s * 1000),
        "gracefulRestartInfo": received,
    }


def peers(*up_s: float) -> dict[str, Any]:
    return {"default": {f"eth{i}": session(one) for i, one in enumerate(up_s, 1)}}


def belief(zebra: Life = OLD, bgpd: Life = OLD, hold_s: float = HOLD_S) -> Belief:
    """Return the belief at the end of a replay."""
    made = Belief(hold_s)
    made.replayed(NOW, zebra, bgpd)
    return made


def judge(
    made: Belief, waits: str, now: float = NOW, state: State = State.CONVERGING, whole: bool = True
) -> Input | None:
    return made.verdict(now, state, waits, whole=whole)


# -- lone zebra ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zebra", "bgpd", "up_s", "alone"),
    [
        pytest.param(YOUNG, OLD, 3600, True, id="zebra died before the bridge was first live"),
        pytest.param(YOUNG, OLD, 2, False, id="zebra died, and sessions started over"),
        pytest.param(YOUNG, YOUNG, 2, False, id="FRR was restarted as a whole"),
        pytest.param(OLD, OLD, 3600, False, id="the bridge alone was restarted"),
        pytest.param(OLD, YOUNG, 2, False, id="bgpd alone was restarted"),
        pytest.param(UNSEEN, OLD, 3600, False, id="a first zebra out of sight was always there"),
        pytest.param(Life(2, True, NOW - 4), OLD, 3600, True, id="a second one out of sight"),
        pytest.param(Life(2, True, NOW - 4), OLD, 2, False, id="and sessions started over"),
        pytest.param(NEVER, OLD, 3600, False, id="zebra's vty is out of reach"),
        pytest.param(OLD, Life(1, True, NOW), 3600, False, id="bgpd's process is out of sight"),
        pytest.param(YOUNG, Life(1, True, NOW), 3600, True, id="only zebra's is in sight"),
    ],
)
def test_a_session_older_than_zebra_makes_it_alone(
    zebra: Life, bgpd: Life, up_s: float, alone: bool
) -> None:
    made = belief(zebra, bgpd)
    owed = made.sessions_owe(NOW, zebra, bgpd, peers(2, up_s), "")
    assert made.alone is alone
    assert owed == ("BGP session with eth2 to start over" if alone else "")
    assert judge(made, owed) is (Input.DIED if alone else Input.CONVERGED)
    assert (made.reason == ALONE) is alone


def test_a_lone_zebra_is_held_without_limit() -> None:
    made = belief(YOUNG, OLD)
    owed = made.sessions_owe(NOW, YOUNG, OLD, peers(3600), "")
    assert judge(made, owed) is Input.DIED
    later = NOW + 100 * HOLD_S
    owed = made.sessions_owe(later, YOUNG, OLD, peers(3600 + 100 * HOLD_S), "")
    assert judge(made, owed, later, State.HELD) is None
    assert (made.reason, made.deadline) == (ALONE, 0.0)


def test_a_lone_zebra_is_believed_once_every_session_started_over() -> None:
    made = belief(YOUNG, OLD)
    judge(made, made.sessions_owe(NOW, YOUNG, OLD, peers(3600, 3600), ""))
    for up, owes in ((peers(1, 3610), "eth2"), (peers(11, 1), "")):
        owed = made.sessions_owe(NOW + 10, YOUNG, OLD, up, "")
        assert (owes in owed) if owes else not owed
    assert judge(made, "", NOW + 10, State.HELD) is Input.CONVERGED


def test_a_lone_zebra_whose_bgpd_dies_is_held_for_the_hold_time() -> None:
    made = belief(YOUNG, OLD)
    judge(made, made.sessions_owe(NOW, YOUNG, OLD, peers(3600), ""))
    assert made.without_bgpd(DEAD_BGPD, at_stake=False) == "bgpd"
    assert judge(made, "bgpd", NOW + 10, State.HELD) is None
    assert made.deadline == NOW + 10 + HOLD_S
    assert judge(made, "bgpd", NOW + 9 + HOLD_S, State.HELD) is None
    assert judge(made, "bgpd", NOW + 10 + HOLD_S, State.HELD) is Input.EXPIRED


def test_a_silent_bgpd_that_is_older_than_zebra_is_not_waited_out() -> None:
    made = belief(YOUNG, OLD)
    owed = made.unanswered(OLD)
    assert judge(made, owed, NOW + 10 * HOLD_S) is Input.DIED
    assert made.reason == ALONE


def test_a_silent_bgpd_that_is_younger_than_zebra_is_waited_for_in_vain() -> None:
    made = belief(OLD, YOUNG)
    assert judge(made, made.unanswered(YOUNG), NOW + HOLD_S) is Input.EXPIRED


def test_a_new_bgpd_that_does_not_answer_yet_is_none_that_was_silent() -> None:
    made = belief(YOUNG, OLD)
    assert judge(made, made.unanswered(Life(2, True, NOW, NOW))) is None
    assert not made.alone


# -- a dead bgpd -----------------------------------------------------------------------------


def test_a_dead_bgpd_is_mourned_once() -> None:
    made = Belief(HOLD_S)
    assert not made.may_have_died(1, alive=True)
    assert made.may_have_died(1, alive=False)
    made.live(DEAD_BGPD)
    assert not made.may_have_died(1, alive=False), "its withdrawals were waited for long enough"
    assert made.may_have_died(2, alive=False)


def test_the_death_of_a_bgpd_that_came_back_counts_again() -> None:
    made = Belief(HOLD_S)
    made.live(DEAD_BGPD)
    made.bgpd_back()
    assert made.may_have_died(1, alive=False)


def test_live_with_a_living_bgpd_notices_its_next_death() -> None:
    made = Belief(HOLD_S)
    made.live(OLD)
    assert made.may_have_died(1, alive=False)
    assert (made.reason, made.deadline, made.alone) == ("", 0.0, False)


def test_without_hold_time_or_bgpd_no_death_is_noticed() -> None:
    assert not Belief(0).may_have_died(1, alive=False)
    assert not Belief(HOLD_S).may_have_died(0, alive=False)


def test_dead_bgpd_s_routes_are_held_for_the_hold_time() -> None:
    made = Belief(HOLD_S)
    made.bgpd_died(NOW)
    assert (made.reason, made.deadline) == (DEAD, NOW + HOLD_S)
    assert judge(made, "bgpd", NOW + HOLD_S - 1, State.HELD) is None
    assert made.reason == DEAD
    assert judge(made, "bgpd", NOW + HOLD_S, State.HELD) is Input.EXPIRED


@pytest.mark.parametrize(
    ("bgpd", "at_stake", "owed"),
    [
        pytest.param(DEAD_BGPD, False, "bgpd", id="it was met"),
        pytest.param(GONE, True, "bgpd", id="it died before the bridge started: mid-hold"),
        pytest.param(GONE, False, "", id="an old socket file, and nothing to lose"),
        pytest.param(NEVER, True, "", id="FRR runs without it"),
    ],
)
def test_known_bgpd_that_does_not_listen_is_waited_for(
    bgpd: Life, at_stake: bool, owed: str
) -> None:
    assert belief().without_bgpd(bgpd, at_stake=at_stake) == owed


# -- a bgpd that hangs -----------------------------------------------------------------------

BGP_HOLD_S = 9.0
PATIENCE_S = PATIENCE * BGP_HOLD_S


def believed(hold_s: float = HOLD_S) -> Belief:
    """Return the belief in LIVE, with a session that expires after 9 s."""
    made = Belief(hold_s)
    up = session(60) | {"bgpTimerHoldTimeMsecs": int(BGP_HOLD_S * 1000)}
    made.peers_seen({"default": {"eth1": up}})
    return made


@pytest.mark.parametrize("hold_s", [3, 9, 180])
def test_a_hang_is_noticed_before_a_session_can_expire(hold_s: float) -> None:
    """Questions come often enough, also for the shortest hold time of RFC 4271."""
    patience_s = PATIENCE * hold_s
    noticed_s = question_s(patience_s) + TICK_S + patience_s + TICK_S
    assert noticed_s <= hold_s * 2 / 3


def test_a_bgpd_that_does_not_answer_hangs_before_its_sessions_can_expire() -> None:
    made = believed()
    made.asked(NOW)
    made.asked(NOW + 2)  # by somebody else: the first question counts
    assert not made.hangs(NOW + PATIENCE_S)
    assert made.hangs(NOW + PATIENCE_S + 0.1)
    assert PATIENCE_S + 2 < BGP_HOLD_S * 2 / 3
    made.answered(NOW + PATIENCE_S + 0.2)
    assert not made.hangs(NOW + HOLD_S)


def test_a_bgpd_without_sessions_or_a_hold_of_zero_does_not_hang() -> None:
    for made in (Belief(HOLD_S), believed(hold_s=0)):
        made.asked(NOW)
        assert not made.hangs(NOW + HOLD_S)


def test_a_hung_bgpd_is_waited_for_until_its_sessions_are_back() -> None:
    made = believed()
    made.asked(NOW)
    made.bgpd_hung(NOW + 4)
    assert judge(made, made.unanswered(OLD), NOW + 15, State.HELD) is None
    assert (made.reason, made.deadline) == (HUNG, NOW + 4 + HOLD_S)
    made.answered(NOW + 20)
    down = {"default": {"eth1": {"bgpState": "Active"}}}
    owed = made.sessions_owe(NOW + 20, OLD, OLD, down, "")
    assert judge(made, owed, NOW + 20, State.HELD) is None
    assert made.reason == "waiting for BGP session with eth1"
    assert judge(made, "", NOW + 30, State.HELD) is Input.CONVERGED


def test_the_silence_of_a_hung_bgpd_is_none_that_was_waited_for() -> None:
    """It may answer before it looks at its timers: its sessions seem to be up."""
    made = believed()
    assert made.still_talking(NOW, 1, at_stake=False)
    made.asked(NOW)
    made.answered(NOW + 20)
    assert made.still_talking(NOW + 20, 1, at_stake=False)
    assert not made.still_talking(NOW + 20 + SETTLE_S, 1, at_stake=False)


def test_a_hold_for_a_bgpd_that_still_hangs_does_not_start_again() -> None:
    made = believed()
    made.asked(NOW)
    made.bgpd_hung(NOW + 4)
    assert judge(made, made.unanswered(OLD), NOW + 4 + HOLD_S, State.HELD) is Input.EXPIRED
    made.live(OLD)
    made.asked(NOW + 160)
    assert not made.hangs(NOW + 10 * HOLD_S)
    made.answered(NOW + 10 * HOLD_S)
    made.asked(NOW + 11 * HOLD_S)
    assert made.hangs(NOW + 12 * HOLD_S), "its next hang counts"


# -- waiting ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("hold_s", "wait_s"), [(HOLD_S, HOLD_S), (0, START_S)])
def test_a_replay_is_waited_for_so_long(hold_s: float, wait_s: float) -> None:
    made = belief(hold_s=hold_s)
    assert (made.reason, made.deadline) == (CONVERGING, NOW + wait_s)
    assert judge(made, "eth1", NOW + wait_s - 1) is None
    assert made.reason == "waiting for eth1"
    assert judge(made, "eth1", NOW + wait_s) is Input.EXPIRED


def test_nothing_expires_while_frr_s_namespace_is_not_known() -> None:
    assert judge(belief(), "a dump", NOW + 2 * HOLD_S, whole=False) is None


def test_a_new_session_and_a_lost_one_have_no_deadline() -> None:
    made = belief()
    made.connected()
    assert made.deadline == 0.0
    made = belief()
    made.zebra_lost()
    assert (made.deadline, made.reason) == (0.0, "zebra is not connected")


def test_peers_that_were_up_are_waited_for() -> None:
    made = belief()
    down = {"default": {"eth1": {"bgpState": "Active"}}}
    assert made.sessions_owe(NOW, OLD, OLD, down, "") == ""
    made.peers_seen(peers(60))
    assert made.sessions_owe(NOW, OLD, OLD, down, "") == "BGP session with eth1"


@pytest.mark.parametrize(
    ("bgpd", "owed"),
    [
        (OLD, ""),
        (YOUNG, "BGP session with eth1"),
        (Life(1, True, met=NOW - 4), "BGP session with eth1"),
        (Life(1, True, met=NOW - 4, born=NOW - 60), ""),
    ],
)
def test_a_young_bgpd_gets_time_for_its_peers_by_its_own_age(bgpd: Life, owed: str) -> None:
    """Not by the bridge's: that may have come later, or have been restarted."""
    down = {"default": {"eth1": {"bgpState": "Connect"}}}
    assert belief().sessions_owe(NOW, OLD, bgpd, down, "") == owed


def test_a_deferred_selection_is_waited_for() -> None:
    away = {"bgpState": "Active", "gracefulRestartInfo": {"localGrMode": "Restart*"}}
    owed = belief().sessions_owe(NOW, OLD, Life(1, True, NOW, NOW - 60), {"red": {"a": away}}, "")
    assert owed == "path selection of VRF red, which waits for a"


@pytest.mark.parametrize(("at_stake", "silence_s"), [(True, SILENCE_S), (False, SETTLE_S)])
def test_frr_has_to_fall_silent(at_stake: bool, silence_s: float) -> None:
    made = Belief(HOLD_S)
    assert made.still_talking(NOW, 1, at_stake=at_stake)
    assert made.still_talking(NOW + silence_s - 0.1, 1, at_stake=at_stake)
    assert not made.still_talking(NOW + silence_s, 1, at_stake=at_stake)
    assert made.still_talking(NOW + silence_s, 2, at_stake=at_stake)


def test_dead_bgpd_makes_no_zebra_alone() -> None:
    assert belief(YOUNG, OLD).alone
    assert not belief(YOUNG, DEAD_BGPD).alone


def test_zebra_that_is_alone_ends_the_deadline_of_a_dead_bgpd() -> None:
    made = belief(YOUNG, OLD)
    made.bgpd_died(NOW)
    assert made.alone
    assert judge(made, "a session to start over", state=State.HELD) is None
    assert made.deadline == 0.0
