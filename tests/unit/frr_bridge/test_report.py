"""FRR's JSON, as 10.7.1 prints it, to a report; and what else it may print."""

from __future__ import annotations

import pytest

from dualpath.model.events import FrrReport
from dualpath.model.view import BgpSession, FrrVni
from frr_bridge.report import report

NOW = 5000.0

NEIGHBORS = {
    "default": {
        "192.168.1.0": {
            "remoteAs": 65000,
            "bgpState": "Established",
            "bgpTimerUpMsec": 60000,
            "bgpTimerUpEstablishedEpoch": 1763800000,
            "addressFamilyInfo": {
                "ipv4Unicast": {"acceptedPrefixCounter": 2, "sentPrefixCounter": 1},
                "l2VpnEvpn": {"acceptedPrefixCounter": 5, "sentPrefixCounter": 4},
            },
            "lastResetDueTo": "Waiting for peer OPEN",
            "peerBfdInfo": {"type": "single hop", "status": "Up", "lastUpdate": "0:00:00:07"},
        }
    },
    "red": {
        "vrfId": 7,
        "10.1.0.3": {
            "remoteAs": 64901,
            "bgpState": "Active",
            "lastResetDueTo": "No AFI/SAFI activated for peer",
        },
    },
}
VNIS = {
    "numVnis": 2,
    "100": {
        "vni": 100,
        "type": "L3",
        "tenantVrf": "red",
        "numMacs": 1,
        "numArpNd": 1,
        "numRemoteVteps": "n/a",
    },
    "110": {"vni": 110, "type": "L2", "tenantVrf": "red", "numMacs": 4, "numRemoteVteps": 1},
}
TENANTS = {"vrfs": [{"vrf": "red", "vni": 100, "state": "Up"}]}


def test_sessions_and_vnis_are_reported_in_a_fixed_order() -> None:
    found = report(NEIGHBORS, VNIS, TENANTS, NOW)
    assert found.sessions == (
        BgpSession("default", "192.168.1.0", 65000, "Established", NOW - 60, 7, 5, bfd="Up"),
        BgpSession("red", "10.1.0.3", 64901, "Active", reason="No AFI/SAFI activated for peer"),
    )
    assert found.vnis == (
        FrrVni(100, 3, "red", True, macs=1, neighbors=1),
        FrrVni(110, 2, "red", True, macs=4, vteps=1),
    )


def test_an_l3vni_that_zebra_has_down_is_down() -> None:
    down = {"vrfs": [{"vrf": "red", "vni": 100, "state": "Down"}]}
    assert [vni.up for vni in report({}, VNIS, down, NOW).vnis] == [False, True]
    assert not report({}, VNIS, {}, NOW).vnis[0].up


@pytest.mark.parametrize("odd", [None, [], "x", {"a": 1}, {"5": None}, {"vrfs": [3]}])
def test_unexpected_output_of_frr_is_left_out(odd: object) -> None:
    assert report(odd, odd, odd, NOW) == FrrReport()


def test_a_session_s_start_does_not_jitter() -> None:
    """bgpd counts whole seconds: two reports of one session differ, and each would be sent."""
    first = report(NEIGHBORS, VNIS, TENANTS, NOW)
    assert report(NEIGHBORS, VNIS, TENANTS, NOW + 1.5, first) == first
    later = report(NEIGHBORS, VNIS, TENANTS, NOW + 60, first)
    assert later.sessions[0].since == NOW, "this session came up again"


def test_the_wall_clock_is_not_reported() -> None:
    moved = {"default": {"a": {"bgpState": "Established", "bgpTimerUpEstablishedEpoch": 1}}}
    assert report(moved, {}, {}, NOW).sessions[0].since == NOW
