"""With several VNIs, hosts of one VRF reach each other only."""

from functools import partial

import pytest

from tests.lab import hosts
from tests.lab.fabric import STANDARD, Fabric, Options, Pe
from tests.lab.hosts import Host
from tests.lab.manifests import GROUP
from tests.lab.ovs import Switch
from tests.lab.plan import TENANT_VRF, PePlan
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.datapaths("kernel", "dpdk")]

BLUE, SECOND, ALONE, DETACHED = 200, 111, 112, 113
MANAGED = "{type: LinuxBridge, linuxBridge: {lifecycle: Managed}}"
SWITCHED = "{type: OVSBridge, ovsBridge: {lifecycle: Managed}}"


def blue_pools(plan: PePlan) -> tuple[str, str]:
    return f"10.20{plan.index}.0", f"2001:db8:20{plan.index}:"


def more(plan: PePlan) -> str:
    """Return a second tenant, a second segment of the first, and two segments without a VRF."""
    v4, v6 = blue_pools(plan)
    switched = plan.index == 1  # there Open vSwitch runs
    return f"""\
---
apiVersion: {GROUP}
kind: L3VNI
metadata: {{name: blue}}
spec:
  vrf: blue
  vni: {BLUE}
  hostNetns: {plan.name}-blue
  hostSession:
    asn: {plan.asn}
    hostASN: 64999
    localCIDR: {{ipv4: {v4}.0/24, ipv6: "{v6}:/64"}}
---
apiVersion: {GROUP}
kind: L2VNI
metadata: {{name: second}}
spec:
  vni: {SECOND}
  routingDomain: {{type: L3VNI, l3vni: {{name: {TENANT_VRF}}}}}
  gatewayIPs: [10.111.0.1/24, "2001:db8:111::1/64"]
  hostMaster: {MANAGED}
---
apiVersion: {GROUP}
kind: L2VNI
metadata: {{name: alone}}
spec: {{vni: {ALONE}, hostMaster: {SWITCHED if switched else MANAGED}}}
---
apiVersion: {GROUP}
kind: L2VNI
metadata: {{name: detached}}
spec: {{vni: {DETACHED}{"" if switched else f", hostMaster: {MANAGED}"}}}
"""


FABRIC = (STANDARD, Options(manifest=more))


@pytest.fixture(scope="module")
def switch(_standing: Fabric) -> Switch:
    made = Switch(_standing.scenario, _standing.pes[0].node)
    made.start()
    made.vsctl("add-br", "ovs0")
    made.vsctl("add-port", "ovs0", f"host-e-{DETACHED}")  # what a user does with a detached leg
    return made


@pytest.fixture(scope="module")
def blue(_standing: Fabric) -> list[Host]:
    return [blue_host(_standing, pe) for pe in _standing.pes]


def blue_host(fabric: Fabric, pe: Pe) -> Host:
    """Create the namespace of blue's host end; the product waited for it."""
    v4, v6 = blue_pools(pe.plan)
    number = 2 + pe.plan.index
    host = Host(fabric.scenario.namespace(f"{pe.name}-blue"), f"{v4}.{number}", f"{v6}:{number}")
    wait_until(lambda: f"{host.v6}/" in host.namespace.ip("address"), "the blue leg", 30)
    host.namespace.ip_batch(
        f"route replace default via {v4}.1", f"route replace default via {v6}:1"
    )
    return host


def bridged_host(fabric: Fabric, pe: Pe, vni: int) -> Host:
    """Make a host on the managed bridge of a segment."""
    host = segment_host(fabric, pe, vni)
    hosts.attach(host.namespace, f"br-hs-{vni}", pe.node, port=f"port{vni}")
    return configured(host, vni)


def switched_host(fabric: Fabric, switch: Switch, pe: Pe, vni: int, bridge: str) -> Host:
    """Create a host on an Open vSwitch bridge."""
    host = segment_host(fabric, pe, vni)
    fabric.scenario.link(pe.node, f"port{vni}", host.namespace, "eth0")
    switch.vsctl("add-port", bridge, f"port{vni}")
    return configured(host, vni)


