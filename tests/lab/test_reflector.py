"""One AS: the spine is a route reflector, and the PEs are its clients."""

import pytest

from tests.lab.fabric import DEFAULT, Fabric
from tests.lab.ping import flows
from tests.lab.plan import SPINE_ASN, Topology

pytestmark = [pytest.mark.lab, pytest.mark.long]

FABRIC = (Topology(internal=True), DEFAULT)


def test_the_overlay_stands_by_reflection(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    assert pe1.plan.asn == pe2.plan.asn == SPINE_ASN
    pe1.bridged.wait_for_ping(pe2.routed.v4)
    pe1.bridged.wait_for_ping(pe2.routed.v6)
    shown = pe1.router.vtysh(f"show bgp l2vpn evpn route rd {pe2.plan.router_id}:2")
    assert "Cluster list: 10.254.0.1" in shown, shown
    assert f"Originator: {pe2.plan.router_id}" in shown, shown


def test_packets_outlive_frr(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    pairs = ((pe1.routed.namespace, pe2.routed.v4), (pe1.bridged.namespace, pe2.bridged.v6))
    with flows(*pairs) as results:
        pe1.router.kill()
        pe1.router.start()
        fabric.wait_for_bgp()
        fabric.wait_until_live()
    assert [result.lost for result in results] == [0, 0], results
