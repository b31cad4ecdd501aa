"""BGP unnumbered: sessions over IPv6 link-local addresses, IPv4 routes by IPv6 nexthops."""

import pytest

from tests.lab.fabric import DEFAULT, Fabric
from tests.lab.ping import flows
from tests.lab.plan import Topology

pytestmark = pytest.mark.lab

FABRIC = (Topology(numbered=False), DEFAULT)


def test_the_overlay_stands_on_link_local_addresses(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    assert f"{pe2.plan.vtep} nhid" in pe1.forwarding.ip("route", "show", f"{pe2.plan.vtep}/32")
    assert " via fe80::" in pe1.forwarding.ip("nexthop", "show")
    assert pe1.bridged.ping(pe2.routed.v4, 2.0)
    assert pe1.bridged.ping(pe2.routed.v6, 2.0)


def test_packets_outlive_frr(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    pairs = ((pe1.routed.namespace, pe2.routed.v4), (pe1.bridged.namespace, pe2.bridged.v6))
    with flows(*pairs) as results:
        pe1.router.kill()
        pe1.router.start()
        fabric.wait_for_bgp()
        fabric.wait_until_live()
    assert [result.lost for result in results] == [0, 0]
