"""All errors of the manifests are reported at once, each with its position and a suggestion."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.intent import layout
from controller.intent.documents import ManifestError, read
from controller.intent.loader import load, merge
from dualpath.model.violation import Violation
from tests.unit.controller.intent.rulebook import rule

HEADER = "apiVersion: network.openperouter.io/v1alpha1\n"
UNDERLAY = """kind: Underlay
metadata: {name: fabric}
spec:
  asn: 0
  neighbors:
  - asn: 65000
    addres: 192.168.1.0
    importFilter: [{action: permit, prefix: 10.0.0.0/33}]
  - {type: Extrenal, address: 192.168.1.2, holdTimeSeconds: 1}
  - {asn: 1, address: 192.168.1.2, bfd: {echoMode: true, receiveInterva: 50}}
  interfaces:
  - {type: networkdevic, networkDevice: {interfaceName: eth1}}
  srv6: {}
"""
GOOD = (
    HEADER
    + """kind: Underlay
metadata: {name: fabric}
spec:
  asn: 65001
  neighbors: [{asn: 65000, address: 192.168.1.0}]
  interfaces: [{type: NetworkDevice, networkDevice: {interfaceName: eth1}}]
  tunnelEndpoint: {cidrs: [100.64.0.0/24]}
---
"""
)
RED = (
    HEADER
    + """kind: L3VNI
metadata: {name: red}
spec:
  vrf: red
  vni: 100
  hostSession: {asn: 1, hostASN: 2, localCIDR: {ipv4: 10.1.0.0/24}}
"""
)


def reported(text: str) -> list[str]:
    """Return the violations of manifests on node 0, as `validate` prints them."""
    found = merge(read(text, "n.yaml"))
    compiled = layout.compile(found, found.node)
    return [str(v) for status in compiled.statuses for v in status.violations]


@rule("Manifest.all")
def test_every_error_of_a_resource_is_reported_with_its_position_and_a_suggestion() -> None:
    where = "Underlay fabric: spec"
    external = "must be 'External' or 'Internal'; did you mean External?"
    both = "holdTimeSeconds and keepaliveTimeSeconds must be given together"
    peer = "exactly one of address, interface, listenRange must be given, not 0"
    echo = "the twin of an interface cannot answer echoes in time"
    hold = f"{where}.neighbors[1].holdTimeSeconds"
    rules = f"{where}.neighbors[0].importFilter[0]"
    assert reported(HEADER + UNDERLAY) == [
        f"n.yaml:5:3: {where}.asn: must be greater than or equal to 1",
        f"n.yaml:7:5: {where}.neighbors[0]: {peer}",
        f"n.yaml:8:5: {where}.neighbors[0].addres: unknown field; did you mean address?",
        f"n.yaml:9:21: {rules}.action: must be 'Permit' or 'Deny'; did you mean Permit?",
        f"n.yaml:9:37: {rules}.prefix: '10.0.0.0/33' is not a CIDR such as 10.0.0.0/24 or "
        "2001:db8::/64",
        f"n.yaml:10:6: {where}.neighbors[1].type: {external}",
        f"n.yaml:10:44: {hold}: {both}",
        f"n.yaml:10:44: {hold}: holdTimeSeconds must be 0 or at least 3, not 1",
        f"n.yaml:11:14: {where}.neighbors[2].address: two neighbors have address 192.168.1.2",
        f"n.yaml:11:42: {where}.neighbors[2].bfd.echoMode: `echoMode` is not supported: {echo}",
        f"n.yaml:11:58: {where}.neighbors[2].bfd.receiveInterva: unknown field; did you mean "
        "receiveInterval?",
        f"n.yaml:13:6: {where}.interfaces[0].type: must be 'NetworkDevice' or 'CNIDevice'; did "
        "you mean NetworkDevice?",
        f"n.yaml:14:3: {where}.srv6: `srv6` is not supported yet: use L3VNI and L2VNI over VXLAN",
    ]


@rule("Manifest.all")
def test_every_conflict_between_resources_is_reported_with_its_position() -> None:
    blue = "---\n" + RED.replace("name: red", "name: blue")
    assert reported(GOOD + RED + blue) == [
        "n.yaml:22:3: L3VNI blue: spec.vrf: VRF red is already used by L3VNI red",
        "n.yaml:23:3: L3VNI blue: spec.vni: VNI 100 is already used by L3VNI red",
        "n.yaml:24:49: L3VNI blue: spec.hostSession.localCIDR.ipv4: localCIDR 10.1.0.0/24 overlaps "
        "10.1.0.0/24 of L3VNI red",
    ]


@rule("Manifest.all")
def test_reference_to_an_unknown_name_suggests_a_similar_one() -> None:
    segment = """kind: L2VNI
