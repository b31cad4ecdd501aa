"""`dualpath switch`: the forwarding path of a PE is exchanged under a live FRR, in both directions.

pe1 starts with the kernel, and has grout as its second datapath, in shared wiring. Pings flow over
the L3VNI and the L2VNI, both ways, both families, while the ports move. BGP must not notice.
"""

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.lab.fabric import DEFAULT, Fabric, Pe
from tests.lab.ping import FlowResult, flows
from tests.lab.plan import Topology
from tests.lab.processes import CommandFailed, run
from tests.lab.product import signal_grout
from tests.lab.test_shared_wiring import established, leads_to_grout
from tests.lab.waiting import SLOWNESS, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.datapaths("dpdk"), pytest.mark.long]

FABRIC = (Topology(switches=True), DEFAULT)
RATE_PER_S = 1000.0 / SLOWNESS  # of each flow
LOST = 0.0
SWITCH_S = 400.0
BACK_S = 120.0

Say = Callable[[str], None]


def test_switch_in_both_directions_loses_no_packet_and_no_session(fabric: Fabric, say: Say) -> None:
    pe1 = fabric.pes[0]
    sessions, up_ms = established(pe1), uptime_ms(pe1)
    with pinging(fabric, say, "nothing happens"):
        time.sleep(5)
    for to in ("dpdk", "kernel --keep", "dpdk", "kernel"):
        with pinging(fabric, say, f"switch {to}"):
            say(switch(pe1, *to.split()))
            time.sleep(1)
        assert leads_to_grout(pe1) is (to == "dpdk")
        assert active(pe1) == to.split()[0]
        pe1.wait_for_clean_audit(BACK_S)
    assert established(pe1) == sessions
    after_ms = uptime_ms(pe1)
    say(f"BGP uptime: {up_ms} ms before, {after_ms} ms after")
    assert all(after_ms[peer] > before for peer, before in up_ms.items())


def test_datapath_that_the_manifest_names_is_switched_to(fabric: Fabric, say: Say) -> None:
    """A switch that a busy guest fails is rolled back, and tried again: so packets may be lost."""
    pe1 = fabric.pes[0]
    manifest = (pe1.plan.state / "manifest.yaml").read_text()
    sessions = established(pe1)
    for to, other in (("dpdk", "kernel"), ("kernel", "dpdk")):
        with pinging(fabric, say, f"the manifest names {to}", lost=1.0):
            pe1.write_manifest(manifest.replace("  nodeIndex", f"  datapath: {to}\n  nodeIndex", 1))
            wait_until(partial(in_force, pe1, to), f"{to} in force", 2 * SWITCH_S, every_s=0.5)
            time.sleep(1)
        assert leads_to_grout(pe1) is (to == "dpdk")
        with pytest.raises(CommandFailed, match=f"the manifests name the datapath {to}"):
            switch(pe1, other)
        pe1.wait_for_clean_audit(BACK_S)
    pe1.write_manifest(manifest)
    assert established(pe1) == sessions


def in_force(pe: Pe, datapath: str) -> bool:
    """Return whether the datapath that the manifest names has every port."""
    rows = {row["kind"]: row for row in pe.dualpath_json("status")["resources"]}
    return active(pe) == datapath and bool(rows.get("Node", {}).get("ready"))


def test_dry_run_and_refusals_change_nothing(fabric: Fabric, say: Say) -> None:
    pe1 = fabric.pes[0]
    say(switch(pe1, "dpdk", "--dry-run"))
    with pytest.raises(CommandFailed, match="no port eth9; existing: "):
        switch(pe1, "dpdk", "--port", "eth9")
    assert not leads_to_grout(pe1)
    assert not pe1.dualpath_json("status")["datapaths"]


def test_grout_that_dies_leaves_the_traffic_to_the_kernel(fabric: Fabric, say: Say) -> None:
    pe1 = fabric.pes[0]
    sessions = established(pe1)
    switch(pe1, "dpdk")
    with pinging(fabric, say, "grout is killed", lost=1.0):
        time.sleep(1)
        signal_grout(pe1.plan, "KILL")
        wait_until(lambda: active(pe1) == "kernel", "the kernel speaks for the node", 10, 0.05)
        time.sleep(2)
    with pinging(fabric, say, "grout comes back"):
        wait_until(lambda: active(pe1) == "dpdk", "grout has the ports again", BACK_S)
        assert leads_to_grout(pe1)
        time.sleep(1)
    pe1.wait_for_clean_audit(BACK_S)
    switch(pe1, "kernel")
    assert established(pe1) == sessions


