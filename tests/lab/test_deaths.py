"""Who may die: FRR's daemons one by one and together, its namespace, the bridge, the controller.

Packets do not pay for any of it, and whoever comes back finds everything as it was.
"""

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.lab import namespaces
from tests.lab.fabric import Fabric, Pe
from tests.lab.ping import flows
from tests.lab.plan import TENANT_VRF
from tests.lab.processes import run
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

BACK_S = 60.0


def test_all_of_frr(fabric: Fabric) -> None:
    pe1 = fabric.pes[0]
    with nothing_lost(fabric), nothing_rewritten(pe1):
        pe1.router.kill()
        time.sleep(3)
        pe1.router.start()
        comes_back(fabric, pe1)


def test_bgpd_alone(fabric: Fabric) -> None:
    pe1 = fabric.pes[0]
    with nothing_lost(fabric), nothing_rewritten(pe1):
        pe1.router.kill("bgpd")
        wait_until(lambda: state_of(pe1) == "held", "the withdrawals are held", 10)
        time.sleep(2)
        pe1.router.start()
        comes_back(fabric, pe1)


def test_zebra_alone(fabric: Fabric) -> None:
    """bgpd never repeats its routes to a new zebra: they are kept, and that is said."""
    pe1 = fabric.pes[0]
    with nothing_lost(fabric), nothing_rewritten(pe1):
        pe1.router.kill("zebra")
        time.sleep(1)
        pe1.router.start()
        wait_until(lambda: state_of(pe1) == "held", "the session is held", 30)
        assert "zebra was restarted without bgpd" in pe1.dualpath("status")
        time.sleep(25)  # zebra's own -K20 has swept by now
        assert state_of(pe1) == "held"
    with nothing_lost(fabric):
        pe1.router.restart()
        comes_back(fabric, pe1)


def test_frr_bridge(fabric: Fabric) -> None:
    pe1 = fabric.pes[0]
    with nothing_lost(fabric), nothing_rewritten(pe1):
        run(["pkill", "-KILL", "-f", f"frr_bridge.*--frr-name={pe1.name}"])
        time.sleep(1)
        comes_back(fabric, pe1)


def test_controller(fabric: Fabric) -> None:
    pe1 = fabric.pes[0]
    with nothing_lost(fabric), nothing_rewritten(pe1):
        pe1.controller.kill()
        time.sleep(2)
        pe1.controller.start()
        comes_back(fabric, pe1)


def test_the_namespace_of_frr(fabric: Fabric) -> None:
    pe1 = fabric.pes[0]
    with nothing_lost(fabric):
        pe1.router.stop()
        namespaces.delete(pe1.control)
        time.sleep(2)
        pe1.start_frr()
        comes_back(fabric, pe1)


def test_a_route_that_nobody_repeats_is_swept(fabric: Fabric) -> None:
    """A prefix that went while FRR was dead is gone once FRR is whole again, and not before."""
    pe1, pe2 = fabric.pes
    pe2.router.configure(
        f"router bgp {pe2.plan.asn} vrf {TENANT_VRF}",
        "address-family ipv4 unicast",
        "network 203.0.113.0/24",
    )
    wait_until(lambda: has_route(pe1, "203.0.113.0/24"), "the route is there", 30)
    pe1.router.kill()
    pe2.router.configure(
        f"router bgp {pe2.plan.asn} vrf {TENANT_VRF}",
        "address-family ipv4 unicast",
        "no network 203.0.113.0/24",
    )
    time.sleep(2)
    assert has_route(pe1, "203.0.113.0/24")
    pe1.router.start()
    comes_back(fabric, pe1)
    wait_until(lambda: not has_route(pe1, "203.0.113.0/24"), "the route is swept", 30)


def state_of(pe: Pe) -> str:
    return str(pe.dualpath_json("status")["session_state"])


def has_route(pe: Pe, prefix: str) -> bool:
    """Tell whether the forwarding namespace has a route in the tenant's VRF."""
    return prefix in pe.forwarding.ip("route", "show", "vrf", TENANT_VRF)


def comes_back(fabric: Fabric, pe: Pe) -> None:
    """Wait until a PE is whole again."""
    time.sleep(1)
    fabric.wait_for_bgp(BACK_S)
    wait_until(pe.is_live, f"{pe.name} live", BACK_S, every_s=0.5)


@contextlib.contextmanager
def nothing_lost(fabric: Fabric) -> Iterator[None]:
    """Keep pings at 100/s going over the L3VNI and the L2VNI, both families: none may be lost."""
    pe1, pe2 = fabric.pes
    with flows(
        (pe1.routed.namespace, pe2.routed.v4),
        (pe2.routed.namespace, pe1.routed.v6),
        (pe1.bridged.namespace, pe2.bridged.v4),
        (pe2.bridged.namespace, pe1.bridged.v6),
    ) as results:
        yield
    for result in results:
        assert result.lost == 0, result
        assert result.transmitted > 100, result


@contextlib.contextmanager
def nothing_rewritten(pe: Pe) -> Iterator[None]:
    """Show that no route and no nexthop of the forwarding namespace is touched in the meantime."""
    before = forwarding_state(pe)
    with namespaces.monitored(pe.forwarding, "route", "nexthop") as changes:
        yield
        seen = [line for line in changes() if "proto kernel" not in line]
    assert seen == []
    assert forwarding_state(pe) == before


def forwarding_state(pe: Pe) -> list[str]:
    """Return the routes and nexthops that the controller put there."""
    text = pe.forwarding.ip("nexthop", "show") + pe.forwarding.ip("route", "show", "table", "all")
    return sorted(line.strip() for line in text.splitlines() if " proto " in line)
