"""How manifests are found, merged and validated, and what the error for an invalid file is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from controller.intent import loader
from controller.intent.documents import ManifestError, read
from controller.intent.loader import load, merge
from controller.intent.node import NodeOverrides
from controller.intent.overlay import L2Vni, L3Passthrough, L3Vni
from controller.intent.schema import OLD_GROUP
from controller.intent.underlay import Underlay
from tests.unit.controller.intent.build import GOOD, manifest, neighbor, resources, underlay
from tests.unit.controller.intent.rulebook import rule

HEADER = "apiVersion: network.openperouter.io/v1alpha1\n"
RED = HEADER + "kind: L3VNI\nmetadata: {name: red}\nspec: {vrf: red, vni: 100}\n"
BLUE = RED.replace("red", "blue").replace("100", "200")
RAW = HEADER + "kind: RawFRRConfig\nmetadata: {name: raw}\nspec: {rawConfig: x}\n"


def one_spec(text: str) -> object:
    found = merge(read(text, "pe.yaml"))
    assert not found.rejected
    (resource,) = found.items
    return resource.spec


@rule("Manifest.merge")
def test_files_and_directories_are_merged_in_order_of_name(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "b.yaml").write_text(RED)
    (tmp_path / "d" / "a.yml").write_text(BLUE)
    (tmp_path / "d" / ".c.yaml").write_text("not: read\n")
    (tmp_path / "d" / "notes.txt").write_text("not read\n")
    (tmp_path / "e.yaml").write_text(RAW)
    found = load([tmp_path / "d", tmp_path / "e.yaml"])
    assert [r.name for r in found.items] == ["blue", "red", "raw"]
    assert found.items[1].source == f"{tmp_path}/d/b.yaml:4"


def test_empty_directory_has_no_resources(tmp_path: Path) -> None:
    assert load([tmp_path]).items == ()


def test_missing_file_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"gone\.yaml: No such file"):
        load([tmp_path / "gone.yaml"])


def test_file_that_is_deleted_after_its_directory_was_read_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.yaml").write_text(RED)
    monkeypatch.setattr(loader, "files", lambda path: [path / "a.yaml", path / "b.yaml"])
    assert [r.name for r in load([tmp_path]).items] == ["red"]


@pytest.mark.parametrize("target", ["nowhere", "b.yaml"])
def test_dangling_symlink_is_an_error(tmp_path: Path, target: str) -> None:
    (tmp_path / "a.yaml").write_text(RED)
    (tmp_path / "b.yaml").symlink_to(target)
    with pytest.raises(ManifestError, match=r"b\.yaml: (No such file|Too many levels)"):
        load([tmp_path])


def test_file_that_is_not_utf8_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestError, match=r"a\.yaml: not text in UTF-8"):
        load([tmp_path])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [b\n", "pe.yaml:2: not valid YAML"),
        ("\n- a\n", "pe.yaml:2: a manifest must be a mapping"),
        (HEADER + "kind: L3VNI\nkind: L2VNI\n", "pe.yaml:3: `kind` is given twice"),
        ("x: !!python/object:os.system {}\n", "pe.yaml:1: not valid YAML"),
        ("? [a]\n: b\n", "pe.yaml:1: a key is not a string"),
        ("\x00", "pe.yaml:1: not valid YAML"),
        ("a:\n  !!int foo\n", "pe.yaml:2: not valid YAML: 'foo' is no int"),
        ("a: !!bool foo\n", "pe.yaml:1: not valid YAML: 'foo' is no bool"),
        ("a: !!float x\n", "pe.yaml:1: not valid YAML: 'x' is no float"),
        ("a: !!timestamp 2020-99-99\n", "pe.yaml:1: not valid YAML: YAML tags are not supported"),
        ("a:\n  !!binary ZXRoMQ==\n", "pe.yaml:2: not valid YAML: YAML tags are not supported"),
        ("a: !!set {b: null}\n", "pe.yaml:1: not valid YAML: YAML tags are not supported"),
        ("password: !hunter2\n", "pe.yaml:1: not valid YAML: YAML tags are not supported"),
        ("a: !!int |\n  1\n  2\n", "pe.yaml:1: not valid YAML: '1\\n2\\n' is no int"),
        ("a: !!int ''\n", "pe.yaml:1: not valid YAML: '' is no int"),
        (f"a: {'9' * 5000}\n", "pe.yaml:1: not valid YAML: '9999"),
        (f"a: 0x{'9' * 5000}\n", "pe.yaml:1: not valid YAML: '0x99"),
        ("a: &a\n- x\nb: *a\n", "pe.yaml:1: YAML aliases are not supported: write the text out"),
        (
            "kind: List\nitems: &i\n- {kind: List, items: *i}\n",
            "pe.yaml:2: YAML aliases are not supported",
        ),
        ("a: &a x\nb: *a\n", "pe.yaml:1: YAML aliases are not supported"),
        (f"a: {'[' * 65}{']' * 65}\n", "pe.yaml:1: nested more than 64 deep"),
        (f"a: {'[' * 3000}{']' * 3000}\n", "pe.yaml:1: n"),
        ("hello: world\n", "pe.yaml:1: neither a manifest"),
        ("l3vnis: 5\n", "pe.yaml:1: l3vnis: must be a list"),
        ("nodeIndex: -1\n", "pe.yaml:1: nodeIndex: must be a whole number"),
        ("nodeName: x\nnodeIndex: {at: 5}\n", "pe.yaml:2: nodeIndex.at: unknown field"),
    ],
)
def test_unparsable_file_is_reported_in_one_sentence_with_the_line(
    text: str, complaint: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        merge(read(text, "pe.yaml"))
    (violation,) = caught.value.violations
    assert violation.column > 0
    assert re.sub(r"^(pe.yaml:\d+):\d+", r"\1", str(violation)).startswith(complaint)
    assert "\n" not in str(caught.value)


def test_rejection_names_the_line_of_the_field() -> None:
    text = RED + "---\n" + HEADER + "kind: L3VNI\nmetadata: {name: x}\nspec:\n  vrf: x\n  vni: 0\n"
    (status,) = merge(read(text, "pe.yaml")).rejected
    assert status.message.endswith("(pe.yaml:11:3)")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (RED.replace("v1alpha1", "v2"), "apiVersion: 'network.openperouter.io/v2' is not"),
        (RED.replace("L3VNI", "Pod"), "there is no kind 'Pod'"),
        (RED + "colour: red\n", "colour: unknown field"),
        (RED.replace("name: red", "name: 'r d'"), "metadata.name: missing or not a name"),
        (RED.replace("{vrf: red, vni: 100}", "[]"), "spec: must be a mapping"),
        (RED.replace("L3VNI", "[]"), "kind: missing or not a name"),
        (RED.replace("L3VNI", '"a\\nb\\e[1m"'), "kind: missing or not a name"),
        (HEADER + "metadata: {name: x}\n", "kind: missing or not a name"),
    ],
)
@rule("Manifest.unknown", "Manifest.kinds")
def test_unknown_kinds_versions_and_fields_are_rejected(text: str, complaint: str) -> None:
    (status,) = merge(read(text, "pe.yaml")).rejected
    assert complaint in status.message


@rule("Manifest.name")
def test_second_resource_of_a_name_is_rejected() -> None:
    found = merge(read(RED + "---\n" + RED, "pe.yaml"))
    assert len(found.items) == 1
    assert found.rejected[0].message == "metadata.name: already defined at pe.yaml:4 (pe.yaml:8:12)"


def test_duplicate_name_on_the_same_line_is_rejected() -> None:
    red = json.dumps(manifest("L3VNI", "red"))
    text = f'{{"apiVersion": "v1", "kind": "List", "items": [{red}, {red}]}}'
    found = merge(read(text, "pe.json"))
    assert len(found.items) == 1
    assert (
        found.rejected[0].message == "metadata.name: already defined at pe.json:1 (pe.json:1:377)"
    )


def test_list_is_replaced_by_its_items() -> None:
    items = RED.replace("\n", "\n  ").rstrip()
    found = merge(read(f"apiVersion: v1\nkind: List\nitems:\n- {items}\n", "pe.yaml"))
    assert [str(r) for r in found.items] == ["L3VNI red"]
    assert found.items[0].source == "pe.yaml:7"


def test_yaml_scalars_are_read_as_kubernetes_reads_them() -> None:
    spec = one_spec(RED.replace("vni: 100", "vni: 100, exportRTs: [65000:10, 1:1]"))
    assert isinstance(spec, L3Vni)
    assert spec.export_rts == ("65000:10", "1:1")


# -- the node --------------------------------------------------------------------------------

NODE = "apiVersion: dualpath.io/v1alpha1\nkind: Node\nmetadata: {name: pe1}\nspec: {nodeIndex: 7}\n"


@rule("Node.index", "Node.settings")
def test_node_kind_and_openperouters_static_file_both_describe_the_node() -> None:
    ours = merge(read(NODE, "n.yaml")).node
    theirs = merge(read("nodeIndex: {index: 7}\nnodeName: pe1\n", "n.yaml")).node
    assert (ours.index, ours.name) == (theirs.index, theirs.name) == (7, "pe1")


@rule("Manifest.unknown")
@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("spec: ", "spce: ", "n.yaml:4:1: Node pe1: spce: unknown field; did you mean spec"),
        ("name: pe1", "name: 5", "n.yaml:3:12: Node 5: metadata.name: not a name"),
    ],
)
def test_node_with_an_unknown_field_is_an_error_and_not_node_0(
    old: str, new: str, complaint: str
) -> None:
    with pytest.raises(ManifestError, match=complaint):
        merge(read(NODE.replace(old, new), "n.yaml"))


@rule("Node.index")
def test_command_line_overrides_the_files() -> None:
    node = merge(read(NODE, "n.yaml"), NodeOverrides("pe1", 9)).node
    assert (node.name, node.index) == ("pe1", 9)


def test_node_name_selects_one_of_several_nodes() -> None:
    both = read(NODE + "---\n" + NODE.replace("pe1", "pe2").replace("7", "8"), "n.yaml")
    assert merge(both, NodeOverrides("pe2")).node.index == 8
    with pytest.raises(ManifestError, match=r"several nodes \(pe1, pe2\)"):
        merge(both)


@rule("Node.name")
def test_unknown_node_name_is_an_error_that_lists_the_nodes() -> None:
    both = read(NODE + "---\n" + NODE.replace("pe1", "pe2").replace("7", "8"), "n.yaml")
    with pytest.raises(ManifestError, match=r"called pe9, but pe1, pe2; give one of these"):
        merge(both, NodeOverrides("pe9"))
    node = merge(both, NodeOverrides("pe9", 3)).node
    assert (node.name, node.index) == ("pe9", 3)
    assert merge(read(RED, "pe.yaml"), NodeOverrides("pe9")).node.name == "pe9"
    assert merge(read("nodeIndex: 7\n", "n.yaml"), NodeOverrides("pe9")).node.index == 7


@rule("Manifest.nodeSelector")
def test_node_selector_matches_labels_and_the_hostname_label() -> None:
    def selected(selector: dict[str, object]) -> bool:
        (resource,) = resources(underlay(nodeSelector=selector)).items
        node = merge(read(NODE[:-2] + ", labels: {rack: a}}\n", "n.yaml")).node
        return resource.spec.node_selector.matches(node.selectable)

    assert selected({})
    assert selected({"matchLabels": {"rack": "a"}})
    assert selected({"matchLabels": {"kubernetes.io/hostname": "pe1"}})
    assert not selected({"matchLabels": {"rack": "b"}})
    for operator, values, expected in [
        ("In", ["a", "b"], True),
        ("In", ["b"], False),
        ("NotIn", ["b"], True),
        ("NotIn", ["a"], False),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
    ]:
        requirement = {"key": "rack", "operator": operator, "values": values}
        assert selected({"matchExpressions": [requirement]}) is expected


# -- older forms -----------------------------------------------------------------------------


@rule("Manifest.group")
def test_older_api_group_is_accepted() -> None:
    assert resources(manifest("L3VNI", "red", OLD_GROUP)).items


@rule("Manifest.older")
def test_older_underlay_form_is_converted_without_loss() -> None:
    old = one_spec(
        """
