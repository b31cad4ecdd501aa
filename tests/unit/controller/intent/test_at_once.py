"""Conflicts between resources are reported together with errors within each resource."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.intent import layout
from controller.intent.documents import ManifestError, read
from controller.intent.lastgood import keep_last_good
from controller.intent.loader import load, merge
from controller.intent.node import NodeOverrides
from tests.unit.controller.intent.build import (
    Yaml,
    intent,
    manifest,
    neighbor,
    resources,
    session,
    status,
    underlay,
)
from tests.unit.controller.intent.rulebook import cases, rule

GOOD = """apiVersion: network.openperouter.io/v1alpha1
kind: Underlay
metadata: {name: fabric}
spec:
  asn: 65001
  neighbors: [{asn: 65000, address: 192.168.1.0}]
  interfaces: [{type: NetworkDevice, networkDevice: {interfaceName: eth1}}]
  tunnelEndpoint: {cidrs: [100.64.0.0/24]}
---
apiVersion: network.openperouter.io/v1alpha1
kind: L3VNI
metadata: {name: red}
spec:
  vrf: red
  vni: 100
  hostSession: {asn: 1, hostASN: 2, localCIDR: {ipv4: 10.1.0.0/24}}
---
apiVersion: network.openperouter.io/v1alpha1
"""


def reported(text: str) -> list[str]:
    """Return the violations of manifests on node 1, as `validate` prints them."""
    found = merge(read(GOOD + text, "n.yaml"), NodeOverrides(index=1))
    compiled = layout.compile(found, found.node)
    return [str(v) for status in compiled.statuses for v in status.violations]


@rule("Manifest.all")
def test_invalid_field_does_not_hide_conflicts_with_other_resources() -> None:
    text = """kind: L3VNI
metadata: {name: blue}
spec:
  vrf: red
  vni: 100
  vxlanPort: 0
  colour: blue
  hostSession: {asn: 0, hostASN: 2, localCIDR: {ipv4: 10.1.0.0/25}}
"""
    where = "L3VNI blue: spec"
    assert reported(text) == [
        f"n.yaml:22:3: {where}.vrf: VRF red is already used by L3VNI red",
        f"n.yaml:23:3: {where}.vni: VNI 100 is already used by L3VNI red",
        f"n.yaml:24:3: {where}.vxlanPort: must be greater than or equal to 1",
        f"n.yaml:25:3: {where}.colour: unknown field",
        f"n.yaml:26:17: {where}.hostSession.asn: must be greater than or equal to 1",
        f"n.yaml:26:49: {where}.hostSession.localCIDR.ipv4: localCIDR 10.1.0.0/25 overlaps "
        "10.1.0.0/24 of L3VNI red",
    ]


@rule("Manifest.all")
def test_invalid_field_does_not_hide_missing_references_and_overlapping_gateways() -> None:
    domain = "routingDomain: {type: L3VNI, l3vni: {name: %s}}"
    text = """kind: L2VNI
metadata: {name: segment}
spec:
  vni: 0
  gatewayIPs: [10.1.0.1/24]
  %s
