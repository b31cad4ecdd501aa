"""grout beside the kernel: NICs stay in the forwarding namespace, and tc redirects their packets.

FRR's own packets never meet grout, so its sessions outlive it. The fixture waits for the overlay:
L3VNI and L2VNI, both families, go through grout. When grout dies or hangs, whatever is not FRR's
is the kernel's again, by the watch of grout-agent, until grout is programmed again.
"""

import time
from collections.abc import Callable

import pytest

from tests.lab.fabric import DEFAULT, Fabric, Pe
from tests.lab.plan import Topology
from tests.lab.processes import run
from tests.lab.product import signal_grout
from tests.lab.views import prefixes_of
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.datapaths("dpdk"), pytest.mark.long]

FABRIC = (Topology(shared=True), DEFAULT)
NIC = "eth1"
BACK_S = 90.0
SILENT_S = 30.0  # 20 until it is noticed that grout hangs, and the watch's turn

Say = Callable[[str], None]


def test_nic_with_shared_wiring_stays_with_the_kernel(fabric: Fabric) -> None:
    pe1 = fabric.pes[0]
    inside = run(["ip", "-n", pe1.plan.grout, "-o", "link"])
    assert f" {NIC}: " in inside  # grout's TAP
    (nic,) = pe1.forwarding.ip_json("link", "show", "dev", NIC)
    assert nic["linkinfo"]["info_kind"] == "veth"
    assert pe1.forwarding.has_link(f"w-{NIC}")
    assert leads_to_grout(pe1)


def test_killed_grout_with_shared_wiring_is_restarted(fabric: Fabric, say: Say) -> None:
    pe1 = fabric.pes[0]
    before, sessions = pe1.view.prefixes(), established(pe1)
    signal_grout(pe1.plan, "KILL")
    since = time.monotonic()
    wait_until(lambda: not leads_to_grout(pe1), "the traffic is the kernel's", 5, every_s=0.05)
    say(f"the kernel has the traffic {time.monotonic() - since:.2f} s after grout's death")
    comes_back(fabric, say, before, since)
    assert established(pe1) == sessions


def test_hanging_grout_is_used_again_once_it_answers(fabric: Fabric, say: Say) -> None:
    pe1 = fabric.pes[0]
    before, sessions = pe1.view.prefixes(), established(pe1)
    signal_grout(pe1.plan, "STOP")
    since = time.monotonic()
    try:
        wait_until(lambda: not leads_to_grout(pe1), "the traffic is the kernel's", SILENT_S)
        say(f"the kernel has the traffic {time.monotonic() - since:.1f} s after grout hung")
        time.sleep(12)  # longer than a provisioning round
        assert not leads_to_grout(pe1)
        assert "grout hangs" in pe1.dualpath("status")
    finally:
        signal_grout(pe1.plan, "CONT")
    comes_back(fabric, say, before, time.monotonic())
    assert established(pe1) == sessions


def comes_back(fabric: Fabric, say: Say, before: set[str], since: float) -> None:
    """Wait until grout has every row and the traffic again."""
    pe1 = fabric.pes[0]
    wait_until(lambda: prefixes_of(pe1.view) == before, "every route is back", BACK_S)
    say(f"{len(before)} routes are there {time.monotonic() - since:.1f} s later")
    wait_until(lambda: leads_to_grout(pe1), "the traffic is grout's", BACK_S)
    fabric.wait_for_overlay(BACK_S)
    say(f"hosts reach one another {time.monotonic() - since:.1f} s later")


def leads_to_grout(pe: Pe) -> bool:
    """Return whether tc redirects the NIC's packets to grout's wire, except for punted ones."""
    shown = run(["tc", "-n", pe.forwarding.name, "filter", "show", "dev", NIC, "ingress"])
    return f"Redirect to device w-{NIC}" in shown


def established(pe: Pe) -> dict[str, int]:
    """Return how often each session has come up."""
    peers = pe.router.vtysh_json("show bgp neighbors")
    return {
        name: peer["connectionsEstablished"] for name, peer in peers.items() if "bgpState" in peer
    }
