"""What a MAC costs on its way from FRR's namespace to the forwarding one (root).

Run as `python -m tests.bench.macpath [--macs N] [--rounds N] [--profile]`. frr-bridge's and the
controller's code run in one process, with the bytes of the bus between them and two namespaces of
this kernel around them. Another process writes the MACs at once, as zebra does. Prints the CPU time
of a MAC, user and system, added and then withdrawn; the writer's is not in it, ZeroMQ is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from controller.core.clock import SystemClock
from controller.core.planes import Plane
from datapaths.base import Batch
from datapaths.kernel.driver import KernelDatapath
from datapaths.linux.netns import entered
from dualpath.bus import wire
from dualpath.model.events import FromBridge
from dualpath.model.kinds import Kind
from dualpath.model.links import Vni
from dualpath.model.routes import RouteBatch
from dualpath.netlink.numbers import RTM_DELNEIGH, RTM_NEWNEIGH
from dualpath.process.garbage import Garbage
from frr_bridge import watch
from frr_bridge.bridge import Bridge
from frr_bridge.session import Input
from frr_bridge.watch import Watch
from frr_bridge.wire.message import Other
from tests.bench.declared import Bench
from tests.bench.figures import report
from tests.fakes.batches import upsert
from tests.fakes.netns import fresh, ip
from tests.netns.test_burst import REMOTE, entries, index_of, macs, write

BENCH = Bench(
    usual=(("--macs", "1000"), ("--macs", "10000"), ("--macs", "100000")),
    long=(
        ("--macs", "1000", "--rounds", "5"),
        ("--macs", "10000", "--rounds", "5"),
        ("--macs", "100000", "--rounds", "5"),
    ),
    quick=(("--macs", "2000"),),
)
VNI = Vni(110, local=bytes([10, 0, 0, 1]), mac=bytes.fromhex("00f30000006e"))
PATIENCE_S = 300.0


class Nobody:
    """Implements `Outward`: no journal and no acknowledgements."""

    def applied(self, batch: Batch, failures: dict[int, str]) -> None:
        pass

    def settled(self, batch: RouteBatch) -> None:
        pass

    def unmanaged(self, batch: Batch) -> None:
        pass


class Way:
    """Both programs, connected by the bytes of their bus."""

    credit = 1 << 30
    subscribed = True

    def __init__(self, forwarding: str) -> None:
        self.datapath = KernelDatapath(forwarding)
        self.plane = Plane("kernel", self.datapath, SystemClock(), Nobody())
        self.state, self.reconciler = self.plane.state, self.plane.reconciler
        self.bridge = Bridge(self, bgpd_died=lambda: False, answer=lambda _: None)
        self.watch = Watch(
            on_begin=self.bridge.begin_dump, on_message=self._row, on_end=self._dumped
        )
        self._flushing = False

    @classmethod
    async def made(cls, forwarding: str) -> Way:
        """Return both programs with a live session, and the datapath's rows adopted."""
        way = cls(forwarding)
        way.plane.takes(await way.datapath.capabilities())
        for happened in (Input.CONNECTED, Input.REPLAYED, Input.CONVERGED):
            way.bridge.step(happened)
        way.state.subscribed(same_bridge=False)
        await way.reconciler.adopt()
        return way

    async def close(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.watch.close()
        await self.datapath.close()

    def send(self, event: FromBridge) -> None:
        data = wire.encode_from_bridge(event, epoch=1, sequence=1)
        self.state.learn(wire.decode_from_bridge(data)[2])

    def _row(self, row: Other) -> None:
        self.bridge.receive_netlink(row)
        self._flush_soon()

    def _dumped(self) -> None:
        self.bridge.end_dump()
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        self.bridge.flush()

    def programmed(self) -> int:
        """Return how many MACs the datapath has, once no work is left; else -1."""
        if not (self.watch.drain() and self.watch.whole and self.reconciler.resting):
            return -1
        return sum(1 for _ in self.state.records[Kind.MAC].all_programmed())


async def rounds_of(control: str, forwarding: str, given: argparse.Namespace) -> None:
    with opened_in(control):
        way = await Way.made(forwarding)
        await way.datapath.apply(upsert(VNI))
        way.state.want(Kind.VNI, [VNI])
        tasks = [asyncio.create_task(work) for work in (way.watch.run(), way.reconciler.run())]
        try:
            await way.watch.again()
            costs: dict[str, list[float]] = {"added": [], "withdrawn": []}
            for number in range(1, given.rounds + 1):
                added, cost = await spent(given, way, control, RTM_NEWNEIGH, given.macs)
                costs["added"].append(cost)
                gone, cost = await spent(given, way, control, RTM_DELNEIGH, 0)
                costs["withdrawn"].append(cost)
                print(f"round {number}: added {added}, withdrawn {gone}", flush=True)
            for name, turns in costs.items():
                report(f"macpath.{name}", turns, "us-cpu", macs=given.macs)
        finally:
            await way.close(tasks)


@contextmanager
def opened_in(control: str) -> Iterator[None]:
    """Let a `Watch` open its sockets in this namespace."""
    opened = watch._socket

    def inside() -> socket.socket:
        with entered(control):
            return opened()

    watch._socket = inside
    try:
        yield
    finally:
        watch._socket = opened


async def spent(
    given: argparse.Namespace, way: Way, control: str, kind: int, expected: int
) -> tuple[str, float]:
    """Write a burst, wait until it is in the datapath; return what that cost, and CPU us a MAC."""
    command = [sys.executable, "-m", __spec__.name, "--write", control, str(kind)]
    profile = cProfile.Profile()
    began, cpu, dumps = time.monotonic(), time.process_time(), way.watch.dumps
    writer = subprocess.Popen([*command, "--macs", str(given.macs)])  # noqa: ASYNC220
    if given.profile:
        profile.enable()
    async with asyncio.timeout(PATIENCE_S):
        await until(lambda: writer.poll() is not None)
        await until(lambda: way.programmed() == expected)
    profile.disable()
    used, took = time.process_time() - cpu, time.monotonic() - began
    if given.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    again = f", {way.watch.dumps - dumps} dumps" if way.watch.dumps > dumps else ""
    cost = used / given.macs * 1e6
    return f"{cost:.1f} us each ({took:.1f} s by the clock{again})", cost


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  two processes are at work
        await asyncio.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--macs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--write", nargs=2, metavar=("NETNS", "TYPE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        name, kind = given.write
        write(name, entries(int(kind), index_of(name, "vx110"), REMOTE, macs(given.macs)))
        return
    Garbage()  # as in the daemons
    with fresh("macs-") as control, fresh("macs-") as forwarding:
        ip(control, "link add br110 type bridge")
        ip(control, "link add vx110 type vxlan id 110 local 100.64.0.1 dstport 4789 nolearning")
        ip(control, "link set vx110 master br110")
        ip(control, "link set br110 up")
        ip(control, "link set vx110 up")
        asyncio.run(rounds_of(control, forwarding, given))


if __name__ == "__main__":
    main()
