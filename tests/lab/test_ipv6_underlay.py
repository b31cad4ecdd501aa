"""A fabric without IPv4: sessions, VTEPs and tunnels by IPv6, tenants with both families."""

import time

import pytest

from tests.lab.fabric import DEFAULT, LINK_MTU, Fabric
from tests.lab.ping import flows
from tests.lab.plan import L2_VNI, L3_VNI, TENANT_VRF, Topology
from tests.unit.controller.intent.rulebook import rule

pytestmark = [pytest.mark.lab, pytest.mark.datapaths("kernel", "dpdk", long=("dpdk",))]

FABRIC = (Topology(ipv6=True), DEFAULT)


def test_overlay_works_over_an_ipv6_underlay(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    assert "inet " not in pe1.forwarding.ip("address", "show", "dev", "eth1")
    assert {pe1.view.local_vtep(vni) for vni in (L3_VNI, L2_VNI)} == {pe1.plan.vtep}
    rows = {row["prefix"]: row for row in pe1.dualpath_json("routes", "--vrf", TENANT_VRF)}
    for host in (f"{pe2.routed.v4}/32", f"{pe2.routed.v6}/128"):
        assert rows[host]["state"] == "ROW_STATE_PROGRAMMED"


@rule("Differs.overhead")
def test_packets_of_full_mtu_pass(fabric: Fabric) -> None:
    """A packet of the tenant's MTU fits the fabric's MTU."""
    pe1, pe2 = fabric.pes
    mtu = LINK_MTU - 70
    for target, headers in ((pe2.routed.v4, 28), (pe2.routed.v6, 48)):
        words = ["ping", "-c", "1", "-W", "2", "-M", "do", "-s", str(mtu - headers), target]
        pe1.routed.namespace.run(*words)


def test_packets_are_forwarded_while_frr_is_dead(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    pairs = ((pe1.routed.namespace, pe2.routed.v4), (pe1.bridged.namespace, pe2.bridged.v6))
    with flows(*pairs) as results:
        pe1.router.kill()
        time.sleep(1)
        pe1.router.start()
        fabric.wait_for_bgp()
        fabric.wait_until_live()
    assert [result.lost for result in results] == [0, 0], results
