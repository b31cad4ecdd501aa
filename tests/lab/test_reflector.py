"""One AS: the spine is a route reflector, and the PEs are its clients.

Then a router of ours is the spine: it reflects between the two others, and carries their packets.
"""

import pytest

from tests.lab.fabric import DEFAULT, Fabric, Pe
from tests.lab.manifests import GROUP, OUR_GROUP
from tests.lab.ping import flows
from tests.lab.plan import SPINE_ASN, PePlan, Topology
from tests.lab.scenario import Scenario
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.long]

FABRIC = (Topology(internal=True), DEFAULT)
CLUSTER = "192.0.2.7"


def test_overlay_works_through_a_route_reflector(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    assert pe1.plan.asn == pe2.plan.asn == SPINE_ASN
    pe1.bridged.wait_for_ping(pe2.routed.v4)
    pe1.bridged.wait_for_ping(pe2.routed.v6)
    shown = pe1.router.vtysh(f"show bgp l2vpn evpn route rd {pe2.plan.router_id}:2")
    assert "Cluster list: 10.254.0.1" in shown, shown
    assert f"Originator: {pe2.plan.router_id}" in shown, shown


def test_packets_are_forwarded_while_frr_is_dead(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    pairs = ((pe1.routed.namespace, pe2.routed.v4), (pe1.bridged.namespace, pe2.bridged.v6))
    with flows(*pairs) as results:
        pe1.router.kill()
        pe1.router.start()
        fabric.wait_for_bgp()
        fabric.wait_until_live()
    assert [result.lost for result in results] == [0, 0], results


def reflecting(plan: PePlan, clients: list[PePlan], host: str) -> str:
    """Return the manifest of a router in the spine's place: it has no VTEP, and no VNI."""
    uplinks = [client.uplinks[0] for client in clients]
    nic = "  - {{type: NetworkDevice, networkDevice: {{interfaceName: {}}}}}"
    neighbor = """\
  - type: Internal
    address: {}
    addressFamilies:
    - {{type: ipv4unicast, properties: [{{type: routeReflectorClient}}]}}
    - {{type: evpn, properties: [{{type: routeReflectorClient}}]}}"""
    return f"""\
apiVersion: {OUR_GROUP}
kind: Node
metadata: {{name: {plan.name}}}
spec:
  nodeIndex: {plan.index}
  namespaces: {{forwarding: {plan.name}, control: {plan.control}, host: {host}}}
---
apiVersion: {GROUP}
kind: Underlay
metadata: {{name: reflector}}
spec:
  asn: {SPINE_ASN}
  routerIDCIDR: 10.255.0.0/24
  routeReflector: {{clusterID: {CLUSTER}}}
  gracefulRestart: {{}}
  interfaces:
{chr(10).join(nic.format(uplink.spine_port) for uplink in uplinks)}
  neighbors:
{chr(10).join(neighbor.format(uplink.pe_address) for uplink in uplinks)}
"""


def test_dualpath_reflects_routes_between_two_others(lab: Scenario) -> None:
    topology = Topology(internal=True)
    fabric = Fabric(lab, topology)
    spine = fabric.spines.pop().namespace  # where the cables end, and no FRR is started
    pe1, pe2 = fabric.pes
    reflector = Pe(lab, PePlan(3, topology), DEFAULT)
    reflector.write_manifest(reflecting(reflector.plan, [pe1.plan, pe2.plan], spine.name))
    reflector.controller.start()
    fabric.start()
    reflector.start_frr()
    fabric.wait_for_overlay(90.0)
    wait_until(reflector.is_live, "the reflector is live", 90)
    pe1.bridged.wait_for_ping(pe2.routed.v6)
    shown = pe1.router.vtysh(f"show bgp l2vpn evpn route rd {pe2.plan.router_id}:2")
    assert f"Cluster list: {CLUSTER}" in shown, shown
    assert f"Originator: {pe2.plan.router_id}" in shown, shown
    rows = reflector.dualpath_json("routes")
    vteps = {f"{pe.plan.vtep}/32" for pe in fabric.pes}
    assert vteps <= {row["prefix"] for row in rows}, rows
    assert reflector.dualpath_json("vnis") == []

    pairs = ((pe1.routed.namespace, pe2.routed.v4), (pe1.bridged.namespace, pe2.bridged.v6))
    with flows(*pairs) as results:
        reflector.router.kill()
        reflector.router.start()
        wait_until(reflector.is_live, "the reflector is live again", 120, every_s=0.5)
    assert [result.lost for result in results] == [0, 0], results
