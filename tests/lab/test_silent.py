"""Hosts that say nothing: kept while they are there, across a restart of FRR, and not after it.

The datapath's clocks are wound up, so that minutes take seconds: a MAC ages after 20 s (else 300),
a neighbour is stale after two to five (else 15 to 45 with the kernel, 100 with grout).
"""

import time

import pytest

from tests.lab.fabric import Fabric, Pe
from tests.lab.namespaces import monitored
from tests.lab.plan import BRIDGED_GATEWAYS, L2_VNI, Datapath
from tests.lab.processes import run
from tests.lab.product import grout_socket
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.datapaths("kernel", "dpdk")]

AGEING_S = 20
STALE_S = 3


@pytest.fixture
def hasty(fabric: Fabric) -> Fabric:
    for pe in fabric.pes:
        hasten(pe)
    return fabric


def hasten(pe: Pe) -> None:
    bridge = f"br{L2_VNI}"
    if pe.plan.datapath is Datapath.DPDK:
        grcli(pe, "interface", "set", "bridge", bridge, "ageing_time", str(AGEING_S))
        grcli(pe, "nexthop", "config", "set", "lifetime", str(STALE_S), "unreachable", "3")
        return
    pe.forwarding.ip("link", "set", bridge, "type", "bridge", "ageing_time", str(AGEING_S * 100))
    for family in ("ipv4", "ipv6"):
        neigh = f"{family}__neigh__{bridge}__"
        settings = {f"{neigh}base_reachable_time_ms": STALE_S * 1000}
        pe.forwarding.sysctl(**settings, **{f"{neigh}delay_first_probe_time": 1})


def grcli(pe: Pe, *words: str) -> None:
    run(["grcli", "-s", str(grout_socket(pe.plan)), *words])


def introduce(fabric: Fabric, pe: Pe) -> None:
    """Let a host speak to its gateway once, so that the other router knows it."""
    for gateway in BRIDGED_GATEWAYS:
        pe.bridged.wait_for_ping(gateway.split("/")[0])
    other = next(other for other in fabric.pes if other is not pe)
    wait_until(lambda: knows(other, pe), f"{other.name} knows the host of {pe.name}", 20)


def knows(pe: Pe, owner: Pe) -> bool:
    """Tell whether a router has MAC and both addresses of another's bridged host."""
    host = owner.bridged
    neighbors = {
        row["address"]
        for row in pe.dualpath_json("neighbors", "--vni", str(L2_VNI))
        if row["state"] == "ROW_STATE_PROGRAMMED"
    }
    macs = {row["mac"] for row in pe.dualpath_json("macs", "--vni", str(L2_VNI))}
    return {host.v4, host.v6} <= neighbors and host.mac() in macs


def test_a_silent_host_is_kept(hasty: Fabric) -> None:
    """Longer than its MAC would live, and nothing of it is written anew at the far end."""
    pe1, pe2 = hasty.pes
    introduce(hasty, pe1)
    with monitored(pe2.forwarding, "neigh") as changes:
        time.sleep(2 * AGEING_S)
        assert knows(pe2, pe1)
        seen = [line for line in changes() if pe1.bridged.mac() in line]
    assert seen == [], "\n".join(seen)


def test_a_silent_host_is_kept_while_frr_restarts(hasty: Fabric) -> None:
    pe1, pe2 = hasty.pes
    introduce(hasty, pe1)
    with monitored(pe2.forwarding, "neigh") as changes:
        pe1.router.kill()
        time.sleep(1.2 * AGEING_S)
        pe1.router.start()
        hasty.wait_for_bgp()
        hasty.wait_until_live()
        assert knows(pe2, pe1)
        seen = [line for line in changes() if pe1.bridged.mac() in line]
    assert seen == [], "\n".join(seen)


def test_a_host_that_left_is_forgotten(hasty: Fabric) -> None:
    """Its addresses go with the first question that it does not answer, its MAC by age."""
    pe1, pe2 = hasty.pes
    introduce(hasty, pe1)
    pe1.bridged.namespace.ip("link", "set", "eth0", "down")
    try:
        wait_until(lambda: not knows(pe2, pe1), "its addresses are withdrawn", 30)
        mac = pe1.bridged.mac()
        wait_until(
            lambda: mac not in {row["mac"] for row in pe2.dualpath_json("macs")},
            "its MAC is withdrawn",
            2 * AGEING_S,
        )
    finally:
        pe1.bridged.namespace.ip("link", "set", "eth0", "up")
        gateways = [gateway.split("/")[0] for gateway in BRIDGED_GATEWAYS]
        commands = [f"route replace default via {gateway}" for gateway in gateways]
        pe1.bridged.namespace.ip_batch(
            f"address replace {pe1.bridged.v6}/64 dev eth0 nodad", *commands
        )