metadata: {name: segment}
spec:
  vni: 110
  routingDomain: {type: L3VNI, l3vni: {name: rad}}
"""
    (text,) = reported(GOOD + RED + "---\n" + HEADER + segment)
    assert text.startswith("n.yaml:23:40: L2VNI segment: spec.routingDomain.l3vni.name: ")
    assert text.endswith("; did you mean red?")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("kind: L3VNI", "kind: L3VN", "n.yaml:2:1: L3VN red: kind: there is no kind 'L3VN'; "),
        ("network.open", "network.opne", "n.yaml:1:1: L3VNI red: apiVersion: 'network.opne"),
        ("spec:", "spce:", "n.yaml:4:1: L3VNI red: spce: unknown field; did you mean spec?"),
        ("{name:", "{nmae:", "n.yaml:3:12: L3VNI: metadata.nmae: unknown field, and no"),
        ("  vrf", "  VRf", "n.yaml:5:3: L3VNI red: spec.VRf: unknown field; did you mean vrf?"),
    ],
)
@rule("Manifest.all")
def test_misspelled_top_level_field_gets_a_suggestion(old: str, new: str, expected: str) -> None:
    found = reported(RED.replace(old, new))
    assert any(text.startswith(expected) and "did you mean" in text for text in found)


@rule("Manifest.all")
def test_syntax_errors_of_all_files_are_reported_with_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [b\n---\nkind: {x\n")
    (tmp_path / "b.yaml").write_text("x: 1\nx: 2\ny: &a 1\nz: *a\n")
    (tmp_path / "c.yaml").write_text(RED.replace("vni:", "vnni:"))
    (tmp_path / "d.yaml").write_bytes(b"\xff")
    (tmp_path / "e.yaml").write_text("nodeIndx: 1\n")
    with pytest.raises(ManifestError) as caught:
        load([tmp_path, tmp_path / "gone"])
    places = {(Path(v.file).name, v.line, v.column) for v in caught.value.violations}
    assert places >= {("a.yaml", 2, 1), ("a.yaml", 4, 1), ("b.yaml", 2, 1), ("b.yaml", 3, 4)}
    assert places >= {("c.yaml", 6, 3), ("d.yaml", 0, 0), ("e.yaml", 1, 1), ("gone", 0, 0)}


@rule("Manifest.all")
def test_every_error_of_a_node_is_reported() -> None:
    text = "apiVersion: dualpath.io/v1alpha1\nkind: Node\nspec: {nodeIndex: -1, lable: {}}\n"
    with pytest.raises(ManifestError) as caught:
        merge(read(text, "n.yaml"))
    assert [(v.line, v.column, v.field, v.suggestion) for v in caught.value.violations] == [
        (3, 8, "spec.nodeIndex", ""),
        (3, 23, "spec.lable", "labels"),
    ]


@rule("Manifest.all")
def test_error_in_an_older_form_names_its_line() -> None:
    text = HEADER + (
        "kind: Underlay\nmetadata: {name: old}\nspec:\n  asn: 1\n  nics: [1eth]\n"
        "  neighbors: [{asn: 2, address: 10.0.0.1, holdTime: soon, keepaliveTime: 1.5s}]\n"
    )
    assert [t.split(": ")[0] for t in reported(text)] == [
        "n.yaml:6:10",
        "n.yaml:7:43",
        "n.yaml:7:59",
    ]


def test_violation_without_a_file_is_its_message_alone() -> None:
    assert str(Violation(message="say which node this is")) == "say which node this is"
