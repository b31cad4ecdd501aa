"""Ports move between the kernel and a real grout under pings, natively: in the default VRF.

A host behind a host leg and a peer behind a NIC ping one another at 1,000 packets a second, by IPv4
and IPv6, while `Switcher` moves both ports. FRR is not here; tests/lab/test_switch.py has it.
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
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.core.clock import SystemClock
from controller.core.hostunion import HostUnion
from controller.core.planes import Plane, Planes
from controller.core.switch import Switcher
from controller.core.switchcontracts import Environment, SwitchState
from controller.node.switchrecord import SwitchFile
from controller.start.backends import Backend
from controller.start.second import SecondPlane
from datapaths.grout.driver import GroutDatapath
from datapaths.grout.ports.placement import Places
from datapaths.grout.ports.steering import SteeredTwins
from datapaths.grout.ports.watch import Watch
from datapaths.grout.process import Life
from datapaths.kernel.driver import KernelDatapath
from datapaths.kernel.layout import Layout
from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.switch import Order, Step
from tests.fakes.core import Core, Heard
from tests.fakes.twins import NoTwins
from tests.netns import grouts
from tests.netns.namespaces import fresh, run
from tests.netns.test_grout_ports import LEG4, LEG6, Bed, made, ours

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.netns, pytest.mark.grout, pytest.mark.long]

COMMAND = (sys.executable, "-I", "-S", str(Path(__file__).parents[1] / "lab" / "echo.py"))
INTERVAL_S = 0.001
BACK_S = 60.0
GAP_S = 0.25  # 0.016 to 0.085 were measured on two busy cores; 0.27 to 0.64 before `Deathwatch`
HOST4, HOST6, PEER4, PEER6 = "198.51.100.2", "2001:db8:1::2", "192.0.2.0", "2001:db8::2"


class Node:
    """The parts of a controller that a switch needs, around both real datapaths."""

    def __init__(self, bed: Bed, forwarding: str) -> None:
        self.bed, self.forwarding = bed, forwarding
        outward = Heard(Core())
        clock = SystemClock()
        self.kernel = KernelDatapath(forwarding, bed.peer, Layout(forwarding, bed.peer))
        first = Plane("kernel", self.kernel, clock, outward)
        self.planes = Planes(first, outward)
        self.twins = SteeredTwins(forwarding, bed.control, Life(bed.grout.sock).runs)
        hosts = HostUnion(lambda _: None, 0)
        self.second = SecondPlane("dpdk", self.planes, self._backend, clock, outward, hosts)
        store = SwitchFile(bed.grout.state_dir)
        self.switcher = Switcher(
            Environment(self.planes, self.second, self.twins, store, time.monotonic, str)
        )
        self.twins.placed = self.switcher.placed

    def _backend(self) -> Backend:
        sock, forwarding = self.bed.grout.sock, self.forwarding
        life = Life(sock)

        def places() -> Places:
            return Places(life.home(), forwarding, self.bed.peer)

        watch = Watch(life.home, forwarding, lambda: datapath.silent, life.runs)
        datapath = GroutDatapath(str(sock), places, life.home, watch.wake)
        return Backend(datapath, NoTwins(), (Program(watch),))

    def tell(self, step: Step, text: str) -> None:
        log.info("%s: %s", step, text)

    async def switch(self, to: str, *, keep: bool = True) -> None:
        began = time.monotonic()
        await self.switcher.switch(Order(to, keep=keep), self.tell)
        log.info("switched to %s in %.1f s", to, time.monotonic() - began)

    async def returned(self) -> None:
        """Return when the second datapath has its ports again."""
        until = time.monotonic() + BACK_S
        while self.planes.active is self.planes.first:
            assert time.monotonic() < until
            await asyncio.sleep(0.05)

    def dropped(self) -> int:
        """Return how many packets grout's wires dropped, as grout did not read them in time."""
        shown = run(f"ip -n {self.forwarding} -s -j link")
        wires = [it for it in json.loads(shown) if it["ifname"].startswith("w-")]
        return sum(int(it["stats64"]["tx"]["dropped"]) for it in wires)

    def redirected(self) -> set[str]:
        """Return the ports whose packets tc redirects to grout."""
        found = set()
        for port in ("eth1", "leg"):
            shown = run(f"tc -n {self.forwarding} filter show dev {port} ingress")
            if f"Redirect to device w-{port}" in shown:
                found.add(port)
        return found


