"""Silent hosts are kept while they are present, also across a restart of FRR.

Clocks are wound up, so that minutes take seconds. The kernel's: a MAC ages after 20 s (else 300), a
neighbor is stale after two to five (else 15 to 45). grout's: a MAC ages after 20 s (else 1500), a
neighbor is asked again after 12 (else 1200).
"""

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.lab.fabric import Fabric, Pe
from tests.lab.namespaces import monitored
from tests.lab.ping import flows
from tests.lab.plan import BRIDGED_GATEWAYS, L2_VNI, Datapath
from tests.lab.product import grcli
from tests.lab.waiting import wait_until
from tests.unit.controller.intent.rulebook import rule

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.datapaths("kernel", "dpdk")]

AGEING_S = 20
STALE_S = 3
LIFETIME_S = 12  # grout's; the agent looks every five seconds whether it is to ask


@pytest.fixture
def hasty(fabric: Fabric) -> Fabric:
    for pe in fabric.pes:
        (hasten_grout if pe.plan.datapath is Datapath.DPDK else hasten_kernel)(pe)
    return fabric


def hasten_grout(pe: Pe) -> None:
    grcli(pe.plan, "nexthop", "config", "set", "life", str(LIFETIME_S))
    grcli(pe.plan, "interface", "set", "bridge", f"br{L2_VNI}", "ageing_time", str(AGEING_S))


def hasten_kernel(pe: Pe) -> None:
    bridge = f"br{L2_VNI}"
    pe.forwarding.ip("link", "set", bridge, "type", "bridge", "ageing_time", str(AGEING_S * 100))
    for family in ("ipv4", "ipv6"):
        neigh = f"{family}__neigh__{bridge}__"
        settings = {f"{neigh}base_reachable_time_ms": STALE_S * 1000}
        pe.forwarding.sysctl(**settings, **{f"{neigh}delay_first_probe_time": 1})


def introduce(fabric: Fabric, pe: Pe) -> None:
    """Let a host send to its gateway once, so that the other router learns it."""
    for gateway in BRIDGED_GATEWAYS:
        pe.bridged.wait_for_ping(gateway.split("/")[0])
    other = next(other for other in fabric.pes if other is not pe)
    wait_until(lambda: knows(other, pe), f"{other.name} knows the host of {pe.name}", 20)


def knows(pe: Pe, owner: Pe) -> bool:
    """Return whether a router has MAC and both addresses of another's bridged host."""
    host = owner.bridged
    return {host.v4, host.v6} <= addresses(pe) and host.mac() in macs(pe)


def addresses(pe: Pe) -> set[str]:
    """Return the addresses of bridged hosts that a router sends packets to."""
    rows = pe.dualpath_json("neighbors", "--vni", str(L2_VNI))
    return {row["address"] for row in rows if row["state"] == "ROW_STATE_PROGRAMMED"}


def macs(pe: Pe) -> set[str]:
    return {row["mac"] for row in pe.dualpath_json("macs", "--vni", str(L2_VNI))}


@contextlib.contextmanager
def rewritten(pe: Pe, owner: Pe) -> Iterator[list[str]]:
    """Watch what a router's kernel has of another's bridged host; what was written is there after.

    A host asks for its gateway by its link-local address, so that may turn up, once.
    """
    seen: list[str] = []
    known = addresses(pe)
    with monitored(pe.forwarding, "neigh") as changes:
        yield seen
        lines = [line for line in changes() if owner.bridged.mac() in line]
    seen += [line for line in lines if "fe80:" not in line or any(map(line.__contains__, known))]


def come_back(pe: Pe) -> None:
    """Give a bridged host what it loses with its link."""
    gateways = [gateway.split("/")[0] for gateway in BRIDGED_GATEWAYS]
    commands = [f"route replace default via {gateway}" for gateway in gateways]
    pe.bridged.namespace.ip_batch(
        "link set eth0 up", f"address replace {pe.bridged.v6}/64 dev eth0 nodad", *commands
    )


@rule("Layout.neighbors")
def test_silent_host_is_kept(hasty: Fabric) -> None:
    """For longer than its MAC's lifetime, and no row of it is written again at the far end."""
    pe1, pe2 = hasty.pes
    introduce(hasty, pe1)
    with rewritten(pe2, pe1) as seen:
        time.sleep(2 * AGEING_S)
        assert knows(pe2, pe1)
    assert seen == [], "\n".join(seen)


def test_silent_host_is_kept_while_frr_restarts(hasty: Fabric) -> None:
    pe1, pe2 = hasty.pes
    introduce(hasty, pe1)
    with rewritten(pe2, pe1) as seen:
        pe1.router.kill()
        time.sleep(1.2 * AGEING_S)
        pe1.router.start()
        hasty.wait_for_bgp()
        hasty.wait_until_live()
        assert knows(pe2, pe1)
    assert seen == [], "\n".join(seen)


def test_probing_loses_no_packet_to_a_host(hasty: Fabric) -> None:
    """Hosts are probed while packets pass, before the datapath would queue these."""
    pe1, pe2 = hasty.pes
    introduce(hasty, pe1)
    far = pe2.routed.namespace
    targets = (pe1.bridged.v4, pe1.bridged.v6, pe1.routed.v4, pe1.routed.v6)
    with flows(*((far, target) for target in targets)) as results:
        time.sleep(2.5 * LIFETIME_S)
    assert [result.lost for result in results] == [0, 0, 0, 0], results


def test_address_that_left_is_withdrawn(hasty: Fabric) -> None:
    """Its host remains, and so do its MAC and its other address."""
    pe1, pe2 = hasty.pes
    introduce(hasty, pe1)
    host = pe1.bridged
    host.namespace.ip("address", "del", f"{host.v6}/64", "dev", "eth0")
    try:
        wait_until(lambda: host.v6 not in addresses(pe2), "its address is withdrawn", 60)
        assert host.v4 in addresses(pe2)
        assert host.mac() in macs(pe2)
    finally:
        come_back(pe1)


def test_host_that_left_is_withdrawn(hasty: Fabric) -> None:
    """Its addresses are withdrawn after the first unanswered probe, or when its MAC ages out."""
    pe1, pe2 = hasty.pes
    introduce(hasty, pe1)
    pe1.bridged.namespace.ip("link", "set", "eth0", "down")
    try:
        wait_until(lambda: not knows(pe2, pe1), "its addresses are withdrawn", 2 * AGEING_S)
        mac = pe1.bridged.mac()
        wait_until(lambda: mac not in macs(pe2), "its MAC is withdrawn", 2 * AGEING_S)
    finally:
        come_back(pe1)