def segment_host(fabric: Fabric, pe: Pe, vni: int) -> Host:
    namespace = fabric.scenario.namespace(f"{pe.name}-{vni}")
    return Host(namespace, f"10.{vni}.0.1{pe.plan.index}", f"2001:db8:{vni}::1{pe.plan.index}")


def configured(host: Host, vni: int) -> Host:
    gateways = (f"10.{vni}.0.1", f"2001:db8:{vni}::1")
    addresses = (f"{host.v4}/24", f"{host.v6}/64")
    hosts.configure(host.namespace, "eth0", addresses, gateways)
    return host


def meet(one: Host, two: Host) -> None:
    for source, target in ((one, two), (two, one)):
        source.wait_for_ping(target.v4)
        source.wait_for_ping(target.v6)


def never_meet(one: Host, two: Host) -> None:
    for source, target in ((one, two), (two, one)):
        for address in (target.v4, target.v6):
            assert not source.ping(address, 0.3), f"{source.namespace.name} reaches {address}"


def test_tenants_are_isolated(fabric: Fabric, blue: list[Host]) -> None:
    """Each host reaches its own tenant on the other node, and never the other tenant."""
    pe1, pe2 = fabric.pes
    meet(blue[0], blue[1])
    for red in (pe1.routed, pe2.routed, pe2.bridged):
        never_meet(blue[0], red)
    rows = {row["prefix"] for row in pe1.dualpath_json("routes", "--vrf", "blue")}
    assert f"{blue[1].v4}/32" in rows
    assert f"{pe2.routed.v4}/32" not in rows


def test_packet_for_another_tenant_is_not_delivered(fabric: Fabric, blue: list[Host]) -> None:
    """Packets for the other tenant that a host sends to its own gateway do not arrive."""
    pe1, _ = fabric.pes
    own = blue_pools(pe1.plan)[0]
    blue[0].namespace.ip("route", "replace", pe1.routed.v4, "via", f"{own}.1")
    assert not blue[0].ping(pe1.routed.v4, 0.5)
    assert not blue[0].ping(pe1.plan.pool_gateways[0], 0.5)


def test_segments_of_one_vrf_reach_each_other(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    one, two = (bridged_host(fabric, pe, SECOND) for pe in (pe1, pe2))
    meet(one, two)
    meet(one, pe2.bridged)
    meet(two, pe1.routed)


def test_segment_without_a_vrf_is_isolated(fabric: Fabric, switch: Switch) -> None:
    """On pe1 its leg is in a bridge created in Open vSwitch, on pe2 in a kernel bridge."""
    pe1, pe2 = fabric.pes
    bridge = f"br-hs-{ALONE}"
    wait_until(lambda: bridge in switch.vsctl("list-br"), "the managed OVS bridge", 60)
    wait_until(lambda: f"host-e-{ALONE}" in switch.ports(bridge), "the leg is in it", 30)
    one = switched_host(fabric, switch, pe1, ALONE, bridge)
    two = bridged_host(fabric, pe2, ALONE)
    meet(one, two)
    never_meet(one, pe1.bridged)
    never_meet(two, pe2.routed)


def test_leg_in_an_ovs_bridge_reaches_its_segment(fabric: Fabric, switch: Switch) -> None:
    pe1, pe2 = fabric.pes
    one = switched_host(fabric, switch, pe1, DETACHED, "ovs0")
    two = bridged_host(fabric, pe2, DETACHED)
    meet(one, two)
    never_meet(one, pe1.bridged)


def test_every_resource_is_ready(fabric: Fabric, switch: Switch) -> None:
    for pe in fabric.pes:
        wait_until(partial(all_ready, pe), f"{pe.name}'s resources are in force", 30)


def all_ready(pe: Pe) -> bool:
    return all(row["ready"] for row in pe.dualpath_json("status")["resources"])
