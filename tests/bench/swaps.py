"""A NIC takes over from another, ten times in a row, under graceful restart: how long each takes.

    python -m tests.lab shell --mode straight -c 'exec python -m tests.bench.swaps [swaps]'

Real FRR on both sides of the cable. The manifest names the other NIC, and the cable's far end has
moved; a swap is over when it is in force and the session is up again. Prints a line a swap.
"""

from __future__ import annotations

import sys
import time

from tests.bench.declared import Bench
from tests.bench.figures import report
from tests.bench.macs import L2VNI
from tests.lab import manifests
from tests.lab.fabric import Fabric, Pe
from tests.lab.plan import Topology
from tests.lab.scenario import Scenario
from tests.lab.waiting import wait_until

BENCH = Bench(usual=(("4",),), long=((),), guest=True)
SWAPS = 10
PATIENCE_S = 120.0


def main() -> None:
    swaps = int(sys.argv[1]) if sys.argv[1:] else SWAPS
    scenario = Scenario()
    try:
        _swap(scenario, Fabric(scenario, Topology(pes=1)), swaps)
    finally:
        scenario.clean()


def _swap(scenario: Scenario, fabric: Fabric, swaps: int) -> None:
    pe, spine = fabric.pes[0], fabric.spines[0]
    text = "---\n".join((manifests.node(pe.plan), manifests.underlay(pe.plan), L2VNI))
    pe.write_manifest(text)
    spine.start()
    pe.controller.start()
    pe.start_frr()
    wait_until(pe.is_live, "a live session", PATIENCE_S)
    uplink = pe.plan.uplinks[0]
    scenario.link(pe.node, "eth9", spine.namespace, "pe1b")
    for space, name in ((pe.node, "eth9"), (spine.namespace, "pe1b")):
        space.ip("link", "set", name, "mtu", "1600", "up")
    pe.node.ip("address", "add", f"{uplink.pe_address}/31", "dev", "eth9")
    times = []
    ways = [(uplink.nic, uplink.spine_port), ("eth9", "pe1b")]
    for number in range(1, swaps + 1):
        (_, old_port), (nic, port) = ways
        address = f"{uplink.spine_address}/31"
        spine.namespace.ip("address", "del", address, "dev", old_port)
        spine.namespace.ip("address", "add", address, "dev", port)
        began = time.monotonic()
        pe.write_manifest(text.replace(f"interfaceName: {uplink.nic}", f"interfaceName: {nic}"))
        wait_until(lambda at=number + 1: _in_force(pe, at), "in force", PATIENCE_S)  # type: ignore[misc]
        wait_until(lambda: _is_up(pe, uplink.spine_address), "the session", PATIENCE_S)
        times.append(time.monotonic() - began)
        print(f"swap {number}, to {nic}: {times[-1]:.1f} s", flush=True)
        ways.reverse()
    report("swaps.takeover", times, "s")


def _in_force(pe: Pe, generation: int) -> bool:
    rows = {row["name"]: row for row in pe.dualpath_json("status")["resources"]}
    return bool(rows["underlay"]["ready"] and rows["underlay"]["applied_generation"] == generation)


def _is_up(pe: Pe, peer: str) -> bool:
    peers = pe.router.vtysh_json("show bgp ipv4 unicast summary")["peers"]
    return bool(peers.get(peer, {}).get("state") == "Established")


if __name__ == "__main__":
    main()
