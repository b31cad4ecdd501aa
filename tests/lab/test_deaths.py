"""Any process may die: FRR's daemons alone and together, frr-bridge, the controller, a namespace.

Packets do not pay for any of it, nor for the death of grout-agent, and whoever comes back finds
everything as it was. When grout itself dies, which forwards, it is made whole without a hand.
"""

import os
import signal
import time
from collections.abc import Callable

import pytest

from datapaths.linux import netns
from tests.lab.chaos import faults, plan
from tests.lab.chaos.run import Runner
from tests.lab.chaos.world import World
from tests.lab.fabric import Fabric, Pe
from tests.lab.outliving import BACK_S, comes_back, nothing_lost, nothing_rewritten, state_of
from tests.lab.ping import flows
from tests.lab.plan import TENANT_VRF, Datapath
from tests.lab.processes import run
from tests.lab.product import grout_socket, signal_grout
from tests.lab.views import prefixes_of
from tests.lab.waiting import SLOWNESS, wait_until

pytestmark = pytest.mark.lab

EXPIRED_S = 10.0  # the lab's sessions expire after 9
GROUT_BACK_S = 150.0  # on a busy CPU grout needs up to 17 s for each of its two VRFs
HANGS_S = 25.0  # a question every 5 s, and 15 s for its answer
QUICK = (
    *("kill:bridge", "kill:controller", "fpm:garbage", "hand:alias"),
    *("hand:fdb", "hand:routes", "hand:neighbors", "hand:tc-flushed", "manifest:broken"),
)
MANY = 250  # routes that a grout which died has to get again


@pytest.mark.datapaths("kernel", "dpdk")
def test_killing_all_of_frr_loses_no_packet(fabric: Fabric) -> None:
    pe1 = fabric.pes[0]
    with nothing_lost(fabric), nothing_rewritten(pe1):
        pe1.router.kill()
        time.sleep(3)
        pe1.router.start()
        comes_back(fabric, pe1)


@pytest.mark.datapaths("kernel", "dpdk", long=("dpdk",))
def test_killing_bgpd_loses_no_packet(fabric: Fabric) -> None:
    pe1 = fabric.pes[0]
    with nothing_lost(fabric), nothing_rewritten(pe1):
        pe1.router.kill("bgpd")
        wait_until(lambda: state_of(pe1) == "held", "the withdrawals are held", 10)
        time.sleep(2)
        pe1.router.start()
        comes_back(fabric, pe1)


@pytest.mark.long
def test_hung_bgpd_changes_no_route(fabric: Fabric, say: Callable[[str], None]) -> None:
    """Its hold timers expire first when it runs again: what it withdraws is held.

    The peers drop this node's routes, as FRR 10.7's OPEN tells them to: decision 0113.
    """
    pe1, pe2 = fabric.pes
    for _ in range(2):  # a hang that follows another is noticed as soon
        with nothing_rewritten(pe1), flows((pe1.routed.namespace, pe2.routed.v4)) as results:
            pid = pe1.router.pids()["bgpd"]
            os.kill(pid, signal.SIGSTOP)
            try:
                wait_until(lambda: state_of(pe1) == "held", "its routes are held", EXPIRED_S)
                assert "bgpd does not answer" in pe1.dualpath("status")
                time.sleep(EXPIRED_S)
            finally:
                os.kill(pid, signal.SIGCONT)
            comes_back(fabric, pe1)
        say(f"bgpd stopped for {EXPIRED_S:.0f} s and more: {results[0]}")
        assert results[0].longest_gap_s < faults.HUNG_S * SLOWNESS


def test_killing_zebra_loses_no_packet(fabric: Fabric) -> None:
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


def test_killing_frr_bridge_loses_no_packet(fabric: Fabric) -> None:
    pe1 = fabric.pes[0]
    with nothing_lost(fabric), nothing_rewritten(pe1):
        run(["pkill", "-KILL", "-f", f"frr_bridge.*--frr-name={pe1.name}"])
        time.sleep(1)
        comes_back(fabric, pe1)


@pytest.mark.datapaths("kernel", "dpdk", long=("dpdk",))
def test_killing_the_controller_loses_no_packet(fabric: Fabric) -> None:
    pe1 = fabric.pes[0]
    with nothing_lost(fabric), nothing_rewritten(pe1):
        pe1.controller.kill()
        time.sleep(2)
        pe1.controller.start()
        comes_back(fabric, pe1)


def test_deleting_the_control_namespace_loses_no_packet(fabric: Fabric) -> None:
    pe1 = fabric.pes[0]
    with nothing_lost(fabric):
        pe1.router.stop()
        run(["ip", "netns", "delete", pe1.control.name])  # as an operator would
        time.sleep(2)
        pe1.start_frr()
        comes_back(fabric, pe1)