"""
    missing = reported(text % domain % "rad")
    assert [v.split(": ")[0] for v in missing] == ["n.yaml:22:3", "n.yaml:24:40"]
    assert missing[1].endswith("; did you mean red?")
    overlapping = reported(text % domain % "red")
    assert [v.split(": ")[0] for v in overlapping] == ["n.yaml:22:3", "n.yaml:23:16"]


@rule("Manifest.all")
def test_invalid_underlay_field_does_not_hide_errors_specific_to_the_node() -> None:
    bad = underlay(
        asn=0,
        routerIDCIDR="10.0.0.0/32",
        tunnelEndpoint={"cidrs": ["100.64.0.0/32"]},
        interfaces=[{"type": "NetworkDevice", "networkDevice": {"interfaceName": "br100"}}],
        isis={"baseNet": "49.0001.ffff.ffff.ffff.00"},
    )
    found = status(intent(bad), "Underlay", "underlay")
    assert {v.field for v in found.violations} == {
        "spec.asn",
        "spec.routerIDCIDR",
        "spec.tunnelEndpoint.cidrs[0]",
        "spec.interfaces[0].networkDevice.interfaceName",
        "spec.isis.baseNet",
    }
    assert all(v.message in found.message for v in found.violations)


@rule("Manifest.all")
def test_resources_with_invalid_fields_are_checked_for_conflicts_with_each_other() -> None:
    domain = {"type": "L3VNI", "l3vni": {"name": "one"}}
    given = [
        manifest("L3VNI", "one", vxlanPort=0),
        manifest("L3VNI", "two", vxlanPort=0),
        manifest(
            "L2VNI",
            "three",
            vni=100,
            vxlanPort=0,
            routingDomain=domain,
            gatewayIPs=["10.100.0.9/24"],
        ),
    ]
    compiled = intent(underlay(), *given)
    found = [status(compiled, m["kind"], m["metadata"]["name"]).violations for m in given]
    one, two, three = ({v.field.removeprefix("spec.") for v in each} for each in found)
    pools = {f"hostSession.localCIDR.{family}" for family in ("ipv4", "ipv6")}
    assert one == {"vxlanPort"}
    assert two == {"vxlanPort", "vni", "vrf", *pools}
    assert three == {"vxlanPort", "vni", "gatewayIPs[0]"}


@rule("Manifest.all")
def test_invalid_file_does_not_hide_conflicts_between_resources_of_other_files(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.yaml").write_text("a: [b\n")
    red, blue = manifest("L3VNI", "red"), manifest("L3VNI", "blue", hostSession=None)
    segment = manifest("L2VNI", "segment", vni=0)  # its routingDomain may be in the broken file
    for name, given in (("b", red), ("c", blue), ("d", segment)):
        (tmp_path / f"{name}.json").write_text(json.dumps(given))
    with pytest.raises(ManifestError) as caught:
        load([tmp_path])
    assert [(Path(v.file).name, v.field) for v in caught.value.violations] == [
        ("a.yaml", ""),
        ("d.json", "spec.vni"),
        ("c.json", "spec.vni"),
        ("c.json", "spec.vrf"),
    ]


@pytest.mark.parametrize("selector", [{"matchLabels": {"rack": "b"}}, {"matchLabels": 5}])
def test_resource_of_another_node_conflicts_with_none_of_this_node(selector: Yaml) -> None:
    red, blue = (
        manifest("L3VNI", "red"),
        manifest("L3VNI", "blue", vxlanPort=0, nodeSelector=selector),
    )
    found = status(intent(underlay(), red, blue), "L3VNI", "blue")
    assert not [v for v in found.violations if "already" in v.message]
    assert "spec.vxlanPort" in {v.field for v in found.violations}


def test_missing_dependency_of_a_rejected_resource_is_not_reported() -> None:
    found = status(intent(manifest("L3VNI", "red", vxlanPort=0)), "L3VNI", "red")
    assert [v.field for v in found.violations] == ["spec.vxlanPort"]


@rule("Manifest.lastGood")
def test_edited_resource_does_not_conflict_with_its_earlier_version() -> None:
    before = resources(underlay(), manifest("L3VNI", "red"))
    now = keep_last_good(before, resources(underlay(), manifest("L3VNI", "red", vxlanPort=0)))
    compiled = layout.compile(now, now.node)
    found = status(compiled, "L3VNI", "red")
    assert [v.field for v in found.violations] == ["spec.vxlanPort"]
    assert found.message.endswith("; its earlier version stays")
    assert [vrf.name for vrf in compiled.vrfs] == ["red"]


def passed(cidr: str) -> Yaml:
    family = "ipv6" if ":" in cidr else "ipv4"
    return manifest("L3Passthrough", "p", hostSession=session(localCIDR={family: cidr}))


VTEPS = ["100.64.0.0/24", "fd00:64::/64"]
FABRIC = underlay(tunnelEndpoint={"cidrs": VTEPS})
V6 = underlay(neighbors=[{"asn": 65000, "address": "fd00:1::1"}])
OVERLAPPING: dict[str, tuple[list[Yaml], str]] = {
    "HostSession.localCIDR.fabric: the VTEPs": (
        [FABRIC, passed("100.64.0.128/25")],
        "localCIDR 100.64.0.128/25 overlaps 100.64.0.0/24 of the Underlay's tunnelEndpoint",
    ),
    "HostSession.localCIDR.fabric: the VTEPs, IPv6": (
        [FABRIC, passed("fd00:64::/48")],
        "overlaps fd00:64::/64 of the Underlay's tunnelEndpoint",
    ),
    "HostSession.localCIDR.fabric: a neighbor": (
        [underlay(), passed("192.168.0.0/16")],
        "localCIDR 192.168.0.0/16 has the Underlay's neighbor 192.168.1.0",
    ),
    "HostSession.localCIDR.fabric: a neighbor, IPv6": (
        [V6, passed("fd00:1::/64")],
        "localCIDR fd00:1::/64 has the Underlay's neighbor fd00:1::1",
    ),
    "Neighbor.address.own: IPv4": (
        [neighbor(address="100.64.0.1")],
        "neighbor 100.64.0.1 has the address of this node's own VTEP",
    ),
    "Neighbor.address.own: IPv6": (
        [
            {
                **FABRIC,
                "spec": {**FABRIC["spec"], "neighbors": [{"asn": 1, "address": "fd00:64::1"}]},
            }
        ],
        "neighbor fd00:64::1 has the address of this node's own VTEP",
    ),
}


@pytest.mark.parametrize("case", cases(OVERLAPPING))
def test_address_in_use_by_the_fabric_is_rejected_elsewhere(case: str) -> None:
    given, why = OVERLAPPING[case]
    bad = given[-1]
    found = status(intent(*given), bad["kind"], bad["metadata"]["name"])
    assert (found.ready, found.reason) == (False, "ValidationFailed")
    assert why in found.message


@rule("Neighbor.address.own")
def test_neighbor_may_have_the_vtep_address_of_another_node() -> None:
    assert status(intent(neighbor(address="100.64.0.2")), "Underlay", "underlay").ready


def test_pools_of_different_vrfs_may_overlap() -> None:
    tenant = manifest("L3VNI", "red", hostSession=session(localCIDR={"ipv4": "100.64.0.0/24"}))
    given = underlay(routerIDCIDR="100.64.0.0/24")  # no device has a router ID as its address
    assert all(s.ready for s in intent(given, tenant).statuses)