@pytest.mark.parametrize("step", ["prepare", "move", "verify"])
def test_killed_controller_comes_back_with_the_former_datapath(
    fabric: Fabric, say: Say, step: str
) -> None:
    pe1 = fabric.pes[0]
    sessions = established(pe1)
    with pinging(fabric, say, f"controller killed at {step}"):
        with switching(pe1, "dpdk") as steps:
            until_step(steps, step)
            pe1.controller.kill()
        pe1.controller.start()
        wait_until(pe1.is_live, "pe1 live", BACK_S, every_s=0.5)
    assert not leads_to_grout(pe1)
    assert "interrupted; back to kernel" in pe1.controller.text()
    pe1.wait_for_clean_audit(BACK_S)
    assert established(pe1) == sessions


def test_interrupted_command_rolls_back(fabric: Fabric, say: Say) -> None:
    pe1 = fabric.pes[0]
    with (
        pinging(fabric, say, "^C while ports move"),
        switching(pe1, "dpdk") as steps,
    ):
        until_step(steps, "move")
        steps.send_signal(signal.SIGINT)
        wait_until(lambda: "back to kernel" in pe1.controller.text(), "a rollback", BACK_S)
        wait_until(lambda: not leads_to_grout(pe1), "the kernel has the traffic", BACK_S)
    wait_until(lambda: not pe1.dualpath_json("status")["datapaths"], "grout ended", BACK_S)
    pe1.wait_for_clean_audit(BACK_S)


def test_unconfirmed_switch_is_undone(fabric: Fabric, say: Say) -> None:
    pe1 = fabric.pes[0]
    with pinging(fabric, say, "undone after 10 s"):
        switch(pe1, "dpdk", "--back-after", "10s")
        assert "unless confirmed" in pe1.dualpath("status")
        wait_until(lambda: active(pe1) == "kernel", "the switch is undone", BACK_S)
        assert not leads_to_grout(pe1)


def switch(pe: Pe, *words: str) -> str:
    """Run `dualpath switch` to its end, and return what it printed."""
    argv = ["dualpath", "switch", *words, f"--state-dir={pe.plan.state}"]
    return run(argv, timeout_s=SWITCH_S)


@contextlib.contextmanager
def switching(pe: Pe, to: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `dualpath switch` beside the block."""
    argv = ["dualpath", "switch", to, "-o", "json", f"--state-dir={pe.plan.state}"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        yield process
        process.wait(SWITCH_S)
    finally:
        process.kill()
        process.communicate()


def until_step(process: "subprocess.Popen[str]", step: str) -> None:
    """Read progress until the first line of a step."""
    assert process.stdout
    for line in process.stdout:
        if json.loads(line)["step"] == step:
            return
    raise AssertionError(f"the switch ended before the step {step}")


@contextlib.contextmanager
def pinging(fabric: Fabric, say: Say, what: str, lost: float = LOST) -> Iterator[None]:
    """Ping in four directions during the block; say what was lost, and allow a share of it."""
    pe1, pe2 = fabric.pes
    pairs = (
        (pe1.routed.namespace, pe2.routed.v4),
        (pe2.routed.namespace, pe1.routed.v6),
        (pe1.bridged.namespace, pe2.bridged.v4),
        (pe2.bridged.namespace, pe1.bridged.v6),
    )
    with flows(*pairs, rate_per_s=RATE_PER_S) as results:
        yield
    for (source, target), result in zip(pairs, results, strict=True):
        say(f"{what}: {source.name} to {target}: {result}")
    assert all(allowed(result, lost) for result in results)


def allowed(result: FlowResult, lost: float) -> bool:
    return result.transmitted > 0 and result.lost <= result.transmitted * lost


def active(pe: Pe) -> str:
    return str(pe.dualpath_json("status")["datapath"])


def uptime_ms(pe: Pe) -> dict[str, int]:
    peers = pe.router.vtysh_json("show bgp neighbors")
    return {name: peer["bgpTimerUpMsec"] for name, peer in peers.items() if "bgpState" in peer}