apiVersion: openpe.openperouter.github.io/v1alpha1
kind: Underlay
metadata: {name: underlay, namespace: openperouter-system}
spec:
  asn: 65001
  routeridcidr: 10.1.0.0/24
  evpn: {vtepcidr: 100.64.0.0/24}
  nics: [eth1]
  neighbors:
  - asn: 65000
    address: 192.168.1.0
    ebgpMultiHop: true
    holdTime: 3m
    keepaliveTime: 1m0s
    connectTime: 10s
    bfd: {passiveMode: true, minimumTtl: 250, echoMode: false}
"""
    )
    new = resources(
        neighbor(
            properties=[{"type": "ebgpMultiHop", "ebgpMultiHop": {"ttl": 255}}],
            holdTimeSeconds=180,
            keepaliveTimeSeconds=60,
            connectTimeSeconds=10,
            bfd={"sessionMode": "Passive", "minimumTTL": 250},
        )
    ).items[0]
    assert isinstance(old, Underlay)
    assert isinstance(new.spec, Underlay)
    assert old.model_dump(exclude={"router_id_cidr"}) == new.spec.model_dump(
        exclude={"router_id_cidr"}
    )
    assert str(old.router_id_cidr) == "10.1.0.0/24"


@rule("Manifest.older")
def test_older_host_session_form_is_converted_without_loss() -> None:
    old = one_spec(
        RED.replace(
            "vni: 100",
            "vni: 100, vxlanport: 4789, hostsession: {asn: 65001, hostasn: 65100, localcidr: "
            "{ipv4: 10.100.0.0/24, ipv6: 'fd00:100::/64'}}",
        )
    )
    assert old == L3Vni.model_validate(GOOD["L3VNI"])


@rule("Manifest.older")
def test_older_host_session_without_a_host_asn_is_internal() -> None:
    for hostasn in ("", "hostasn: 0, "):
        spec = one_spec(
            RED.replace(
                "vni: 100",
                f"vni: 100, hostsession: {{asn: 1, {hostasn}localcidr: {{ipv4: 10.0.0.0/24}}}}",
            )
        )
        assert isinstance(spec, L3Vni)
        assert spec.host_session is not None
        assert spec.host_session.host_type == "Internal"


@pytest.mark.parametrize(
    ("master", "lifecycle", "name"),
    [
        ("{type: bridge, autocreate: true}", "Managed", None),
        ("{type: linux-bridge, linuxBridge: {autoCreate: true}}", "Managed", None),
        ("{type: linux-bridge, linuxBridge: {name: br0}}", "External", "br0"),
        ("{type: LinuxBridge, linuxBridge: {lifecycle: External, name: br0}}", "External", "br0"),
    ],
)
@rule("Manifest.older", "L2VNI.routingDomain")
def test_older_l2vni_form_is_converted_without_loss(
    master: str, lifecycle: str, name: str | None
) -> None:
    spec = one_spec(
        f"""
