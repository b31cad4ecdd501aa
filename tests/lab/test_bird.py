"""Calico on the nodes: BIRD 2 advertises pod blocks, and pods reach each other over the fabric."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from tests.lab.bird import Bird, Session, Settings
from tests.lab.fabric import Fabric, Pe
from tests.lab.hosts import Host
from tests.lab.namespaces import Namespace, monitored
from tests.lab.ping import flows
from tests.lab.plan import TENANT_VRF, PePlan
from tests.lab.pods import make_pod
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.datapaths("kernel", "dpdk", long=("dpdk",))]


RECOVERY_S = 90.0  # BIRD's own "graceful restart wait" is 60: till then it writes no route
LATER_S = 3.0  # between the sessions of the two sides; FRR's own patience is one second


@dataclass(frozen=True, slots=True)
class Node:
    """A node with Calico on it: its router, BIRD, and a pod."""

    pe: Pe
    bird: Bird
    pod: Host


def blocks(plan: PePlan) -> tuple[str, str]:
    return f"10.244.{plan.index}.64/26", f"fd00:10:244:{plan.index}::40/122"


def make_node(fabric: Fabric, pe: Pe) -> Node:
    plan = pe.plan
    pairs = zip(plan.pool_gateways, plan.routed_addresses, strict=True)
    settings = Settings(
        router_id=plan.routed_addresses[0],
        asn=plan.host_asn,
        router_asn=plan.asn,
        sessions=tuple(Session(router, own) for router, own in pairs),
        blocks=blocks(plan),
        graceful_restart="on"
        if plan.index == 1
        else "aware",  # as whoever restarts, or as a helper
    )
    v4, v6 = f"10.244.{plan.index}.67", f"fd00:10:244:{plan.index}::43"
    pod = make_pod(fabric.scenario, pe.node, v4, v6)
    return Node(pe, Bird(fabric.scenario, pe.node, settings), pod)


@pytest.fixture(scope="module")
def nodes(_standing: Fabric) -> list[Node]:
    made = [make_node(_standing, pe) for pe in _standing.pes]
    for node in made:
        node.bird.start()
    return made


@pytest.fixture
def calico(fabric: Fabric, nodes: list[Node]) -> list[Node]:
    """Two nodes whose pods reach each other."""
    one, two = nodes
    for node in nodes:
        node.bird.wait_for_sessions(2)
    for source, target in ((one, two), (two, one)):
        source.pod.wait_for_ping(target.pod.v4)
        source.pod.wait_for_ping(target.pod.v6)
        wait_until(partial(has_learnt, source, target), "BIRD's routes in the kernel", RECOVERY_S)
    return nodes


def test_pod_blocks_are_advertised_as_type_5_routes(calico: list[Node]) -> None:
    one, two = calico
    advertised = two.pe.router.vtysh("show bgp l2vpn evpn route type prefix self-originate")
    for block in blocks(two.pe.plan):
        assert f"[{block.split('/')[0]}]" in advertised, advertised
        rows = {row["prefix"]: row for row in one.pe.dualpath_json("routes", "--vrf", TENANT_VRF)}
        assert rows[block]["state"] == "ROW_STATE_PROGRAMMED"


def test_host_learns_the_pod_blocks_of_the_other_node(calico: list[Node]) -> None:
    assert has_learnt(*calico)


def test_pods_keep_connectivity_while_bird_is_dead(calico: list[Node]) -> None:
    """BIRD crashes and restarts gracefully: the router keeps its routes."""
    one, two = calico
    pairs = ((two.pod.namespace, one.pod.v4), (two.pod.namespace, one.pod.v6))
    with flows(*pairs) as results:
        one.bird.kill()
        time.sleep(3)
        assert has_routes(two.pe, blocks(one.pe.plan))
        one.bird.start()
        one.bird.wait_for_sessions(2)
        time.sleep(2)
    assert [result.lost for result in results] == [0, 0], results


@pytest.mark.parametrize("restarted", [0, 1], ids=["on", "aware"])
def test_pods_keep_connectivity_while_frr_is_dead(
    fabric: Fabric, calico: list[Node], restarted: int
) -> None:
    """BIRD is a helper: while its router's FRR restarts it keeps what it learned."""
    one, two = calico[restarted], calico[1 - restarted]
    pairs = ((one.pod.namespace, two.pod.v4), (two.pod.namespace, one.pod.v6))
    with flows(*pairs) as results:
        one.pe.router.kill()
        time.sleep(2)
        assert has_learnt(one, two)
        one.pe.router.start()
        fabric.wait_for_bgp()
        fabric.wait_until_live()
        one.bird.wait_for_sessions(2)
    assert [result.lost for result in results] == [0, 0], results


