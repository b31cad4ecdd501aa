"""Many node agents against one real API server: CPU, memory and requests on each side.

Run as `python -m tests.bench.kube [--nodes N] [--vrfs N] [--idle SECONDS]`, as root. All agents are
in one process, so that what one of them takes is a share of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from tests.bench.declared import Bench
from tests.bench.figures import report
from tests.kube.node import Node, number
from tests.kube.server import ApiServer, Usage, usage_of
from tests.kube.test_definitions import OURS
from tests.unit.controller.intent.build import manifest, underlay

BENCH = Bench(usual=(("--nodes", "10", "--idle", "15"),), long=((),), limit_s=3600)
PATIENCE_S = 900.0
REQUESTS = re.compile(rb"^apiserver_request_total\{.*\} (\d+)$", re.MULTILINE)
RECEIVED = re.compile(rb"^apiserver_watch_events_total\{.*\} (\d+)$", re.MULTILINE)


class Meter:
    """Prints what the server, etcd and the agents used between two calls."""

    def __init__(self, server: ApiServer, agents: int, nodes: int) -> None:
        self._server = server
        self._agents = agents  # pid
        self._nodes = nodes
        self._before = self._look()

    def _look(self) -> tuple[float, int, int, list[Usage]]:
        with self._server.http() as client:
            metrics = client.get("/metrics").content
        requests = sum(map(int, REQUESTS.findall(metrics)))
        events = sum(map(int, RECEIVED.findall(metrics)))
        used = [self._server.usage(), self._server.usage("etcd"), usage_of(self._agents)]
        return time.monotonic(), requests, events, used

    def show(self, work: str, title: str) -> None:
        then, requests_then, events_then, used_then = self._before
        now, requests_now, events_now, used_now = self._before = self._look()
        seconds = now - then
        print(f"{title}: {seconds:.1f} s")
        requests, events = requests_now - requests_then, events_now - events_then
        print(f"    {requests} requests, {requests / seconds:.1f}/s; {events} watch events")
        names = ("API server", "etcd", f"{self._nodes} agents")
        for name, before, after in zip(names, used_then, used_now, strict=True):
            cpu_s, mb = after.cpu_s - before.cpu_s, after.resident_mb
            share = 100 * cpu_s / seconds
            print(f"    {name:<11}{cpu_s:7.1f} s of CPU ({share:.0f} %), {mb:.0f} MB")
        figure = f"kube.{work}"
        for name, before, after in zip(
            ("server", "etcd", "agents"), used_then, used_now, strict=True
        ):
            used_s = max(0.0, after.cpu_s - before.cpu_s)
            report(f"{figure}.{name}.cpu", used_s, "s-cpu", nodes=self._nodes)
            report(f"{figure}.{name}.memory", after.resident_mb, "MB", nodes=self._nodes)
        report(f"{figure}.requests", requests, "requests", nodes=self._nodes)
        report(f"{figure}.took", seconds, "s", nodes=self._nodes)


async def agents(kubeconfig: Path, nodes: int) -> None:
    """Run agents for ever; print how many files they have altogether, whenever that changes."""
    with tempfile.TemporaryDirectory() as name:
        async with AsyncExitStack() as stack:
            running = [
                await stack.enter_async_context(
                    Node.running(f"node-{index}", kubeconfig, Path(name, str(index)))
                )
                for index in range(nodes)
            ]
            told = -1
            while True:
                files = sum(len(node.files) for node in running)
                if files != told:
                    print(files, flush=True)
                    told = files
                await asyncio.sleep(0.2)


def wait(told: Callable[[], bool], title: str) -> None:
    began = time.monotonic()
    while not told():
        if time.monotonic() - began > PATIENCE_S:
            raise TimeoutError(title)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--vrfs", type=int, default=20)
    parser.add_argument("--idle", type=float, default=60)
    parser.add_argument("--agents", type=Path, help=argparse.SUPPRESS)  # a kubeconfig
    given = parser.parse_args()
    if given.agents:
        asyncio.run(agents(given.agents, given.nodes))
        return
    with ApiServer.started() as server:
        server.define(*sorted(OURS.glob("*.yaml")))
        for index in range(given.nodes):
            number(server, f"node-{index}", index)
        server.apply(underlay())
        command = [sys.executable, "-m", "tests.bench.kube", f"--agents={server.kubeconfig}"]
        with subprocess.Popen(
            [*command, f"--nodes={given.nodes}"], stdout=subprocess.PIPE, text=True
        ) as child:
            try:
                measure(server, child, given.nodes, given.vrfs, given.idle)
            finally:
                child.terminate()


def measure(
    server: ApiServer, child: subprocess.Popen[str], nodes: int, vrfs: int, idle_s: float
) -> None:
    assert child.stdout

    def files(count: int) -> Callable[[], bool]:
        return lambda: child.stdout is not None and int(child.stdout.readline()) == count * nodes

    def reported(count: int) -> bool:
        time.sleep(1)
        told = json.loads(server.kubectl("get", "dualpath", "-o", "json"))
        rows = [item.get("status", {}).get("nodes", ()) for item in told["items"]]
        return len(rows) == count and all(len(each) == nodes for each in rows)

    meter = Meter(server, child.pid, nodes)
    wait(files(2), "the first manifests")
    wait(lambda: reported(1), "the first statuses")
    meter.show("start", f"{nodes} nodes started, and one Underlay with a row of each")
    time.sleep(idle_s)
    meter.show("idle", "nothing happens")
    many = [
        manifest("L3VNI", f"v{n}", vrf=f"v{n}", vni=n, hostSession=None) for n in range(1, vrfs + 1)
    ]
    server.apply(*many)
    wait(files(2 + vrfs), "the manifests")
    meter.show("mirrored", f"{vrfs} VRFs applied and mirrored by each node")
    wait(lambda: reported(1 + vrfs), "the statuses")
    meter.show("rows", "each VRF has a row of each node")


if __name__ == "__main__":
    main()
