"""Conflicts between the manifests of many nodes are found, and nothing else is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.cli.__main__ import main

Yaml = dict[str, Any]
Node = dict[str, Yaml]  # the documents of a node, by "Kind name"

NODES = 20
GROUP = "network.openperouter.io/v1alpha1"


def dumped(*documents: Yaml) -> str:
    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump_all(documents, Dumper=dumper))


def document(kind: str, name: str, group: str = GROUP, **spec: object) -> Yaml:
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec}


def node(index: int) -> Node:
    """Return a node as those of a real fabric: one tenant, two segments, an ASN of its own."""
    documents = [
        document("Node", f"n{index:02}", "dualpath.io/v1alpha1", nodeIndex=index),
        document(
            "Underlay",
            "fabric",
            asn=65000 + index,
            routerIDCIDR="10.255.0.0/24",
            interfaces=[{"type": "NetworkDevice", "networkDevice": {"interfaceName": "eth1"}}],
            neighbors=[
                {"asn": 64512, "address": "192.0.2.1", "passwordSecret": "fabric"},
                {"asn": 64512, "address": "2001:db8::1"},
            ],
            tunnelEndpoint={"cidrs": ["100.64.0.0/24", "2001:db8:64::/64"]},
        ),
        document(
            "L3VNI",
            "red",
            vrf="red",
            vni=100,
            exportRTs=["64512:100"],
            importRTs=["64512:100", "64512:999"],
            hostSession={
                "asn": 65000 + index,
                "hostASN": 65500,
                "localCIDR": {"ipv4": "10.100.0.0/24", "ipv6": "fd00:100::/64"},
            },
        ),
        document(
            "L2VNI",
            "web",
            vni=110,
            routingDomain={"type": "L3VNI", "l3vni": {"name": "red"}},
            gatewayIPs=["10.110.0.1/24", "fd00:110::1/64"],
        ),
        document("L2VNI", "storage", vni=120),
    ]
    return {f"{it['kind']} {it['metadata']['name']}": it for it in documents}


def fleet(nodes: list[Node], directory: Path) -> Path:
    """Write the first half as directories, the second half as files."""
    for at, documents in enumerate(nodes):
        path = directory / f"n{at + 1:02}"
        if at < NODES // 2:
            path.mkdir()
            for name, part in documents.items():
                (path / f"{name.split()[1]}.yaml").write_text(dumped(part))
        else:
            text = dumped(*documents.values())
            (directory / f"{path.name}.yaml").write_text(text)
    return directory


def healthy() -> list[Node]:
    return [node(index) for index in range(1, NODES + 1)]


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["validate", *words])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def spec(nodes: list[Node], at: int, name: str) -> Yaml:
    found: Yaml = nodes[at - 1][name]["spec"]
    return found


def index(nodes: list[Node]) -> None:
    spec(nodes, 2, "Node n02")["nodeIndex"] = 1


def vtep(nodes: list[Node]) -> None:
    """Address 3 of this pool is 100.64.0.7, which node 7 has by another pool."""
    spec(nodes, 3, "Underlay fabric")["tunnelEndpoint"]["cidrs"][0] = "100.64.0.4/30"


def router_id(nodes: list[Node]) -> None:
    spec(nodes, 4, "Underlay fabric")["routerIDCIDR"] = "10.255.0.8/29"


def gateways(nodes: list[Node]) -> None:
    spec(nodes, 5, "L2VNI web")["gatewayIPs"] = ["10.110.0.254/24", "fd00:110::1/64"]


def vrf(nodes: list[Node]) -> None:
    spec(nodes, 6, "L3VNI red")["vrf"] = "rot"


def number(nodes: list[Node]) -> None:
    spec(nodes, 7, "L3VNI red")["vni"] = 101


def name(nodes: list[Node]) -> None:
    spec(nodes, 8, "L2VNI storage")["vni"] = 121


def layer(nodes: list[Node]) -> None:
    nodes[8]["L3VNI blue"] = document("L3VNI", "blue", vrf="blue", vni=120)
    del nodes[8]["L2VNI storage"]


def imports(nodes: list[Node]) -> None:
    spec(nodes, 10, "L3VNI red")["importRTs"] = ["64512:1000"]


def exports(nodes: list[Node]) -> None:
    spec(nodes, 11, "L3VNI red")["exportRTs"] = ["64512:1100"]


def asn(nodes: list[Node]) -> None:
    spec(nodes, 12, "Underlay fabric")["neighbors"][1]["asn"] = 64513


def port(nodes: list[Node]) -> None:
    spec(nodes, 13, "L2VNI storage")["vxlanPort"] = 8472


def family(nodes: list[Node]) -> None:
    spec(nodes, 14, "L2VNI web")["underlayAddressFamily"] = "IPv6"


def subnet(nodes: list[Node]) -> None:
    nodes[14]["L2VNI db"] = document(
        "L2VNI",
        "db",
        vni=130,
        routingDomain={"type": "L3VNI", "l3vni": {"name": "red"}},
        gatewayIPs=["10.110.0.129/25"],
    )
    del nodes[14]["L2VNI web"]


def same_name(nodes: list[Node]) -> None:
    nodes[15]["Node n16"]["metadata"]["name"] = "n01"


def rejected(nodes: list[Node]) -> None:
    spec(nodes, 17, "L2VNI storage")["vxlanPort"] = 99999


Mistake = Callable[[list[Node]], None]
PLANTED: dict[Mistake, tuple[str, str, str]] = {
    index: ("node-index", "n02", "nodeIndex"),
    vtep: ("vtep", "n07", "tunnelEndpoint.cidrs[0]"),
    router_id: ("router-id", "n12", "routerIDCIDR"),
    gateways: ("vni-gateways", "n05", "gatewayIPs"),
    vrf: ("vni-vrf", "n06", "vrf"),
    number: ("vrf-vni", "n07", "vni"),
    name: ("name-vni", "n08", "vni"),
    layer: ("vni-layer", "n09", "vni"),
    imports: ("route-targets", "n10", "importRTs"),
    exports: ("route-targets", "n11", "exportRTs"),
    asn: ("asn", "n12", "neighbors[1].asn"),
    port: ("vxlan-port", "n13", "vxlanPort"),
    family: ("vtep-family", "n14", "underlayAddressFamily"),
    subnet: ("subnet", "n15", "gatewayIPs[0]"),
    same_name: ("node-name", "n01", "metadata.name"),
    rejected: ("resource", "n17", "vxlanPort"),
}
"""Each mistake, with the rule, node and field that are reported."""


def test_a_healthy_fleet_has_no_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--fleet", str(fleet(healthy(), tmp_path))) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "dualpath: 20 nodes, 0 errors\n")


@pytest.mark.parametrize("mistake", PLANTED, ids=lambda mistake: mistake.__name__)
def test_a_mistake_is_found_with_its_place(
    mistake: Mistake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = healthy()
    mistake(nodes)
    assert run("--fleet", str(fleet(nodes, tmp_path)), "-o", "json") == 1
    rows = json.loads(capsys.readouterr().out)
    rule, at, field = PLANTED[mistake]
    assert {(r["rule"], r["node"]) for r in rows} == {(rule, at)}, rows
    assert rows[0]["field"].removeprefix("spec.") == field
    lines = Path(rows[0]["file"]).read_text().splitlines()
    key = field.rpartition(".")[2].partition("[")[0]
    assert key in lines[rows[0]["line"] - 1] or "- " in lines[rows[0]["line"] - 1]


def test_all_mistakes_of_one_fleet_are_found_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = healthy()
    planted = {m: found for m, found in PLANTED.items() if m not in (same_name, vtep, router_id)}
    for mistake in planted:
        mistake(nodes)
    assert len(planted) >= 12
    assert run("--fleet", str(fleet(nodes, tmp_path))) == 1
    lines = capsys.readouterr().out.splitlines()
    for rule, at, _ in planted.values():
        assert any(f"/{at}" in line and line.endswith(f"[{rule}]") for line in lines), (rule, at)
    gateway = next(line for line in lines if "[vni-gateways]" in line)
    assert gateway.startswith(f"{tmp_path}/n05/web.yaml:")
    assert "here, but 10.110.0.1/24, fd00:110::1/64 on n01 (" in gateway
    assert "and 17 other nodes" in gateway


def test_manifests_without_a_node_belong_to_all_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a conflict in a manifest that all share is reported once."""
    one, two = node(1), node(2)
    shared = {key: one[key] for key in one if key.startswith("L")}
    shared["L2VNI web"]["spec"]["vni"] = 100
    (tmp_path / "common.yaml").write_text(dumped(*shared.values()))
    own = [it for key in ("Node n01", "Node n02") for it in [{**one, **two}[key]]]
    (tmp_path / "rack.yaml").write_text(dumped(*[*own, one["Underlay fabric"]]))
    assert run("--fleet", str(tmp_path)) == 1
    shown = capsys.readouterr()
    assert shown.out.count("\n") == 1
    assert "2 nodes, 1 error" in shown.err


