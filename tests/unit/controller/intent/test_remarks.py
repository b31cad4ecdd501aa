"""A resource that FRR applies differently is accepted, and its status has a remark."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.intent.layout import Intent
from controller.node.leaving import shut
from dualpath.model.frr import BgpInstance, FrrSettings
from dualpath.model.links import Address
from frr_bridge.frr_config import render
from tests.unit.controller.intent.build import Yaml, intent, neighbor, status, underlay
from tests.unit.controller.intent.rulebook import cases, rule

MULTIHOP = [{"type": "ebgpMultiHop", "ebgpMultiHop": {"ttl": 2}}]
NET = "49.0001.0000.0000.0000.00"
STAYS_DOWN = "eth7 is not among `interfaces`, so this session stays down; did you mean eth1?"
LEFT_OUT = "neighbors[0].properties: ebgpMultiHop is left out: FRR has none for"


def devices(*names: str) -> list[Yaml]:
    return [{"type": "NetworkDevice", "networkDevice": {"interfaceName": n}} for n in names]


REMARKED: dict[str, tuple[Yaml, str]] = {
    "Neighbor.interface.known: foreign": (
        neighbor(address=None, interface="eth7"),
        f"neighbors[0].interface: {STAYS_DOWN}",
    ),
    "Neighbor.interface.known: of a link-local address": (
        neighbor(address="fe80::1", interface="eth7"),
        f"neighbors[0].interface: {STAYS_DOWN}",
    ),
    "Neighbor.address: link-local on the only link": (
        neighbor(address="fe80::1"),
        "neighbors[0].address: IPv6 link-local, taken to be on eth1, the only interface",
    ),
    "Neighbor.ebgpMultiHop: internal": (
        neighbor(asn=None, type="Internal", properties=MULTIHOP),
        f"{LEFT_OUT} an internal session",
    ),
    "Neighbor.ebgpMultiHop: our own number": (
        neighbor(asn=65001, properties=MULTIHOP),
        f"{LEFT_OUT} an internal session",
    ),
    "Neighbor.ebgpMultiHop: unnumbered": (
        neighbor(address=None, interface="eth1", properties=MULTIHOP),
        f"{LEFT_OUT} an unnumbered session",
    ),
    "Neighbor.ebgpMultiHop: link-local": (
        neighbor(address="fe80::1", interface="eth1", properties=MULTIHOP),
        f"{LEFT_OUT} a link-local session",
    ),
    "Neighbor.ebgpMultiHop: older form": (
        neighbor(asn=65001, ebgpMultiHop=True),
        f"{LEFT_OUT} an internal session",
    ),
    "Underlay.isis.interfaces: foreign": (
        underlay(isis={"baseNet": NET, "interfaces": [{"name": "eth1"}, {"name": "eth2"}]}),
        "isis.interfaces[1].name: eth2 is neither lo nor among `interfaces`, so IS-IS waits for "
        "it; did you mean eth1?",
    ),
}


@pytest.mark.parametrize("case", cases(REMARKED))
def test_adjusted_resource_is_ready_with_a_remark(case: str) -> None:
    given, remark = REMARKED[case]
    found = status(intent(given), "Underlay", "underlay")
    assert (found.ready, found.message) == (True, remark)


def test_status_contains_every_remark_of_a_resource() -> None:
    given = underlay(neighbors=[{"asn": 1, "interface": "up7"}, {"asn": 2, "interface": "up8"}])
    message = status(intent(given, mtu=1300), "Underlay", "underlay").message
    assert [part.partition(":")[0] for part in message.split("; ")] == [
        "MTU 1300 leaves 1250 bytes in the overlay",
        "IPv6 needs 1280",
        "neighbors[0].interface",
        "neighbors[1].interface",
    ]


def test_resource_applied_as_written_has_no_remark() -> None:
    given = neighbor(
        address="fe80::1",
        interface="eth1",
        properties=None,
    )
    assert status(intent(given), "Underlay", "underlay").message == ""


def frr_conf(result: Intent) -> list[str]:
    return [line.strip() for line in render(replace(result.frr, hostname="pe")).splitlines()]


@rule("Neighbor.address")
@pytest.mark.parametrize("link", ["eth1", "eth2"])
def test_link_local_neighbor_has_its_interface_in_frr_conf(link: str) -> None:
    given = underlay(
        neighbors=[{"asn": 65000, "address": "fe80::1", "interface": link}],
        interfaces=devices("eth1", "eth2"),
    )
    lines = frr_conf(intent(given))
    at = lines.index("neighbor fe80::1 remote-as 65000")
    assert lines[at + 1] == f"neighbor fe80::1 interface {link}"
    assert "neighbor fe80::1 capability extended-nexthop" in lines
    assert not [line for line in lines if "disable-connected-check" in line]


@rule("Neighbor.address")
def test_two_link_local_neighbors_may_share_an_interface() -> None:
    peers = [{"asn": 65000, "address": a, "interface": "eth1"} for a in ("fe80::1", "fe80::2")]
    found = intent(underlay(neighbors=peers))
    assert status(found, "Underlay", "underlay").ready
    assert frr_conf(found).count("neighbor fe80::2 interface eth1") == 1


@rule("Neighbor.ebgpMultiHop")
def test_multihop_ttl_that_frr_ignores_is_not_in_frr_conf() -> None:
    for given, _ in (REMARKED[key] for key in REMARKED if key.startswith("Neighbor.ebgp")):
        assert not [line for line in frr_conf(intent(given)) if "ebgp-multihop" in line]


@rule("Neighbor.interface.known", "Underlay.isis.interfaces")
def test_absent_interface_is_in_frr_conf() -> None:
    isis = {"baseNet": NET, "interfaces": [{"name": "eth7", "features": ["passive"]}]}
    given = underlay(neighbors=[{"asn": 65000, "interface": "eth7"}], isis=isis)
    lines = frr_conf(intent(given))
    assert "neighbor eth7 interface remote-as 65000" in lines
    at = lines.index("interface eth7")
    assert lines[at + 1 : at + 4] == [
        "ip router isis underlay",
        "ipv6 router isis underlay",
        "isis passive",
    ]


@rule("Neighbor.listenRange")
@pytest.mark.parametrize("everybody", ["0.0.0.0/0", "::/0"])
def test_listen_range_may_be_a_slash_0(everybody: str) -> None:
    lines = frr_conf(intent(neighbor(address=None, listenRange=everybody)))
    assert [line for line in lines if line.startswith(f"bgp listen range {everybody} ")]


def test_link_local_session_is_shut_down_with_its_own_interface_only() -> None:
    given = underlay(
        neighbors=[
            {"asn": 65000, "address": "fe80::1", "interface": "eth1"},
            {"asn": 65000, "address": "fe80::2", "interface": "eth2"},
        ],
        interfaces=devices("eth1", "eth2"),
    )
    main: BgpInstance = intent(given).frr.instances[0]
    settings = FrrSettings(instances=(main,))
    (after,) = shut(settings, {"eth1"}, [Address.parse("fe80::9/64")]).instances
    assert [n.peer for n in after.neighbors if n.shutdown] == ["fe80::1"]


@rule("Session.password")
def test_password_may_contain_non_ascii_letters() -> None:
    lines = frr_conf(intent(neighbor(password="pä€sw" + "ö" * 30)))
    assert [line for line in lines if line.startswith("neighbor 192.168.1.0 password pä€sw")]
