"""The lab tests itself, without the product: real FRR, its confinement, and its ping counters."""

import time

import pytest

from tests.lab import spines
from tests.lab.frr import Frr, Settings, Version
from tests.lab.handmade import LOCAL_MAC, HandmadePe
from tests.lab.isolation import assert_no_way_in
from tests.lab.namespaces import Namespace
from tests.lab.ping import wait_for_ping
from tests.lab.plan import L2_VNI, TENANT_VRF, Topology, pe_plans
from tests.lab.scenario import Scenario

pytestmark = pytest.mark.lab


def test_evpn_runs_through_twins_with_frr_confined(lab: Scenario) -> None:
    pe1, pe2 = _handmade_fabric(lab)

    pe1.frr.wait_for(lambda frr: _knows_prefix(frr, "10.2.0.0/24"), "the type 5 route", 60)
    pe1.frr.wait_for(lambda frr: _knows_mac(frr, f"{LOCAL_MAC}2"), "the type 2 route", 30)

    assert "10.2.0.0/24" not in pe1.forwarding.ip("route", "show", "table", "all")
    for pe in (pe1, pe2):
        assert_no_way_in(pe.frr, pe.forwarding)


def test_unconfined_frr_is_detected(lab: Scenario) -> None:
    frr = lab.frr("free", lab.namespace("free"), Settings(daemons=("mgmtd", "zebra")))
    frr.start()

    with pytest.raises(AssertionError, match="may enter other: errno 0"):
        assert_no_way_in(frr, lab.namespace("other"))


def test_killed_frr_restarts_with_its_configuration(lab: Scenario) -> None:
    namespace = lab.isolated_namespace("solo")
    frr = lab.frr("solo", namespace, Settings(zebra=("-K20",), configuration=SOLO))
    frr.start()
    before = frr.pids()

    frr.restart("bgpd")
    assert frr.pids()["zebra"] == before["zebra"]
    frr.restart()

    assert set(frr.pids()) == set(before)
    assert not set(frr.pids().values()) & set(before.values())
    assert "router bgp 65001" in frr.vtysh("show running-config")


def test_older_frr_runs_beside_the_present_one(lab: Scenario) -> None:
    settings = Settings(version=Version.BOOKWORM, configuration=SOLO)
    frr = lab.frr("old", lab.namespace("old"), settings)
    frr.start()

    assert "8.4" in frr.vtysh("show version")
    assert "mgmtd" not in frr.pids()
    assert "router bgp 65001" in frr.vtysh("show running-config")


@pytest.mark.parametrize("target", ["192.0.2.2", "2001:db8::2"])
def test_flow_counts_every_ping(lab: Scenario, target: str) -> None:
    near, _ = _two_hosts(lab)
    wait_for_ping(near, target)

    flow = lab.flow(near, target)
    time.sleep(3)
    result = flow.stop()

    assert result.lost == 0, result
    assert result.transmitted > 100, result
    assert result.longest_gap_s < 1, result


@pytest.mark.parametrize("target", ["192.0.2.2", "2001:db8::2"])
def test_flow_detects_an_interruption(lab: Scenario, target: str) -> None:
    near, far = _two_hosts(lab)
    wait_for_ping(near, target)

    flow = lab.flow(near, target)
    time.sleep(1)
    far.ip("link", "set", "eth0", "address", "02:00:00:00:00:99")
    time.sleep(0.5)
    far.ip("link", "set", "eth0", "address", FAR_MAC)
    time.sleep(1)
    result = flow.stop()

    assert 20 < result.lost < result.transmitted / 2, result
    assert 0.3 < result.longest_gap_s < 2, result


REMOTE_VTEP = "100.64.0.2"
SOLO = "hostname lab\nrouter bgp 65001\n bgp router-id 192.0.2.1\nexit\n"
FAR_MAC = "02:00:00:00:00:02"


def _handmade_fabric(lab: Scenario) -> tuple[HandmadePe, HandmadePe]:
    plans = pe_plans(Topology())
    spine = lab.namespace("spine1")
    settings = Settings(
        daemons=("mgmtd", "zebra", "bgpd"), configuration=spines.configuration(1, plans)
    )
    pe1, pe2 = (HandmadePe(lab, plan) for plan in plans)
    for pe in (pe1, pe2):
        uplink = pe.plan.uplinks[0]
        lab.link(pe.forwarding, uplink.nic, spine, uplink.spine_port)
        spine.ip("address", "add", f"{uplink.spine_address}/31", "dev", uplink.spine_port)
    lab.frr("spine1", spine, settings).start()
    for pe in (pe1, pe2):
        pe.frr.start()  # bgpd wants its configuration before VXLAN devices
        pe.make_devices()
    return pe1, pe2


def _knows_prefix(frr: Frr, prefix: str) -> bool:
    return prefix in frr.vtysh_json(f"show ip route vrf {TENANT_VRF} bgp")


def _knows_mac(frr: Frr, mac: str) -> bool:
    macs = frr.vtysh_json(f"show evpn mac vni {L2_VNI}").get("macs", {})
    found = macs.get(mac, {})
    return (found.get("type"), found.get("remoteVtep")) == ("remote", REMOTE_VTEP)


def _two_hosts(lab: Scenario) -> tuple[Namespace, Namespace]:
    near, far = lab.namespace("near"), lab.namespace("far")
    lab.link(near, "eth0", far, "eth0")
    far.ip("link", "set", "eth0", "address", FAR_MAC)
    for number, namespace in enumerate((near, far), start=1):
        namespace.ip_batch(
            f"address add 192.0.2.{number}/24 dev eth0",
            f"address add 2001:db8::{number}/64 dev eth0 nodad",
        )
    return near, far