def test_nodes_in_one_file_are_chosen_by_selectors(tmp_path: Path) -> None:
    nodes = healthy()[:2]
    for at, documents in enumerate(nodes, 1):
        documents[f"Node n0{at}"]["spec"]["labels"] = {"row": str(at)}
        underlay = documents["Underlay fabric"]
        underlay["metadata"]["name"] = f"fabric{at}"
        underlay["spec"]["nodeSelector"] = {"matchLabels": {"row": str(at)}}
    parts = [it for documents in nodes for key, it in documents.items() if key[0] in "NU"]
    (tmp_path / "all.yaml").write_text(dumped(*parts))
    assert run("--fleet", str(tmp_path)) == 0


def test_an_unreadable_manifest_is_an_error_of_its_node_and_the_others_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = healthy()[:3]
    gateways_of = spec(nodes, 2, "L2VNI web")
    gateways_of["gatewayIPs"] = ["10.110.0.9/24"]
    (fleet(nodes, tmp_path) / "n04.yaml").write_text("a: [")
    assert run("--fleet", str(tmp_path), "-o", "json") == 2
    rules = {row["rule"] for row in json.loads(capsys.readouterr().out)}
    assert rules == {"manifest", "vni-gateways"}


def test_automatic_route_targets_match_and_explicit_ones_must_name_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """FRR imports *:VNI by itself, and exports its own AS, two bytes of it."""
    nodes = healthy()[:3]
    for at in range(1, 4):
        del spec(nodes, at, "L3VNI red")["exportRTs"], spec(nodes, at, "L3VNI red")["importRTs"]
    (whole := tmp_path / "whole").mkdir()
    assert run("--fleet", str(fleet(copy.deepcopy(nodes), whole))) == 0
    spec(nodes, 1, "L3VNI red")["importRTs"] = ["65002:100"]  # not node 3's 65003:100
    (less := tmp_path / "less").mkdir()
    assert run("--fleet", str(fleet(nodes, less))) == 1
    out = capsys.readouterr().out
    assert "VNI 100 imports 65002:100 here, but n03" in out
    assert "but n02" not in out


@pytest.mark.parametrize("words", [[], ["--fleet", "{}", "x.yaml"], ["--fleet", "{}/none"]])
def test_what_makes_no_sense_is_refused(words: list[str], tmp_path: Path) -> None:
    assert run(*(word.format(tmp_path) for word in words)) == 2


def test_a_directory_without_a_node_is_refused(tmp_path: Path) -> None:
    assert run("--fleet", str(tmp_path)) == 2
