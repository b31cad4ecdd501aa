"""BGP unnumbered: sessions over IPv6 link-local addresses, IPv4 routes by IPv6 nexthops."""

import pytest

from tests.lab import manifests
from tests.lab.fabric import DEFAULT, Fabric, Pe
from tests.lab.ping import flows
from tests.lab.plan import Topology
from tests.lab.waiting import wait_until
from tests.unit.controller.intent.rulebook import rule

pytestmark = pytest.mark.lab

FABRIC = (Topology(numbered=False), DEFAULT)
STORAGE = f"""\
---
apiVersion: {manifests.GROUP}
kind: L2VNI
metadata: {{name: storage, namespace: team-a}}
spec: {{vni: 300, vrf: storage, gatewayIPs: [10.130.0.1/24]}}
"""


def test_overlay_works_with_unnumbered_sessions(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    assert f"{pe2.plan.vtep} nhid" in pe1.forwarding.ip("route", "show", f"{pe2.plan.vtep}/32")
    assert " via fe80::" in pe1.forwarding.ip("nexthop", "show")
    assert pe1.bridged.ping(pe2.routed.v4, 2.0)
    assert pe1.bridged.ping(pe2.routed.v6, 2.0)


def test_packets_are_forwarded_while_frr_is_dead(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    pairs = ((pe1.routed.namespace, pe2.routed.v4), (pe1.bridged.namespace, pe2.bridged.v6))
    with flows(*pairs) as results:
        pe1.router.kill()
        pe1.router.start()
        fabric.wait_for_bgp()
        fabric.wait_until_live()
    assert [result.lost for result in results] == [0, 0]


def link_local(fabric: Fabric, pe: Pe) -> str:
    """Return the address of the spine's port to a PE."""
    port = pe.plan.uplinks[0].spine_port
    words = fabric.spines[0].namespace.ip("-6", "address", "show", "dev", port).split()
    return next(w.partition("/")[0] for w in words if w.startswith("fe80::"))


def resources(pe: Pe) -> dict[str, dict[str, object]]:
    return {resource["name"]: resource for resource in pe.dualpath_json("status")["resources"]}


@rule("Neighbor.address", "L2VNI.vrf", "Manifest.name")
def test_link_local_neighbor_and_local_vrf_are_ready(fabric: Fabric) -> None:
    for pe in fabric.pes:
        text = manifests.manifest(pe.plan) + STORAGE
        peer = f'address: "{link_local(fabric, pe)}"\n      interface: eth1'
        assert text.count("interface: eth1") == 1
        pe.write_manifest(text.replace("interface: eth1", peer))
    for pe in fabric.pes:
        peer = link_local(fabric, pe)
        wait_until(lambda: established(pe, peer), f"{pe.name}: session with {peer}", 90.0)  # noqa: B023
    fabric.wait_for_overlay()
    for pe in fabric.pes:
        wait_until(lambda: "team-a/storage" in resources(pe), "storage", 60.0)  # noqa: B023
        storage = resources(pe)["team-a/storage"]
        assert storage["ready"]
        assert "no routes to other nodes" in str(storage["message"])
        assert "10.130.0.1/24" in pe.forwarding.ip("address", "show", "vrf", "storage")


def established(pe: Pe, peer: str) -> bool:
    found = pe.router.vtysh_json("show bgp l2vpn evpn summary").get("peers", {})
    return bool(found.get(peer, {}).get("state") == "Established")
