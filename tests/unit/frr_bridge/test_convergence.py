"""What bgpd still waits for."""

from __future__ import annotations

import math
from typing import Any

import pytest

from frr_bridge.convergence import (
    START_S,
    defer_times,
    deferred,
    established,
    missing_vnis,
    older_than,
    shortest_hold_s,
    waits_for,
)


def peer(state: str = "Established", up_s: float = 60, **eor: bool) -> dict[str, Any]:
    return {
        "bgpState": state,
        "bgpTimerUpMsec": int(up_s * 1000),
        "gracefulRestartInfo": {"endOfRibRecv": eor},
    }


def waits(
    peers: Any,  # noqa: ANN401  JSON
    *,
    known: set[str] = frozenset(),  # type: ignore[assignment]
    age_s: float = 1000,
) -> str:
    return waits_for(peers, known=known, bgpd_age_s=age_s)


def test_end_of_rib_from_all_is_enough_at_once() -> None:
    peers = {"default": {"eth1": peer(up_s=0, ipv4Unicast=True, l2VpnEvpn=True)}}
    assert waits(peers) == ""


def test_one_family_that_owes_end_of_rib_is_waited_for() -> None:
    peers = {"default": {"eth1": peer(ipv4Unicast=True, l2VpnEvpn=False)}}
    assert waits(peers) == "End-of-RIB from eth1"


@pytest.mark.parametrize(("age", "waited"), [(1.0, True), (4.0, False)])
def test_a_peer_without_graceful_restart_gets_a_moment(age: float, waited: bool) -> None:
    text = waits({"default": {"eth1": peer(up_s=age)}})
    assert text == ("first updates from eth1" if waited else "")


def test_a_peer_that_was_up_before_is_waited_for() -> None:
    down = {"default": {"eth1": peer("Active")}}
    assert waits(down, known={"eth1"}) == "BGP session with eth1"
    assert waits(down) == ""


def test_a_young_bgpd_gets_time_for_all_its_peers() -> None:
    down = {"default": {"eth1": peer("Connect")}}
    assert waits(down, age_s=START_S - 1) == "BGP session with eth1"
    assert waits(down, age_s=START_S) == ""


def test_a_session_older_than_zebra_is_named() -> None:
    """bgpd gave its routes to an earlier zebra, and does not repeat them."""
    peers = {"default": {"eth1": peer(up_s=60)}, "red": {"10.1.0.2": peer(up_s=3600)}}
    assert older_than(peers, 120) == "red/10.1.0.2"
    assert older_than(peers, 30) == "eth1"
    assert older_than(peers, 3599.5) == "", "bgpd counts whole seconds"
    assert older_than(peers, float("inf")) == ""
    assert older_than({"default": {"eth1": peer("Active", up_s=60)}}, 1) == ""


@pytest.mark.parametrize("shown", [None, "never", -1, True, 1.5, []])
def test_an_uptime_that_is_none_counts_as_just_up(shown: object) -> None:
    up = {"bgpState": "Established", "bgpTimerUpMsec": shown}
    assert older_than({"default": {"eth1": up}}, 0) == ""
    assert waits({"default": {"eth1": up}}) == "first updates from eth1"


def test_the_wall_clock_is_not_looked_at() -> None:
    """bgpTimerUpEstablishedEpoch moves when the clock is set."""
    for epoch in (0, 10**10):
        up = peer(up_s=60) | {"bgpTimerUpEstablishedEpoch": epoch}
        assert older_than({"default": {"eth1": up}}, 30) == "eth1"
        assert waits({"default": {"eth1": up}}) == ""


def test_a_peer_in_a_vrf_is_named_with_it() -> None:
    peers = {"default": {"vrfId": 0}, "red": {"10.1.0.2": peer("Active"), "vrfName": "red"}}
    assert waits(peers, known={"red/10.1.0.2"}) == "BGP session with red/10.1.0.2"
    assert established(peers) == set()


def test_peers_that_are_up_are_known() -> None:
    peers = {"default": {"eth1": peer(), "eth2": peer("Idle")}, "red": {"10.1.0.2": peer()}}
    assert established(peers) == {"eth1", "red/10.1.0.2"}


@pytest.mark.parametrize("shown", [{}, [], None, "", {"default": []}, {"default": {"x": 1}}])
def test_no_peers_owe_nothing(shown: object) -> None:
    assert waits(shown) == ""
    assert established(shown) == set()


def test_a_peer_that_bgpd_has_not_read_yet_is_waited_for() -> None:
    assert waits({"default": {}}, known={"eth1"}) == "BGP session with eth1"


def test_vnis_that_bgpd_does_not_know_are_named() -> None:
    shown = {"100": {"vni": 100}, "advertiseGatewayMacip": "Disabled"}
    assert missing_vnis(shown, {100}) == ""
    assert missing_vnis(shown, {120, 100, 110}) == "bgpd to know VNI 110, 120"
    assert missing_vnis([], {100}) == "bgpd to know VNI 100"


CONFIGURATION = """\
router bgp 65001
 bgp graceful-restart
exit
!
router bgp 65001 vrf red
 bgp graceful-restart select-defer-time 0
 bgp graceful-restart
exit
!
router bgp 65001 vrf blue
 bgp graceful-restart select-defer-time 30
exit
"""


def absent(mode: str = "Restart*") -> dict[str, Any]:
    return {"bgpState": "Active", "gracefulRestartInfo": {"localGrMode": mode}}


@pytest.mark.parametrize(
    ("vrf", "age_s", "waited"),
    [
        ("default", 125, True),
        ("default", 131, False),
        ("red", 1, False),
        ("blue", 35, True),
        ("blue", 41, False),
    ],
)
def test_a_vrf_defers_for_a_peer_that_never_comes(vrf: str, age_s: float, waited: bool) -> None:
    text = deferred({vrf: {"10.1.0.3": absent()}}, CONFIGURATION, bgpd_age_s=age_s)
    assert text == (f"path selection of VRF {vrf}, which waits for 10.1.0.3" if waited else "")


def test_nothing_is_deferred_for_peers_that_are_up_or_only_help() -> None:
    up = {**absent(), "bgpState": "Established"}
    here = {"red": {"a": peer(), "b": absent("Helper*"), "c": up}}
    assert deferred(here, "", bgpd_age_s=1) == ""


def test_a_deferral_time_may_stand_outside_the_instances() -> None:
    for before in ("", CONFIGURATION):
        times = defer_times(f"{before}bgp graceful-restart select-defer-time 7\n")
        assert times == {"": 7} | ({"red": 0, "blue": 30} if before else {})


@pytest.mark.parametrize(
    ("peers", "hold_s"),
    [
        ({"a": ("Established", 9000), "b": ("Established", 180_000)}, 9.0),
        ({"a": ("Active", 9000), "b": ("Established", 180_000)}, 180.0),
        ({"a": ("Established", 0)}, math.inf),
        (
            {"a": ("Established", None), "b": ("Established", "9"), "c": ("Established", -1)},
            math.inf,
        ),
        ({}, math.inf),
    ],
)
def test_the_shortest_hold_time_is_that_of_a_session_that_is_up(
    peers: dict[str, tuple[str, object]], hold_s: float
) -> None:
    shown = {
        name: {"bgpState": state, "bgpTimerHoldTimeMsecs": held}
        for name, (state, held) in peers.items()
    }
    assert shortest_hold_s({"default": shown}) == hold_s
