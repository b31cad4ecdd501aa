"""Service addresses: FRR on the node as MetalLB runs it, GoBGP as KubeVIP and Cilium do."""

import time
from functools import partial

import pytest

from tests.lab.fabric import Fabric, Pe
from tests.lab.frr import Frr
from tests.lab.gobgp import Gobgp, Neighbor, Settings
from tests.lab.metallb import services, started, take_services
from tests.lab.ping import flows
from tests.lab.plan import TENANT_VRF, PePlan
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.datapaths("kernel", "dpdk")]


@pytest.fixture(scope="module")
def frr(_standing: Fabric) -> Frr:
    """The first node's own FRR, which is independent of the router's."""
    return started(_standing.scenario, _standing.pes[0])


@pytest.fixture(scope="module")
def gobgp(_standing: Fabric) -> Gobgp:
    """The second node's GoBGP, which only advertises."""
    pe = _standing.pes[1]
    take_services(pe)
    neighbors = tuple(
        Neighbor(router, pe.plan.asn, (family,))
        for router, family in zip(
            pe.plan.pool_gateways, ("ipv4-unicast", "ipv6-unicast"), strict=True
        )
    )
    settings = Settings(pe.plan.host_asn, pe.plan.routed_addresses[0], neighbors)
    made = Gobgp(_standing.scenario, pe.node, settings)
    made.start()
    made.wait_for_sessions(2)
    announce(made, pe.plan)
    return made


def announce(speaker: Gobgp, plan: PePlan) -> None:
    v4, v6 = services(plan)
    speaker.announce(f"{v4}/32", "ipv4")
    speaker.announce(f"{v6}/128 nexthop {plan.routed_addresses[1]}", "ipv6")


def test_metallb_services_are_reached_across_the_fabric(fabric: Fabric, frr: Frr) -> None:
    pe1, pe2 = fabric.pes
    for service in services(pe1.plan):
        pe2.bridged.wait_for_ping(service)
        pe2.routed.wait_for_ping(service)
    rows = pe2.dualpath_json("routes", "--vrf", TENANT_VRF)
    assert set(services(pe1.plan)) <= {row["prefix"].split("/")[0] for row in rows}


def test_metallbs_frr_learns_the_tenants_routes(fabric: Fabric, frr: Frr) -> None:
    pe1, pe2 = fabric.pes
    for family, host in zip(("-4", "-6"), pe2.plan.routed_addresses, strict=True):
        wait_until(partial(has_learnt, pe1, family, host), f"{host} is a route on the node", 30)


def test_gobgp_services_are_reached_across_the_fabric(fabric: Fabric, gobgp: Gobgp) -> None:
    """It learns no route: replies take the node's default route."""
    pe1, pe2 = fabric.pes
    for service in services(pe2.plan):
        pe1.bridged.wait_for_ping(service)
        pe1.routed.wait_for_ping(service)
    assert "proto bgp" not in pe2.node.ip("route", "show")


def test_services_reach_each_other(fabric: Fabric, frr: Frr, gobgp: Gobgp) -> None:
    pe1, pe2 = fabric.pes
    with flows(*((pe1.node, s) for s in services(pe2.plan))) as results:
        time.sleep(1)
    assert [result.lost for result in results] == [0, 0], results


def test_withdrawn_service_is_removed(fabric: Fabric, gobgp: Gobgp) -> None:
    pe1, pe2 = fabric.pes
    v4, _ = services(pe2.plan)
    pe1.bridged.wait_for_ping(v4)
    gobgp.withdraw(f"{v4}/32", "ipv4")
    wait_until(lambda: not pe1.view.has_route(v4), "the route is gone", 20)
    announce(gobgp, pe2.plan)
    pe1.bridged.wait_for_ping(v4)


def has_learnt(pe: Pe, family: str, prefix: str) -> bool:
    return "proto bgp" in pe.node.ip(family, "route", "show", prefix)