apiVersion: openpe.openperouter.github.io/v1alpha1
kind: L2VNI
metadata: {{name: segment}}
spec: {{vrf: red, vni: 110, l2gatewayips: [10.110.0.1/24], hostmaster: {master}}}
"""
    )
    assert isinstance(spec, L2Vni)
    assert spec.vrf == "red"
    assert [str(gateway) for gateway in spec.gateway_ips] == ["10.110.0.1/24"]
    assert spec.host_master is not None
    assert spec.host_master.bridge.lifecycle == lifecycle
    assert spec.host_master.bridge.name == name


@pytest.mark.parametrize(
    ("kind", "changes", "complaint"),
    [
        ("Underlay", {"nics": ["eth1"]}, "`nics` is the older name of `interfaces`"),
        ("Underlay", {"nics": "eth1"}, "`nics` is not a list"),
        ("Underlay", {"routeridcidr": "10.0.0.0/8", "routerIDCIDR": "10.0.0.0/8"}, "given twice"),
        ("Underlay", {"evpn": {"vtepInterface": "eth2"}}, "`evpn.vtepInterface` is not supported"),
        ("Underlay", {"evpn": "on"}, "`evpn` is not a mapping"),
        ("Underlay", {"evpn": {"asn": 7}}, "evpn.asn: unknown field"),
        (
            "Underlay",
            {"tunnelEndpoint": None, "vtepcidr": "10.0.0.0/8", "evpn": {"vtepcidr": "11.0.0.0/8"}},
            "`vtepcidr` is the older name of `tunnelEndpoint`",
        ),
        (
            "Underlay",
            {"tunnelEndpoint": None, "vtepcidr": "10.0.0.0/8", "vtepCIDR": "11.0.0.0/8"},
            "`vtepcidr` is given twice, once as `vtepCIDR`",
        ),
        (
            "Underlay",
            {"neighbors": [{"asn": 1, "address": "10.0.0.1", "bfd": {"passiveMode": "yes"}}]},
            "the older `passiveMode` is true or false",
        ),
        (
            "L2VNI",
            {"hostMaster": {"type": "bridge", "autocreate": "false"}},
            "the older `autoCreate` is true or false",
        ),
        ("L2VNI", {"l2gatewayips": []}, "`l2gatewayips` is the older name of `gatewayIPs`"),
    ],
)
@rule("Manifest.older.conflict")
def test_field_given_under_older_and_present_name_is_rejected(
    kind: str, changes: dict[str, Any], complaint: str
) -> None:
    (status,) = resources(manifest(kind, "x", **changes)).rejected
    assert complaint in status.message


@pytest.mark.parametrize("duration", ["90", "1.5s", "-1s", "soon", "500ms", "9" * 400 + "h"])
@rule("Manifest.older")
def test_duration_that_is_not_whole_seconds_is_rejected(duration: str) -> None:
    (status,) = resources(neighbor(connectTime=duration)).rejected
    assert "`connectTime` is not a" in status.message


@rule("Static.layout")
def test_static_file_lists_specs_with_or_without_names() -> None:
    text = """
underlays:
- asn: 65001
  nics: [toswitch, eth0]
  evpn: {vtepcidr: 100.65.0.0/24}
  neighbors: [{asn: 64512, address: 192.168.11.2}]
l3vnis:
- {name: red, vrf: red, vni: 100}
l2vnis: []
l3vpns:
- {vrf: blue}
bgppassthrough:
  hostsession: {asn: 65001, hostasn: 65002, localcidr: {ipv4: 10.0.0.0/24}}
rawfrrconfigs:
- {name: mine, priority: 5, rawConfig: x}
"""
    found = merge(read(text, "openpe_a.yaml"))
    assert [(r.kind, r.name, r.source) for r in found.items] == [
        ("Underlay", "static-underlay-0", "openpe_a.yaml:3"),
        ("L3VNI", "red", "openpe_a.yaml:8"),
        ("L3Passthrough", "static-l3passthrough-2", "openpe_a.yaml:12"),
        ("RawFRRConfig", "mine", "openpe_a.yaml:15"),
    ]
    assert [s.kind for s in found.rejected] == ["L3VPN"]
    assert isinstance(found.items[2].spec, L3Passthrough)
