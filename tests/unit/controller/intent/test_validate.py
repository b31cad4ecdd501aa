"""Rules between resources: which one is rejected and why, and that no other is affected."""

from __future__ import annotations

import re
from typing import Any

import pytest

from controller.intent.layout import Intent
from tests.unit.controller.intent.build import (
    Yaml,
    intent,
    manifest,
    session,
    status,
    underlay,
)
from tests.unit.controller.intent.rulebook import cases, rule


def l3vni(name: str, **changes: Any) -> Yaml:  # noqa: ANN401
    return manifest("L3VNI", name, **changes)


def l2vni(name: str, **changes: Any) -> Yaml:  # noqa: ANN401
    return manifest("L2VNI", name, **changes)


RED = l3vni("red")
OTHER_SESSION = session(localCIDR={"ipv4": "10.101.0.0/24"})
DETACHED = {"routingDomain": None, "gatewayIPs": None}

# The last manifest is invalid; those before it must compile as if it were absent.
BROKEN: dict[str, tuple[list[Yaml], str, str]] = {
    "Underlay.one: two": (
        [underlay(), manifest("Underlay", "other")],
        "ValidationFailed",
        "a node can have one Underlay only, and this node has underlay",
    ),
    "VNI.underlay: none": ([RED], "DependencyFailed", "this node has no Underlay"),
    "L3Passthrough.underlay: none": (
        [manifest("L3Passthrough", "p")],
        "DependencyFailed",
        "this node has no Underlay",
    ),
    "VNI.tunnelEndpoint: none": (
        [underlay(tunnelEndpoint=None), RED],
        "DependencyFailed",
        "the Underlay has no tunnelEndpoint",
    ),
    "VNI.tunnelEndpoint: none, l2": (
        [underlay(tunnelEndpoint=None), l2vni("s", **DETACHED)],
        "DependencyFailed",
        "the Underlay has no tunnelEndpoint",
    ),
    "VNI.tunnelEndpoint: no such family": (
        [underlay(), l3vni("red", underlayAddressFamily="IPv6")],
        "DependencyFailed",
        "tunnelEndpoint has no IPv6 CIDR",
    ),
    "VNI.vni.unique: two L3VNIs": (
        [underlay(), RED, l3vni("blue", vrf="blue", hostSession=None)],
        "ValidationFailed",
        "VNI 100 is already used by L3VNI red",
    ),
    "VNI.vni.unique: L3VNI and L2VNI": (
        [underlay(), RED, l2vni("s", vni=100)],
        "ValidationFailed",
        "VNI 100 is already used by L3VNI red",
    ),
    "L3VNI.vrf.unique: twice": (
        [underlay(), RED, l3vni("blue", vni=200, hostSession=None)],
        "ValidationFailed",
        "VRF red is already used by L3VNI red",
    ),
    "L3VNI.vrf.free: a nic": (
        [underlay(), l3vni("eth1", vrf="eth1")],
        "ValidationFailed",
        "a VRF cannot be called eth1",
    ),
    "L3VNI.vrf.free: default": (
        [underlay(), l3vni("default", vrf="default")],
        "ValidationFailed",
        "a VRF cannot be called default",
    ),
    "L3VNI.vrf.free: a bridge": (
        [underlay(), l3vni("b", vrf="br100")],
        "ValidationFailed",
        "a VRF cannot be called br100",
    ),
    "HostSession.localCIDR.distinct: L3VNIs": (
        [underlay(), RED, l3vni("blue", vrf="blue", vni=200)],
        "ValidationFailed",
        "localCIDR 10.100.0.0/24 overlaps 10.100.0.0/24 of L3VNI red",
    ),
    "HostSession.localCIDR.distinct: passthrough": (
        [
            underlay(),
            manifest("L3Passthrough", "p"),
            l3vni("red", hostSession=session(localCIDR={"ipv4": "10.200.0.128/25"})),
        ],
        "ValidationFailed",
        "localCIDR 10.200.0.128/25 overlaps 10.200.0.0/24 of L3Passthrough p",
    ),
    "L3Passthrough.one: two": (
        [underlay(), manifest("L3Passthrough", "p"), manifest("L3Passthrough", "q")],
        "ValidationFailed",
        "a node can have one L3Passthrough only, and this node has p",
    ),
    "L3Passthrough.asn: another": (
        [underlay(asn=65002), manifest("L3Passthrough", "p")],
        "ValidationFailed",
        "hostSession.asn 65001 is not the Underlay's 65002, in whose instance the session is",
    ),
    "HostSession.localCIDR.size: /30": (
        [underlay(), l3vni("red", hostSession=session(localCIDR={"ipv4": "10.0.0.0/30"}))],
        "ValidationFailed",
        "hostSession.localCIDR 10.0.0.0/30 has no host address for node index 1",
    ),
    "Underlay.tunnelEndpoint.size: /32": (
        [underlay(tunnelEndpoint={"cidrs": ["100.64.0.0/32"]})],
        "ValidationFailed",
        "tunnelEndpoint.cidrs 100.64.0.0/32 has no address number 1",
    ),
    "Underlay.routerIDCIDR.size: /31": (
        [underlay(routerIDCIDR="10.0.0.0/31")],
        "ValidationFailed",
        "routerIDCIDR 10.0.0.0/31 has no address number 2",
    ),
    "L2VNI.routingDomain.missing: by name": (
        [underlay(), l2vni("s")],
        "DependencyFailed",
        "routingDomain L3VNI red is missing, rejected or not on this node",
    ),
    "VRF.subnets.distinct: host": (
        [underlay(), RED, l2vni("s", gatewayIPs=["10.100.0.1/16"])],
        "ValidationFailed",
        "gateway 10.100.0.1/16 overlaps 10.100.0.0/24 of L3VNI red in the same VRF",
    ),
    "VRF.subnets.distinct: gateway": (
        [underlay(), RED, l2vni("s"), l2vni("t", vni=111)],
        "ValidationFailed",
        "gateway 10.110.0.1/24 overlaps 10.110.0.0/24 of L2VNI s in the same VRF",
    ),
}


