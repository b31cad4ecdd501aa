"""Many L2VNIs on one node, then one added, changed and removed: how long each step takes.

    python -m tests.lab shell --mode straight -c 'exec python -m tests.bench.vnis [L2VNIs]'

Real FRR, one PE with a session to its spine. A step is over when zebra and the forwarding kernel
have the VNI, or have it no more. Prints a line a step: seconds, and the CPU time of each process
with that of the programs that it ran.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from controller.node.supervisor import bridge_of
from tests.bench.declared import Bench
from tests.bench.figures import report
from tests.bench.usage import cpu_s, resident_mb
from tests.lab import manifests
from tests.lab.fabric import Fabric, Pe
from tests.lab.plan import Topology
from tests.lab.processes import CommandFailed
from tests.lab.scenario import Scenario
from tests.lab.waiting import wait_until

BENCH = Bench(long=(("50",), ("200",), ("1000",)), guest=True, limit_s=3600)
MANY = 1000
FIRST = 5000
PATIENCE_S = 1800.0
REST_S = 10.0
AT_REST_S = 60.0
TURNS = 3


def l2vni(number: int, mtu: str = "") -> str:
    return f"""---
apiVersion: {manifests.GROUP}
kind: L2VNI
metadata: {{name: s{number}}}
spec: {{vni: {FIRST + number}{mtu}}}
"""


def programs(pe: Pe) -> dict[str, int]:
    """Return the pids of the product's processes and of FRR's daemons, by name."""
    bridge = bridge_of(pe.plan.state)
    assert bridge is not None
    assert pe.controller.pid is not None
    found = {"controller": pe.controller.pid, "frr-bridge": bridge.pid}
    inside = pe.control.path.stat().st_ino
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            name = (directory / "comm").read_text().strip()
            there = (directory / "ns" / "net").stat().st_ino
        except OSError:
            continue
        if there == inside and name in {"zebra", "bgpd", "mgmtd"}:
            found[name] = int(directory.name)
    return found


def in_force(pe: Pe, name: str, generation: int) -> bool:
    try:
        rows = {row["name"]: row for row in pe.dualpath_json("status")["resources"]}
    except CommandFailed:
        return False
    row = rows.get(name)
    return bool(row and row["ready"] and row["applied_generation"] == generation)


def is_there(pe: Pe, number: int) -> bool:
    """Return whether zebra and the forwarding kernel have this VNI."""
    vni = FIRST + number
    known = f"VNI: {vni}" in pe.router.vtysh(f"show evpn vni {vni}")
    return known and f"vx{vni}" in pe.forwarding.ip("-br", "link")


def is_gone(pe: Pe, number: int) -> bool:
    vni = FIRST + number
    known = f"VNI: {vni}" in pe.router.vtysh(f"show evpn vni {vni}")
    return not known and f"vx{vni}" not in pe.forwarding.ip("-br", "link")


def cpu_of_all(pe: Pe) -> dict[str, float]:
    return {name: cpu_s(pid, children=True) for name, pid in programs(pe).items()}


def step(pe: Pe, what: str, text: str, done: Callable[[], bool]) -> tuple[float, float]:
    """Write a manifest; return the seconds until it is in force, and the controller's CPU."""
    before, began = cpu_of_all(pe), time.monotonic()
    pe.write_manifest(text)
    wait_until(done, what, PATIENCE_S, every_s=0.2)
    took, after = time.monotonic() - began, cpu_of_all(pe)
    spent = ", ".join(f"{name} {after[name] - before[name]:.2f}" for name in after)
    print(f"{what}: {took:.1f} s; CPU in seconds: {spent}", flush=True)
    return took, after["controller"] - before["controller"]


def steps(pe: Pe, many: int) -> None:
    everything = _manifest(pe) + "".join(map(l2vni, range(many)))
    last = many - 1
    costs: dict[str, list[tuple[float, float]]] = {"all": [], "added": [], "removed": []}
    first = step(
        pe,
        f"{many} L2VNIs",
        everything,
        lambda: in_force(pe, f"s{last}", 1) and is_there(pe, last),
    )
    costs["all"].append(first)
    time.sleep(REST_S)  # whatever is still under way
    for turn in range(1, TURNS + 1):
        more = everything + l2vni(many)
        cost = step(pe, f"one added, {turn}", more, partial(is_there, pe, many))
        costs["added"].append(cost)
        time.sleep(REST_S)
        cost = step(pe, f"one removed, {turn}", everything, partial(is_gone, pe, many))
        costs["removed"].append(cost)
        time.sleep(REST_S)
    before = cpu_of_all(pe)
    time.sleep(AT_REST_S)
    after = cpu_of_all(pe)
    shares = (f"{name} {(after[name] - before[name]) / AT_REST_S:.1%}" for name in after)
    print("at rest: " + ", ".join(shares), flush=True)
    for name, turns in costs.items():
        report(f"vnis.{name}", [took for took, _ in turns], "s", vnis=many)
        report(f"vnis.{name}.controller", [spent for _, spent in turns], "s-cpu", vnis=many)
    for name, pid in programs(pe).items():
        rest = (after[name] - before[name]) / AT_REST_S * 100
        report(f"vnis.rest.{name}", rest, "%", vnis=many)
        report(f"vnis.memory.{name}", resident_mb(pid), "MB", vnis=many)


def _manifest(pe: Pe) -> str:
    return "".join((manifests.node(pe.plan), "---\n", manifests.underlay(pe.plan)))


def main() -> None:
    many = int(sys.argv[1]) if sys.argv[1:] else MANY
    scenario = Scenario()
    try:
        fabric = Fabric(scenario, Topology(pes=1))
        pe = fabric.pes[0]
        pe.write_manifest(_manifest(pe) + l2vni(0))
        fabric.spines[0].start()
        pe.controller.start()
        pe.start_frr()
        wait_until(pe.is_live, "a live session", 90.0)
        print(f"pids: {programs(pe)}", flush=True)
        steps(pe, many)
    finally:
        scenario.clean()


if __name__ == "__main__":
    main()