@pytest.mark.parametrize("late", ["fabric", "host"])
def test_restarted_frr_waits_for_the_slower_side(
    fabric: Fabric, calico: list[Node], late: str
) -> None:
    """FRR sends one side no End-of-RIB before the other's routes arrive, so none is withdrawn."""
    one, two = calico
    pairs = ((one.pod.namespace, two.pod.v4), (two.pod.namespace, one.pod.v6))
    side = (fabric.spines[0].namespace, "pe1") if late == "fabric" else (one.pe.node, "host-e-100")
    with (
        bgp_dropped(*side) as let_in,
        flows(*pairs) as results,
        monitored(one.pe.node, "route") as at_the_node,
        two.pe.view.changes("route") as at_the_far_end,
    ):
        one.pe.router.kill()
        one.pe.router.start()
        if late == "fabric":
            one.bird.wait_for_sessions(2)
        else:
            fabric.wait_for_bgp()
        time.sleep(LATER_S)
        let_in()
        fabric.wait_for_bgp()
        one.bird.wait_for_sessions(2)
        fabric.wait_until_live()
        written = [*at_the_node(), *at_the_far_end()]
    assert [result.lost for result in results] == [0, 0], results
    pods = [block for node in calico for block in blocks(node.pe.plan)]
    touched = [line for line in written if any(block in line for block in pods)]
    assert touched == [], "\n".join(touched)


@contextlib.contextmanager
def bgp_dropped(namespace: Namespace, device: str) -> Iterator[Callable[[], object]]:
    """Drop BGP that arrives on a device, until the yielded function is called."""
    tc = partial(namespace.run, "tc")
    ingress = ("dev", device, "ingress")
    tc("qdisc", "add", "dev", device, "clsact")
    try:
        for family, port in itertools.product(("ip", "ipv6"), ("src_port", "dst_port")):
            match = ["protocol", family, "flower", "ip_proto", "tcp", port, "179"]
            tc("filter", "add", *ingress, *match, "action", "drop")
        yield partial(tc, "filter", "del", *ingress)
    finally:
        tc("qdisc", "del", "dev", device, "clsact")


def test_withdrawn_block_is_removed(calico: list[Node]) -> None:
    one, two = calico
    one.bird.birdc("disable", "blocks4")
    wait_until(lambda: not has_routes(two.pe, blocks(one.pe.plan)[:1]), "the block is gone", 20)
    assert has_routes(two.pe, blocks(one.pe.plan)[1:])
    one.bird.birdc("enable", "blocks4")
    wait_until(lambda: has_routes(two.pe, blocks(one.pe.plan)), "the block is back", 20)


def has_learnt(node: Node, other: Node) -> bool:
    """Return whether a node's kernel has the routes that its BIRD learned of another node."""
    pairs = zip(("-4", "-6"), blocks(other.pe.plan), strict=True)
    return all("proto bird" in node.pe.node.ip(v, "route", "show", block) for v, block in pairs)


def has_routes(pe: Pe, prefixes: tuple[str, ...]) -> bool:
    """Return whether the tenant's VRF has routes to all of these prefixes."""
    return all(map(pe.view.has_route, prefixes))