RESERVED = (
    *("all", "default", "lo", "pt-ns", "pt-host", "cp-eth1", "ac100"),
    *("br100", "br-hs-110", "vx100", "pe-e-100", "host-e-100"),
)


@rule("L3VNI.vrf.free", "Underlay.interfaceName.free")
@pytest.mark.parametrize("name", RESERVED)
def test_reserved_name_is_rejected_for_a_vrf_and_a_nic(name: str) -> None:
    nic = {"type": "NetworkDevice", "networkDevice": {"interfaceName": name}}
    bad = status(intent(underlay(interfaces=[nic])), "Underlay", "underlay")
    assert f": an interface cannot be called {name}: " in bad.message
    bad = status(intent(underlay(), l3vni("red", vrf=name)), "L3VNI", "red")
    assert f": a VRF cannot be called {name}: " in bad.message


@pytest.mark.parametrize("name", ["br0", "br-hs", "vx", "eth1", "ac", "lo0", "all1", "pt-ns1"])
def test_unreserved_names_are_accepted(name: str) -> None:
    nic = {"type": "NetworkDevice", "networkDevice": {"interfaceName": name}}
    assert status(intent(underlay(interfaces=[nic])), "Underlay", "underlay").ready


def without_statuses(result: Intent) -> tuple[object, ...]:
    return result.vrfs, result.vnis, result.ports, result.frr


@rule("Manifest.isolation")
@pytest.mark.parametrize("case", cases(BROKEN))
def test_rejected_resource_has_a_reason_and_affects_no_other(case: str) -> None:
    manifests, reason, complaint = BROKEN[case]
    result = intent(*manifests)
    bad = manifests[-1]
    verdict = status(result, bad["kind"], bad["metadata"]["name"])
    assert (verdict.ready, verdict.reason) == (False, reason)
    assert complaint in verdict.message
    assert re.search(r" \(\S+:\d+\)$", verdict.message)  # the file and the line
    assert without_statuses(result) == without_statuses(intent(*manifests[:-1]))
    assert [s.ready for s in result.statuses if s is not verdict] == [True] * (len(manifests) - 1)