@pytest.mark.datapaths("kernel", "dpdk", long=("dpdk",))
def test_deleting_the_forwarding_namespaces_name_loses_no_packet(fabric: Fabric) -> None:
    """The name is restored with the namespace's contents, and nothing is lost at a restart."""
    pe1 = fabric.pes[0]
    with nothing_lost(fabric), nothing_rewritten(pe1):
        run(["ip", "netns", "delete", pe1.forwarding.name])
        wait_until(lambda: netns.exists(pe1.forwarding.name), "the name is back", 2)
        pe1.controller.kill()
        time.sleep(1)
        pe1.controller.start()
        comes_back(fabric, pe1)


def test_route_that_frr_does_not_repeat_is_swept(fabric: Fabric) -> None:
    """A prefix withdrawn while FRR was dead is removed once FRR has converged, and not before."""
    pe1, pe2 = fabric.pes
    announce(pe2, "network 203.0.113.0/24")
    wait_until(lambda: pe1.view.has_route("203.0.113.0/24"), "the route is there", 30)
    pe1.router.kill()
    announce(pe2, "no network 203.0.113.0/24")
    time.sleep(2)
    assert pe1.view.has_route("203.0.113.0/24")
    pe1.router.start()
    comes_back(fabric, pe1)
    wait_until(lambda: not pe1.view.has_route("203.0.113.0/24"), "the route is swept", 30)


@pytest.mark.datapaths("dpdk")
def test_killing_the_grout_agent_loses_no_packet(fabric: Fabric) -> None:
    pe1 = fabric.pes[0]
    with nothing_lost(fabric), nothing_rewritten(pe1):
        run(["pkill", "-KILL", "-f", f"agent.*{grout_socket(pe1.plan)}"])
        time.sleep(1)
        comes_back(fabric, pe1)


@pytest.mark.datapaths("dpdk")
def test_killed_grout_is_programmed_again(fabric: Fabric, say: Callable[[str], None]) -> None:
    """It loses every TAP and every row: all are programmed again, and FRR's sessions recover."""
    pe1, pe2 = fabric.pes
    routes = [f"10.200.{number}.0/24" for number in range(MANY)]
    announce(pe2, *(f"network {route}" for route in routes))
    wait_until(lambda: set(routes) <= pe1.view.prefixes(), f"{MANY} routes are there", 60)
    before = pe1.view.prefixes()
    differ: list[str] = []

    def whole() -> bool:
        differ[:] = sorted(before ^ prefixes_of(pe1.view))
        return not differ

    signal_grout(pe1.plan, "KILL")
    since = time.monotonic()
    try:
        wait_until(whole, "every route is back", GROUT_BACK_S)
    except AssertionError as error:
        raise AssertionError(f"{error}: {len(differ)} routes differ: {differ[:5]}") from None
    say(f"{len(before)} routes are back {time.monotonic() - since:.1f} s after grout's death")
    fabric.wait_for_overlay(BACK_S)
    say(f"hosts reach one another after {time.monotonic() - since:.1f} s")
    comes_back(fabric, pe1)
    announce(pe2, *(f"no network {route}" for route in routes))


@pytest.mark.datapaths("dpdk", long=("dpdk",))
def test_hanging_grout_is_used_again_once_it_answers(
    fabric: Fabric, say: Callable[[str], None]
) -> None:
    """It closes no connection and forwards nothing; once it continues, nothing is written again."""
    pe1 = fabric.pes[0]
    before = pe1.view.tables()
    signal_grout(pe1.plan, "STOP")
    since = time.monotonic()
    try:
        wait_until(lambda: "grout hangs" in pe1.dualpath("status"), "it is said", HANGS_S)
        say(f"`dualpath status` says so after {time.monotonic() - since:.1f} s:")
        say("\n".join(pe1.dualpath("status").splitlines()[:3]))
    finally:
        signal_grout(pe1.plan, "CONT")
    since = time.monotonic()
    comes_back(fabric, pe1)
    fabric.wait_for_overlay(BACK_S)
    say(f"all is well {time.monotonic() - since:.1f} s after it went on")
    assert pe1.view.tables() == before
    log = pe1.controller.text()
    assert log.count("grout hangs") < 5  # by who notices, not by how long
    assert "Traceback" not in log


def test_a_seed_of_faults_costs_no_more_packets_than_is_allowed(
    fabric: Fabric, say: Callable[[str], None]
) -> None:
    """A short one of `make chaos`: those faults that nobody has to wait for."""
    known = {name: faults.every(Datapath.KERNEL)[name] for name in QUICK}
    steps = plan.from_seed(1, 4, QUICK)
    world = World(fabric.scenario, Datapath.KERNEL, fabric)
    outcomes = Runner(world, known, say).run(steps, lambda _: None)
    assert not [str(outcome) for outcome in outcomes if outcome.problems]


def announce(pe: Pe, *lines: str) -> None:
    """Change the prefixes that a PE advertises from its tenant's VRF."""
    own = (f"router bgp {pe.plan.asn} vrf {TENANT_VRF}", "address-family ipv4 unicast")
    pe.router.configure(*own, *lines)
