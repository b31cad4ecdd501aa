"""A host in the fabric's own routing: no tunnel on the wire, and BGP through the twin.

On pe1 FRR speaks on the leg and learns where the others are; on pe2 the leg has a default route.
"""

import pytest

from tests.lab.fabric import Fabric, Options
from tests.lab.frr import Frr, Settings
from tests.lab.hosts import Host
from tests.lab.namespaces import said_by
from tests.lab.passthrough import SERVICES, make_host, passthrough, routers, speaker
from tests.lab.ping import flows
from tests.lab.plan import Topology
from tests.lab.waiting import wait_until
from tests.unit.controller.intent.rulebook import rule

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.datapaths("kernel", "dpdk")]

FAR = ("203.0.113.1", "2001:db8:113::1")  # behind the spine, which has never heard of a tenant


FABRIC = (Topology(numbered=False), Options(manifest=passthrough))


def make_far(fabric: Fabric) -> None:
    """Give the spine its own addresses, and IPv6 sessions with the PEs."""
    spine = fabric.spines[0]
    spine.namespace.ip_batch(*(f"address replace {address} dev lo" for address in FAR))
    spine.configure(
        "router bgp",
        "address-family ipv4 unicast",
        f"network {FAR[0]}/32",
        "exit-address-family",
        "address-family ipv6 unicast",
        f"network {FAR[1]}/128",
        *(f"neighbor {pe.plan.uplinks[0].spine_port} activate" for pe in fabric.pes),
    )


@pytest.fixture(scope="module")
def passed(_standing: Fabric) -> list[Host]:
    make_far(_standing)
    one, two = (make_host(_standing, pe) for pe in _standing.pes)
    pe1, pe2 = _standing.pes
    one.namespace.ip_batch(*(f"address add {service} dev lo" for service in SERVICES))
    settings = Settings(daemons=("mgmtd", "zebra", "bgpd"), configuration=speaker(pe1.plan))
    frr: Frr = _standing.scenario.frr("passed", one.namespace, settings)
    frr.start()
    for router in routers(pe2.plan):
        two.namespace.ip("route", "replace", "default", "via", router)
    return [one, two]


@rule("Layout.passthrough")
def test_passthrough_host_reaches_the_fabric_without_a_tunnel(
    fabric: Fabric, passed: list[Host]
) -> None:
    one, two = passed
    spine = fabric.spines[0].namespace
    for far in FAR:
        one.wait_for_ping(far)
        two.wait_for_ping(far)
    for address in (one.v4, one.v6):
        two.wait_for_ping(address)
    for service in SERVICES:
        two.wait_for_ping(service)
    port = fabric.pes[0].plan.uplinks[0].spine_port
    seen = spine.inside("tcpdump", "-n", "-l", "-i", port, "--immediate-mode", "host", two.v4)
    with said_by(seen, ready="listening on") as lines:
        assert one.ping(two.v4)
        wait_until(lambda: any("ICMP echo reply" in line for line in lines()), "it was heard", 10)
        assert not [line for line in lines() if "VXLAN" in line]


def test_passthrough_host_reaches_no_tenant(fabric: Fabric, passed: list[Host]) -> None:
    pe1, pe2 = fabric.pes
    for host in passed:
        assert not host.ping(pe1.routed.v4, 0.5)
        assert not host.ping(pe2.bridged.v4, 0.5)
    assert not pe1.routed.ping(passed[1].v4, 0.5)


def test_passthrough_hosts_frr_learns_the_fabrics_routes(
    fabric: Fabric, passed: list[Host]
) -> None:
    one, two = passed
    for family, known in (("-4", two.v4), ("-6", two.v6), ("-4", FAR[0]), ("-6", FAR[1])):
        assert "proto bgp" in one.namespace.ip(family, "route", "show", known), known


def test_packets_are_forwarded_while_frr_is_dead(fabric: Fabric, passed: list[Host]) -> None:
    """The passthrough's BGP session and a tenant's alike."""
    one, two = passed
    pe2 = fabric.pes[1]
    for target in (one.v4, one.v6):
        two.wait_for_ping(target)
    with flows((two.namespace, one.v4), (two.namespace, one.v6), (two.namespace, FAR[0])) as seen:
        pe2.router.kill()
        pe2.router.start()
        fabric.wait_for_bgp()
        fabric.wait_until_live()
    assert [result.lost for result in seen] == [0, 0, 0], seen
