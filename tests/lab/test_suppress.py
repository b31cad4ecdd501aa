"""`suppressFIBPending`: FRR advertises a route once the datapath has it, and none that it refuses.

A host announces prefixes in the fabric's own routing, and the spine is the far side. What the
datapath refuses another program has occupied before: in grout the prefix, and in the kernel the ids
of the nexthops that the datapath makes next.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.lab import manifests
from tests.lab.fabric import Fabric, Options, Pe
from tests.lab.frr import Frr, Settings
from tests.lab.passthrough import legs, make_host, passthrough, speaker
from tests.lab.plan import Datapath, PePlan, Topology
from tests.lab.processes import run
from tests.lab.product import grout_socket
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.datapaths("kernel", "dpdk", long=("dpdk",))]

Say = Callable[[str], None]
PREFIXES = ("198.51.100.0/25", "2001:db8:51:1::/64")
LATER = ("198.51.100.128/25", "2001:db8:51:2::/64")
SESSIONS = 3  # the spine, and two of the host
SEEN_S = 30.0
MANY_IDS = 8
UNSEEN_S = 5.0  # FRR's suppress timer is one second


def suppressing(plan: PePlan) -> str:
    text = manifests.manifest(plan)
    return text.replace("  gracefulRestart", "  suppressFIBPending: true\n  gracefulRestart", 1)


FABRIC = (Topology(pes=1, numbered=False), Options(files=suppressing, manifest=passthrough))


@pytest.fixture(scope="module")
def host(_standing: Fabric) -> Frr:
    """The FRR of pe1's host, which announces nothing yet; the spine takes both families."""
    pe1, spine = _standing.pes[0], _standing.spines[0]
    port = pe1.plan.uplinks[0].spine_port
    spine.configure("router bgp", "address-family ipv6 unicast", f"neighbor {port} activate")
    lines = speaker(pe1.plan).splitlines(keepends=True)
    silent = "".join(line for line in lines if not line.startswith("  network"))
    settings = Settings(daemons=("mgmtd", "zebra", "bgpd"), configuration=silent)
    frr: Frr = _standing.scenario.frr("host", make_host(_standing, pe1).namespace, settings)
    frr.start()
    wait_until(
        lambda: pe1.dualpath("status").count("Established") == SESSIONS, "all sessions", SEEN_S
    )
    return frr


def announce(host: Frr, plan: PePlan, prefixes: tuple[str, str], no: str = "") -> None:
    for family, prefix in zip(("ipv4", "ipv6"), prefixes, strict=True):
        where = (f"router bgp {plan.host_asn}", f"address-family {family} unicast")
        host.configure(*where, f"{no}network {prefix}")


def seen(fabric: Fabric, prefixes: tuple[str, str]) -> bool:
    """Return whether the spine has learned these prefixes, all of them."""
    ask = fabric.spines[0].vtysh
    text = ask("show bgp ipv4 unicast") + ask("show bgp ipv6 unicast")
    return all(f" {prefix} " in text.replace("\n", " ") for prefix in prefixes)


def are(pe: Pe, prefixes: tuple[str, str], state: str) -> bool:
    """Return whether the routes to these prefixes are in a state."""
    rows = pe.dualpath_json("routes", "--vrf", "default")
    states = {row["prefix"]: row["state"] for row in rows}
    return all(states.get(prefix) == f"ROW_STATE_{state}" for prefix in prefixes)


@contextmanager
def occupied(pe: Pe, prefixes: tuple[str, str]) -> Iterator[None]:
    """Occupy, as another program, what the datapath needs for these prefixes."""
    if pe.plan.datapath is Datapath.DPDK:
        route = ["grcli", "-s", str(grout_socket(pe.plan)), "route"]
        via = (
            leg.rpartition(sign)[0] + sign + "77"
            for leg, sign in zip(legs(pe.plan), ".:", strict=True)
        )
        plant = [
            [*route, "add", prefix, "via", by] for prefix, by in zip(prefixes, via, strict=True)
        ]
        remove = [[*route, "del", prefix] for prefix in prefixes]
    else:
        nexthop = ["ip", "-n", pe.name, "nexthop"]
        first = max(row["id"] for row in pe.forwarding.ip_json("nexthop", "show")) + 1
        ids = [["id", str(number)] for number in range(first, first + MANY_IDS)]
        plant = [[*nexthop, "add", *one, "blackhole", "proto", "static"] for one in ids]
        remove = [[*nexthop, "del", *one] for one in ids]
    for command in plant:
        run(command)
    try:
        yield
    finally:
        for command in remove:
            run(command)


def test_refused_route_is_not_advertised_until_it_is_programmed(
    fabric: Fabric, host: Frr, say: Say
) -> None:
    pe1 = fabric.pes[0]
    with occupied(pe1, PREFIXES):
        announce(host, pe1.plan, PREFIXES)
        wait_until(
            lambda: "refused by the datapath" in pe1.dualpath("status"), "it is said", SEEN_S
        )
        time.sleep(UNSEEN_S)
        routes = pe1.router.vtysh("show ip route", "show ipv6 route")
        for prefix in PREFIXES:
            assert prefix in routes
            assert not seen(fabric, (prefix, prefix))
            assert not are(pe1, (prefix, prefix), "PROGRAMMED")
        if pe1.plan.datapath is Datapath.DPDK:  # in the kernel the routes' nexthops are refused
            assert routes.count("B>o") == len(PREFIXES), routes
    since = time.monotonic()
    wait_until(lambda: seen(fabric, PREFIXES), "the spine has them", 120)
    say(f"the spine has them {time.monotonic() - since:.1f} s after the other program left")
    assert are(pe1, PREFIXES, "PROGRAMMED")


def test_route_is_advertised_only_once_it_is_programmed(
    fabric: Fabric, host: Frr, say: Say
) -> None:
    """The controller is stopped, so nobody programs; FRR itself is well."""
    pe1 = fabric.pes[0]
    pid = pe1.controller.pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    try:
        announce(host, pe1.plan, LATER)
        time.sleep(UNSEEN_S)
        for prefix in LATER:
            assert prefix in pe1.router.vtysh("show ip route", "show ipv6 route")
            assert not seen(fabric, (prefix, prefix))
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: seen(fabric, LATER), "the spine has them", SEEN_S)
    assert are(pe1, LATER, "PROGRAMMED")
