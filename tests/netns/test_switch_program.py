"""`dualpath switch` as an operator runs it: real processes, an L2VNI, and a kill in the middle.

The controller, grout-agent and grout are the real ones; the test plays frr-bridge. A bridged host
and one behind another VTEP, made by hand, ping one another meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from datapaths.grout.process import Grout, GroutProcess, peer_of
from dualpath.bus.publisher import Publisher
from dualpath.model import events
from dualpath.model.layer2 import Flood
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.records import RecordBatch
from tests.fakes.batches import batch
from tests.netns import grouts
from tests.netns.machines import Machine, machine
from tests.netns.namespaces import fresh, run

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.netns, pytest.mark.grout, pytest.mark.program, pytest.mark.long]

ECHO = (sys.executable, "-I", "-S", str(Path(__file__).parents[1] / "lab" / "echo.py"))
VTEP, REMOTE = bytes([100, 64, 0, 9]), "10.110.0.9"
HOST = "10.110.0.5"
WITHIN_S = 120.0


class Bed:
    def __init__(self, host: Machine, grout: str, path: str) -> None:
        self.host = host
        self._grout = grout
        self._environment = {**os.environ, "PATH": path}
        self.told: list[events.FromController] = []
        self.bridge = Publisher(self._hear)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.host.directory / "controller.log").read_text()

    def _hear(self, event: events.FromController) -> None:
        self.told.append(event)
        if isinstance(event, events.Subscribe):
            asyncio.get_running_loop().call_soon(self.say_all)
        elif isinstance(event, events.Configure):
            self.bridge.send(events.Configured(event.request, True, True))
        elif isinstance(event, events.Check):
            self.bridge.send(events.Checked(event.request, 0, ()))

    async def alive(self) -> None:
        """Say once a second that frr-bridge lives."""
        while True:
            await asyncio.sleep(0.5)
            if self.bridge.subscribed:
                self.bridge.send(events.Alive())

    def start(self) -> None:
        sock = self.host.state_dir / "grout.sock"
        options = ("--bridge=external", "--start-grout", f"--grout-netns={self._grout}")
        with (self.host.directory / "controller.log").open("ab") as out:
            self.process = subprocess.Popen(
                self.host.command(*options, f"--grout-sock={sock}"),
                stdout=out,
                stderr=out,
                env=self._environment,
                start_new_session=True,
            )

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.process:
            self.process.send_signal(number)
            self.process.wait(30)

    def say_all(self) -> None:
        """Say what FRR wants: a way to the other VTEP, and its flood entry."""
        via = Nexthop(1, NexthopType.GATEWAY, bytes([192, 0, 2, 1]), "eth7")
        for event in (
            events.SessionChanged(number=1, state="live"),
            events.Changed(RecordBatch(via.kind, (via,))),
            events.Changed(batch("+ 100.64.0.9/32 1")),
            events.Changed(RecordBatch(Flood.kind, (Flood(110, VTEP),))),
            events.Synced(),
        ):
            self.bridge.send(event)

    def dualpath(self, *words: str) -> str:
        command = [sys.executable, "-m", "controller.cli", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
        return done.stdout + done.stderr

    def status(self) -> dict[str, Any]:
        shown = self.dualpath(
            "--connect", f"unix:{self.host.state_dir}/inspect.sock", "status", "-o", "json"
        )
        try:
            found: dict[str, Any] = json.loads(shown)
        except ValueError:
            return {}
        return found

    def switching(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "controller.cli", "switch", *words, "-o", "json"]
        command += [f"--state-dir={self.host.state_dir}"]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    async def switch(self, *words: str) -> None:
        process = self.switching(*words)
        shown = await asyncio.to_thread(process.communicate)
        for line in shown[0].splitlines():
            log.info("%s", line)
        assert process.returncode == 0, shown

    def with_grout(self) -> set[str]:
        """Return the ports whose packets tc redirects to grout."""
        ports = ("eth7", "pe-e-110")
        shown = {p: run(f"tc -n {self.host.forwarding} filter show dev {p} ingress") for p in ports}
        return {port for port in ports if f"Redirect to device w-{port}" in shown[port]}

    def dropped(self) -> int:
        shown = json.loads(run(f"ip -n {self.host.forwarding} -s -j link"))
        wires = [it for it in shown if it["ifname"].startswith("w-")]
        return sum(int(it["stats64"]["tx"]["dropped"]) for it in wires)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not await asyncio.to_thread(condition):
            assert time.monotonic() < deadline, f"{what}\n{self.log[-3000:]}"
            await asyncio.sleep(0.2)


def path_with_grout(directory: Path) -> str:
    """Return a PATH with a program `grout` that ends at once: the test runs the real one."""
    script = directory / "bin" / "grout"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)
    return f"{script.parent}:{os.environ['PATH']}"


@asynccontextmanager
async def node() -> AsyncIterator[Bed]:
    """A controller whose bridged host reaches one behind another VTEP, by the kernel."""
    with (
        grouts.state_directory() as directory,
        fresh("grout") as (grout,),
        machine(directory) as host,
    ):
        command = grouts.command(directory)
        if not command:
            pytest.skip(grouts.NEEDED)
        bed = Bed(host, grout, path_with_grout(directory))
        host.state_dir.mkdir(mode=0o750)
        sock = host.state_dir / "grout.sock"
        real = Grout(sock, grout, directory, hugepages=False, command=command)
        bed.bridge.listen(f"ipc://{host.state_dir}/bus.sock")
        keeping = asyncio.create_task(GroutProcess(real).run())
        alive = asyncio.create_task(bed.alive())
        bed.start()
        try:
            await bed.until(lambda: bed.status().get("ready"), "not ready")
            run(f"ip -n {host.host} link set host-e-110 up")
            run(f"ip -n {host.host} addr add {HOST}/24 dev host-e-110")
            client = f"ip -n {host.client}"
            run(f"{client} addr add 100.64.0.9/32 dev lo; {client} link set lo up")
            vtep = run(f"ip -n {host.forwarding} -d link show vx110").split(" local ")[1].split()[0]
            run(f"{client} route add {vtep}/32 via 192.0.2.2")
            tunnel = f"type vxlan id 110 local 100.64.0.9 remote {vtep} dstport 4789"
            run(f"{client} link add vx110 {tunnel}")
            run(f"{client} addr add {REMOTE}/24 dev vx110; {client} link set vx110 up mtu 1400")
            await bed.until(lambda: pings(host.host, REMOTE), "no ping over the kernel")
            yield bed
        finally:
            bed.kill(signal.SIGTERM)
            alive.cancel()
            keeping.cancel()
            bed.bridge.close()
            kill_grout(host)


def kill_grout(host: Machine) -> None:
    with suppress(Exception):
        os.kill(peer_of(host.state_dir / "grout.sock"), signal.SIGKILL)


def pings(space: str, address: str) -> bool:
    command = ["ip", "netns", "exec", space, "ping", "-c1", "-W1", address]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def pinging(bed: Bed, what: str) -> Iterator[dict[str, int]]:
    """Ping 1,000 times a second in both directions; count what was lost."""
    pairs = ((bed.host.host, REMOTE), (bed.host.client, HOST))
    running = [
        subprocess.Popen(
            ["ip", "netns", "exec", space, *ECHO, to, "0.001"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for space, to in pairs
    ]
    counted = {"sent": 0, "lost": 0}
    try:
        yield counted
        for (_, to), process in zip(pairs, running, strict=True):
            result = json.loads(process.communicate(timeout=30)[0])
            lost = result["transmitted"] - result["received"]
            counted["sent"] += result["transmitted"]
            counted["lost"] += lost
            gap_ms = result["longest_gap_s"] * 1000
            text = "%s: to %s: %d sent, %d lost, longest gap %.0f ms, %d duplicates"
            log.info(text, what, to, result["transmitted"], lost, gap_ms, result["duplicates"])
    finally:
        for process in running:
            process.kill()


def until_step(process: subprocess.Popen[str], step: str) -> None:
    assert process.stdout
    for line in process.stdout:
        log.info("%s", line.strip())
        if json.loads(line)["step"] == step:
            return
    raise AssertionError(f"the switch ended before {step}")


async def test_operator_switches_and_whoever_is_killed_leaves_one_whole_datapath() -> None:
    async with node() as bed:
        # To the kernel twice without --keep: grout ends, and the leg stays the kernel's.
        for to in ("dpdk", "kernel", "dpdk", "kernel", "dpdk", "kernel --keep"):
            with pinging(bed, f"switch {to}") as counted:
                await bed.switch(*to.split())
                await asyncio.sleep(0.5)
            log.info("switch %s: %s, %d dropped at wires", to, counted, bed.dropped())
            assert bed.with_grout() == ({"eth7", "pe-e-110"} if to == "dpdk" else set())
            assert counted["lost"] <= bed.dropped()
            assert bed.status()["datapath"] == to.split()[0]
        await bed.switch("dpdk")

        with pinging(bed, "grout killed"):
            await asyncio.sleep(1)
            kill_grout(bed.host)
            await bed.until(lambda: bed.status().get("datapath") == "kernel", "no fallback")
        await bed.until(lambda: bed.status().get("datapath") == "dpdk", "grout is not whole")
        assert bed.with_grout() == {"eth7", "pe-e-110"}

        with pinging(bed, "controller killed while ports move back"):
            process = bed.switching("kernel")
            await asyncio.to_thread(until_step, process, "move")
            bed.kill()
            process.communicate(timeout=30)
            bed.start()
            await bed.until(lambda: bed.status().get("datapath") == "dpdk", "not restored")
        assert bed.with_grout() == {"eth7", "pe-e-110"}
        assert "interrupted; back to dpdk" in bed.log

        process = bed.switching("kernel")
        await asyncio.to_thread(until_step, process, "move")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        await bed.until(lambda: "switch aborted; back to dpdk" in bed.log, "no rollback")
        await bed.until(lambda: bed.with_grout() == {"eth7", "pe-e-110"}, "not rolled back")

        await bed.switch("kernel")
        assert bed.with_grout() == set()
        assert not bed.status()["datapaths"]
        assert pings(bed.host.host, REMOTE)


async def test_manifest_names_the_datapath_and_the_controller_follows() -> None:
    async with node() as bed:
        manifest = bed.host.manifest.read_text()

        def in_force(to: str) -> bool:
            shown = bed.status()
            rows = {row["kind"]: row for row in shown.get("resources", ())}
            return shown.get("datapath") == to and bool(rows.get("Node", {}).get("ready"))

        for to, other in (("dpdk", "kernel"), ("kernel", "dpdk")):
            with pinging(bed, f"the manifest names {to}") as counted:
                named = manifest.replace("  nodeIndex", f"  datapath: {to}\n  nodeIndex", 1)
                bed.host.manifest.write_text(named)
                await bed.until(partial(in_force, to), f"{to} is not in force")
                await asyncio.sleep(0.5)
            assert bed.with_grout() == ({"eth7", "pe-e-110"} if to == "dpdk" else set())
            assert counted["lost"] <= bed.dropped()
            refused = await asyncio.to_thread(bed.dualpath, *_switch(bed, other))
            assert f"the manifests name the datapath {to}: change `datapath`" in refused

        # Named and taken back while ports move: the kernel forwards.
        bed.host.manifest.write_text(
            manifest.replace("  nodeIndex", "  datapath: dpdk\n  nodeIndex")
        )
        await bed.until(lambda: bed.status().get("datapaths"), "the switch does not begin")
        bed.host.manifest.write_text(manifest)
        await bed.until(lambda: "the manifests no longer name dpdk" in bed.log, "not cancelled")
        await bed.until(lambda: not bed.status()["datapaths"], "grout did not end")
        assert bed.with_grout() == set()
        assert pings(bed.host.host, REMOTE)


def _switch(bed: Bed, to: str) -> tuple[str, ...]:
    return "switch", to, f"--state-dir={bed.host.state_dir}"
