"""FRR without `fpm use-next-hop-groups`: every route contains its nexthop."""

import pytest

from tests.lab.fabric import Fabric, Options, Pe
from tests.lab.plan import Topology
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

RAW = """\
---
apiVersion: network.openperouter.io/v1alpha1
kind: RawFRRConfig
metadata: {name: inline-nexthops}
spec:
  rawConfig: |
    no fpm use-next-hop-groups
"""

FABRIC = (Topology(spines=2), Options(manifest=lambda _: RAW))


def test_overlay_works_with_inline_nexthops(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    assert "no fpm use-next-hop-groups" in pe1.router.vtysh("show running-config")
    assert pe1.view.uplinks_to(pe2.plan.vtep) == {"eth1", "eth2"}
    rows = {row["prefix"]: row for row in pe1.dualpath_json("routes", "--vrf", "red")}
    assert rows[f"{pe2.routed.v4}/32"]["programmed"]["vni"] == 100
    assert rows[f"{pe2.routed.v6}/128"]["programmed"]["vni"] == 100


def test_withdrawn_route_is_removed(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    lines = (f"router bgp {pe2.plan.asn} vrf red", "address-family ipv4 unicast")
    pe2.router.configure(*lines, "network 203.0.113.0/24")
    wait_until(lambda: has(pe1, "203.0.113.0/24"), "the route is there", 20)
    pe2.router.configure(*lines, "no network 203.0.113.0/24")
    wait_until(lambda: not has(pe1, "203.0.113.0/24"), "the route is gone", 20)


def has(pe: Pe, prefix: str) -> bool:
    return prefix in pe.forwarding.ip("route", "show", "vrf", "red")
