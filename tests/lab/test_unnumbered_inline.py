"""BGP unnumbered without `fpm use-next-hop-groups`: IPv4 routes bring an IPv6 nexthop along.

zebra's kernel has the nexthop as 169.254.0.1 with a neighbor of its own, which means nothing
where packets go; on FPM it is the neighbor's link-local address (RTA_VIA).
"""

import pytest

from tests.lab.fabric import Fabric, Options
from tests.lab.plan import Topology
from tests.lab.test_inline_nexthops import RAW

pytestmark = [pytest.mark.lab, pytest.mark.long]

FABRIC = (Topology(spines=2, numbered=False), Options(manifest=lambda _: RAW))


def test_overlay_works_with_unnumbered_sessions(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    assert "no fpm use-next-hop-groups" in pe1.router.vtysh("show running-config")
    assert "169.254.0.1 dev eth1 lladdr" in pe1.control.ip("neigh")
    assert pe1.view.uplinks_to(pe2.plan.vtep) == {"eth1", "eth2"}
    nexthops = pe1.forwarding.ip("nexthop", "show")
    assert "169.254.0.1" not in nexthops
    for uplink in pe1.plan.uplinks:
        assert any("via fe80::" in n and uplink.nic in n for n in nexthops.splitlines())
    assert pe1.bridged.ping(pe2.routed.v4, 2.0)
    assert pe1.bridged.ping(pe2.routed.v6, 2.0)
