"""100,000 MACs written to FRR's namespace at once, through the whole product, into forwarding.

    python -m tests.lab shell --mode straight -c 'exec python -m tests.bench.macs [rounds]'

Real FRR has a live session. Each round writes the MACs as zebra writes remote ones, waits until
the forwarding kernel has them all, runs an audit, and takes them away again. Prints a line a round;
CPU time is the controller's and frr-bridge's.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from controller.node.supervisor import bridge_of
from datapaths.kernel.channel import collect
from datapaths.kernel.wire import neighbors
from dualpath.netlink.numbers import RTM_DELNEIGH, RTM_NEWNEIGH
from tests.bench.declared import Bench
from tests.bench.figures import report
from tests.bench.usage import cpu_s, resident_mb
from tests.lab import manifests
from tests.lab.fabric import Fabric, Pe
from tests.lab.plan import L2_VNI, Topology
from tests.lab.processes import run
from tests.lab.product import listen_address
from tests.lab.scenario import Scenario
from tests.lab.waiting import wait_until
from tests.netns.test_burst import REMOTE, entries, index_of, macs, write

BENCH = Bench(usual=(("1",),), long=((),), guest=True, limit_s=1800)
MACS = 100_000
ROUNDS = 5
PATIENCE_S = 300.0
LOOK_S = 1.0
DEVICE = f"vx{L2_VNI}"
L2VNI = f"""apiVersion: network.openperouter.io/v1alpha1
kind: L2VNI
metadata: {{name: stretched}}
spec:
  vni: {L2_VNI}
  hostMaster: {{type: LinuxBridge, linuxBridge: {{lifecycle: Managed}}}}
"""


@contextmanager
def live() -> Iterator[Pe]:
    """Run a PE with one L2VNI and no VRF until its session with zebra is live."""
    scenario = Scenario()
    try:
        pe = Fabric(scenario, Topology(pes=1)).pes[0]
        resources = manifests.node(pe.plan), manifests.underlay(pe.plan), L2VNI
        pe.write_manifest("---\n".join(resources))
        pe.controller.start()
        pe.start_frr()
        wait_until(pe.is_live, "a live session", 90.0)
        yield pe
    finally:
        scenario.clean()


def programmed(pe: Pe) -> int:
    """Return how many of the MACs the forwarding kernel has behind a VTEP and on the bridge."""
    messages = asyncio.run(collect(pe.forwarding.name, neighbors.dump_request(socket.AF_BRIDGE)))
    wanted, found = set(macs(MACS)), {True: set[bytes](), False: set[bytes]()}
    for message in messages:
        entry = neighbors.decode(message)
        if entry.mac in wanted:
            found[bool(entry.master)].add(entry.mac)
    return len(found[True] & found[False])


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one round, of the controller and frr-bridge together."""

    there_s: float
    cpu_us: float  # of a MAC
    memory_mb: float  # with all MACs


def pids_of(pe: Pe) -> list[int]:
    """Return the controller's pid and its frr-bridge's."""
    bridge = bridge_of(pe.plan.state)
    assert pe.controller.pid is not None
    assert bridge is not None
    return [pe.controller.pid, bridge.pid]


def round_of(pe: Pe, number: int) -> Cost:
    control = pe.control.name
    device, pids = index_of(control, DEVICE), pids_of(pe)
    began, cpu = time.monotonic(), cpu_s(*pids)
    write(control, entries(RTM_NEWNEIGH, device, REMOTE, macs(MACS)))
    written = time.monotonic() - began
    wait_until(lambda: programmed(pe) == MACS, "all MACs in forwarding", PATIENCE_S, LOOK_S)
    took, used = time.monotonic() - began, cpu_s(*pids) - cpu
    cost = Cost(took, used / MACS * 1e6, resident_mb(*pids))
    print(
        f"round {number}: {programmed(pe)} of {MACS} in the forwarding kernel; written in "
        f"{written:.1f} s, there after {took:.1f} s, {used:.1f} s CPU",
        flush=True,
    )
    began = time.monotonic()
    command = ["dualpath", "--connect", listen_address(pe.plan), "audit"]
    audit = run(command, timeout_s=PATIENCE_S).strip()
    print(f"  audit: {audit}, after {time.monotonic() - began:.1f} s", flush=True)
    write(control, entries(RTM_DELNEIGH, device, REMOTE, macs(MACS)))
    wait_until(lambda: programmed(pe) == 0, "no MACs in forwarding", PATIENCE_S, LOOK_S)
    return cost


def main() -> None:
    rounds = int(sys.argv[1]) if sys.argv[1:] else ROUNDS
    with live() as pe:
        costs = [round_of(pe, number) for number in range(1, rounds + 1)]
    report("macs.there", [cost.there_s for cost in costs], "s", macs=MACS)
    report("macs.cpu", [cost.cpu_us for cost in costs], "us-cpu", macs=MACS)
    report("macs.memory", [cost.memory_mb for cost in costs], "MB", macs=MACS)


if __name__ == "__main__":
    main()
