"""The manifests of labs/: valid on the nodes that they are for, and agreed with each other."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.cli.__main__ import main
from tests.lab import clab
from tests.lab.clab import CLUSTER, ELSEWHERE
from tests.lab.documented import CHECKOUT

LABS = CHECKOUT / "labs"
KIND = LABS / "kind"

Object = dict[str, Any]


def load(name: str) -> list[Object]:
    return list(yaml.safe_load_all((KIND / "manifests" / name).read_text()))


def only(found: list[Object], kind: str, name: str) -> Any:  # noqa: ANN401 - a spec
    (spec,) = (o["spec"] for o in found if (o["kind"], o["metadata"]["name"]) == (kind, name))
    return spec


SESSIONS = {
    name: only(load("dualpath.yaml"), "L3VNI", name)["hostSession"] for name in ("pods", "services")
}


def router(session: Object, family: str) -> str:
    """Return the router's address in a session: the first of the network."""
    return str(ip_network(session["localCIDR"][family])[1])


def validated(*words: str) -> object:
    """Return the exit code of `dualpath validate`, which prints the resources that it rejects."""
    with pytest.raises(SystemExit) as ended:
        main(["validate", *words])
    return ended.value.code


@pytest.mark.parametrize("path", ["clab/pe1.yaml", "clab/pe2.yaml", "kind/edge.yaml"])
def test_manifest_of_a_node_is_valid(path: str) -> None:
    assert validated(str(LABS / path)) == 0


def test_manifests_of_the_cluster_are_valid_on_its_nodes() -> None:
    path = KIND / "manifests" / "dualpath.yaml"
    assert validated("--node-name", "worker", "--node-index", "1", str(path)) == 0


@pytest.mark.parametrize(("name", "family"), [("router", "ipv4"), ("router6", "ipv6")])
def test_calico_and_metallb_peer_with_the_router(name: str, family: str) -> None:
    pods, services = SESSIONS["pods"], SESSIONS["services"]
    calico = only(load("calico-bgp.yaml"), "BGPPeer", name)
    assert calico["peerIP"] == router(pods, family)
    assert calico["asNumber"] == pods["asn"]
    own = only(load("calico-bgp.yaml"), "BGPConfiguration", "default")
    assert (own["asNumber"], own["nodeToNodeMeshEnabled"]) == (pods["hostASN"], False)

    metallb = only(load("metallb.yaml"), "BGPPeer", name)
    assert metallb["peerAddress"] == router(services, family)
    assert (metallb["myASN"], metallb["peerASN"]) == (services["hostASN"], services["asn"])
    (received,) = only(load("metallb.yaml"), "FRRConfiguration", "clients")["bgp"]["routers"]
    assert received["asn"] == services["hostASN"]
    assert metallb["peerAddress"] in [n["address"] for n in received["neighbors"]]


def test_router_accepts_the_blocks_of_calico() -> None:
    pools = only(load("calico.yaml"), "Installation", "default")["calicoNetwork"]["ipPools"]
    blocks = {(pool["cidr"], pool["blockSize"], pool["blockSize"]) for pool in pools}
    accepted = {(f["prefix"], f["ge"], f["le"]) for f in SESSIONS["pods"]["importFilter"]}
    assert blocks == accepted
    subnets = yaml.safe_load((KIND / "kind.yaml").read_text())["networking"]["podSubnet"]
    assert {pool["cidr"] for pool in pools} == set(subnets.split(","))


def test_router_accepts_the_services_of_metallb() -> None:
    pool = set(only(load("metallb.yaml"), "IPAddressPool", "services")["addresses"])
    assert pool == {f["prefix"] for f in SESSIONS["services"]["importFilter"]}


def test_services_know_the_way_back_to_their_client() -> None:
    edge = list(yaml.safe_load_all((KIND / "edge.yaml").read_text()))
    gateways = only(edge, "L2VNI", "segment210")["gatewayIPs"]
    (received,) = only(load("metallb.yaml"), "FRRConfiguration", "clients")["bgp"]["routers"]
    prefixes = {
        prefix["prefix"]
        for neighbor in received["neighbors"]
        for prefix in neighbor["toReceive"]["allowed"]["prefixes"]
    }
    assert prefixes == {str(ip_network(gateway, strict=False)) for gateway in gateways}


def test_every_node_of_the_cluster_has_a_cable_to_the_spine() -> None:
    topology = clab.read(KIND / "kind.clab.yml")
    (cluster,) = (node for node in topology.nodes if node.kind == CLUSTER)
    assert cluster.startup_config
    wanted = yaml.safe_load(cluster.startup_config.read_text())
    assert wanted["name"] == cluster.name
    names = kind_names(cluster.name, [node["role"] for node in wanted["nodes"]])
    assert names == {node.name for node in topology.nodes if node.kind == ELSEWHERE}
    leaves = {str(far) for near, far in topology.links if near.node == "spine"}
    nic = only(load("dualpath.yaml"), "Underlay", "fabric")["interfaces"][0]["networkDevice"]
    assert {f"{name}:{nic['interfaceName']}" for name in names} <= leaves


def kind_names(cluster: str, roles: list[str]) -> set[str]:
    """Return what kind calls the containers of a cluster."""
    numbers = {role: iter(["", *map(str, range(2, 10))]) for role in roles}
    return {f"{cluster}-{role}{next(numbers[role])}" for role in roles}


@pytest.mark.parametrize("lab", ["clab", "kind"])
def test_spine_has_a_session_on_each_cable(lab: str) -> None:
    (path,) = (LABS / lab).glob("*.clab.yml")
    ends = [end for link in clab.read(path).links for end in link if end.node == "spine"]
    text = (path.parent / "spine.conf").read_text()
    sessions = [line.split()[1] for line in text.splitlines() if " interface peer-group " in line]
    assert sorted(sessions) == sorted(end.interface for end in ends)


def test_web_server_runs_from_an_image_that_the_nodes_have() -> None:
    (deployment,) = (o for o in load("web.yaml") if o["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert f"({container['image']} " in Path(KIND / "up").read_text()