@rule("L3VNI.vrf.unique", "VNI.vni.unique")
def test_first_of_conflicting_resources_is_kept() -> None:
    blue = l3vni("blue", vrf="blue", hostSession=OTHER_SESSION)
    assert [vrf.name for vrf in intent(underlay(), RED, blue).vrfs] == ["red"]
    assert [vrf.name for vrf in intent(underlay(), blue, RED).vrfs] == ["blue"]


@rule("L2VNI.routingDomain.missing")
def test_dependant_of_a_rejected_resource_fails_with_dependency_failed() -> None:
    result = intent(underlay(), l3vni("red", vni=2**24), l2vni("segment"))
    assert status(result, "L3VNI", "red").reason == "ValidationFailed"
    assert status(result, "L2VNI", "segment").reason == "DependencyFailed"


@rule("VRF.subnets.distinct")
def test_equal_subnets_in_different_vrfs_are_accepted() -> None:
    blue = l3vni("blue", vrf="blue", vni=200, hostSession=OTHER_SESSION)
    domain = {"type": "L3VNI", "l3vni": {"name": "blue"}}
    result = intent(underlay(), RED, blue, l2vni("s"), l2vni("t", vni=111, routingDomain=domain))
    assert all(s.ready for s in result.statuses)


@rule("RawFRRConfig.alone")
def test_raw_snippet_needs_no_underlay() -> None:
    result = intent(manifest("RawFRRConfig", "mine"))
    assert status(result, "RawFRRConfig", "mine").ready
    assert [snippet.name for snippet in result.frr.raw] == ["mine"]


@rule("RawFRRConfig.experiment")
def test_raw_snippet_has_a_remark_that_it_is_experimental() -> None:
    verdict = status(intent(manifest("RawFRRConfig", "mine")), "RawFRRConfig", "mine")
    assert verdict.ready
    assert verdict.message.startswith("for experimentation only")


@rule("VNI.mtu")
def test_underlay_mtu_too_small_for_ipv6_has_a_remark() -> None:
    verdict = status(intent(underlay(), mtu=1300), "Underlay", "underlay")
    assert verdict.ready
    assert verdict.message == "MTU 1300 leaves 1250 bytes in the overlay; IPv6 needs 1280"


@pytest.mark.parametrize("master", [{"type": "LinuxBridge"}, {"type": "LinuxBridge", "x": 1}, {}])
@rule("L2VNI.hostMaster")
def test_host_master_without_a_bridge_has_one_error(master: Yaml) -> None:
    found = status(intent(underlay(), l2vni("s", hostMaster=master, **DETACHED)), "L2VNI", "s")
    assert "spec.hostMaster" in found.message
    assert "cannot be called" not in found.message


@pytest.mark.parametrize("kind", ["Linux", "OVS"])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("eth1", "eth1 is an interface of the Underlay, and no bridge"),
        ("host-e-110", "a bridge cannot be called host-e-110"),
        ("host-e-7", "a bridge cannot be called host-e-7"),
        ("pt-host", "a bridge cannot be called pt-host"),
        ("lo", "a bridge cannot be called lo"),
        ("br1", ""),
        ("br-hs-7", ""),
    ],
)
@rule("L2VNI.hostMaster")
def test_external_bridge_named_like_a_nic_or_our_device_is_rejected(
    kind: str, name: str, why: str
) -> None:
    field = f"{kind.lower()}Bridge"
    master = {"type": f"{kind}Bridge", field: {"lifecycle": "External", "name": name}}
    given = l2vni("s", vni=110, hostMaster=master, **DETACHED)
    found = status(intent(underlay(), given), "L2VNI", "s")
    assert found.ready is not bool(why)
    assert why in found.message
    if why:
        assert f"spec.hostMaster.{field}.name" in found.message