class Program:
    """What grout-agent does beside the driver."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    async def run(self) -> None:
        await self._watch.run()

    async def end(self) -> None:
        """Leave grout to the test."""


@asynccontextmanager
async def node() -> AsyncIterator[Node]:
    """Both ports are the kernel's; hosts and peers reach one another."""
    async with made() as bed:
        with fresh(*ours("fwd")) as (forwarding,):
            it = Node(bed, forwarding)
            first = it.planes.first
            first.takes(await it.kernel.capabilities())
            await first.reconciler.adopt()
            tasks = [
                asyncio.create_task(first.reconciler.run()),
                asyncio.create_task(it.switcher.run()),
            ]
            it.planes.subscribed(same_bridge=False)
            it.planes.learn(events.Synced())
            it.planes.want(Kind.PORT, [bed.lo, bed.nic, bed.leg])
            await first.reconciler.at_rest()
            assert await asyncio.to_thread(it.twins.ensure, [bed.nic, bed.leg]) == []
            run(f"ip -n {bed.host} route add default via {LEG4}")
            run(f"ip -n {bed.host} route replace default via {LEG6}")
            assert await bed.pings(bed.host, PEER4)
            assert await bed.pings(bed.host, PEER6)
            try:
                yield it
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await it.second.leave()
                await it.kernel.close()


@contextmanager
def pinging(bed: Bed, what: str) -> Iterator[list[dict[str, Any]]]:
    """Ping in both directions, by both families; the results are there after the block."""
    pairs = ((bed.host, PEER4), (bed.peer, HOST4), (bed.host, PEER6), (bed.peer, HOST6))
    running = [
        subprocess.Popen(
            ["ip", "netns", "exec", space, *COMMAND, to, str(INTERVAL_S)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for space, to in pairs
    ]
    results: list[dict[str, Any]] = []
    try:
        yield results
        for (_, to), process in zip(pairs, running, strict=True):
            out, _ = process.communicate(timeout=30)
            result = json.loads(out)
            results.append(result)
            lost = result["transmitted"] - result["received"]
            log.info(
                "%s: to %s: %d sent, %d lost, longest gap %.0f ms, %d duplicates",
                what,
                to,
                result["transmitted"],
                lost,
                result["longest_gap_s"] * 1000,
                result["duplicates"],
            )
    finally:
        for process in running:
            process.kill()


def lost(results: list[dict[str, Any]]) -> int:
    return sum(int(result["transmitted"] - result["received"]) for result in results)


async def test_ports_move_in_both_directions_and_no_packet_is_lost() -> None:
    """On a busy machine grout may be late: its wires count what they could not hand over."""
    async with node() as it:
        for to in ("dpdk", "kernel", "dpdk", "kernel"):
            before = it.dropped()
            with pinging(it.bed, f"switch {to}") as results:
                await it.switch(to)
                await asyncio.sleep(0.5)
            late = it.dropped() - before
            log.info("switch %s: %d lost, of which %d at grout's wires", to, lost(results), late)
            assert lost(results) <= late
            assert it.redirected() == ({"eth1", "leg"} if to == "dpdk" else set())
            for plane in it.planes:
                assert (await plane.reconciler.audit(5)).differed == 0
            assert await asyncio.to_thread(it.twins.differing, [it.bed.nic, it.bed.leg]) == []
            assert await it.bed.talks(it.bed.peer, it.bed.control, "192.0.2.1")


async def test_killed_grout_leaves_the_traffic_to_the_kernel_until_it_is_whole() -> None:
    async with node() as it:
        await it.switch("dpdk")
        pid = await grouts.up(it.bed.grout)
        with pinging(it.bed, "grout killed") as results:
            await asyncio.sleep(0.5)
            os.kill(pid, signal.SIGKILL)
            # The wires are still there; nobody may give the ports back to a grout that ends.
            assert await asyncio.to_thread(it.twins.move, {"eth1": True}) == ["eth1"]
            await asyncio.sleep(1.5)
        assert it.redirected() == set()
        assert it.planes.active.name == "kernel"
        assert max(result["longest_gap_s"] for result in results) < GAP_S
        with pinging(it.bed, "grout back") as results:
            await grouts.up(it.bed.grout, other_than=pid)
            await it.returned()
            await asyncio.sleep(0.5)
            late = it.dropped()
        assert lost(results) <= late
        assert it.redirected() == {"eth1", "leg"}


async def test_grout_whose_socket_was_deleted_forwards_and_is_programmed_on() -> None:
    async with node() as it:
        await it.switch("dpdk")
        sock = it.bed.grout.sock
        kept = sock.rename(sock.with_name("elsewhere"))
        try:
            grout = it.planes.second
            assert grout
            grout.suspect_all()
            it.planes.want(Kind.PORT, [it.bed.lo, it.bed.nic, replace(it.bed.leg, mtu=1400)])
            await grout.reconciler.at_rest()
            assert (await grout.reconciler.audit(5)).differed == 0
            assert not grout.reconciler.unavailable
            with pinging(it.bed, "switch kernel, without grout's socket") as results:
                await it.switch("kernel")
            assert lost(results) == 0
        finally:
            kept.rename(sock)  # or nobody could end this grout


async def test_interrupted_switch_is_rolled_back_by_the_next_controller() -> None:
    async with node() as it:
        await it.switch("dpdk")
        SwitchFile(it.bed.grout.state_dir).write(SwitchState("kernel", second=True, to="dpdk"))
        it.switcher.state = SwitchState("kernel", second=True, to="dpdk")
        with pinging(it.bed, "restored") as results:
            await it.switcher.restore()
        assert lost(results) == 0
        assert it.redirected() == set()
        assert it.planes.second is None
