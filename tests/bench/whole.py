"""The whole product at one million IPv4 routes: `controller`, its `frr-bridge`, and zebra's bytes.

    python -m tests.bench.whole [routes]

Needs root and cc. What zebra would send is prebuilt and sent by us, in the control namespace, so
that our own parts are what is measured; the C program of the other bench writes the same routes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np

from controller.node.supervisor import bridge_of
from datapaths.kernel.channel import Monitor, ask
from datapaths.kernel.wire.lookup import decode_entry, lookup_request
from datapaths.kernel.wire.routes import METRIC
from datapaths.linux import netns
from dualpath.model.routes import Family
from dualpath.netlink import numbers as n
from dualpath.netlink.message import messages
from dualpath.pb import inspect_pb2 as pb
from dualpath.pb import inspect_pb2_grpc
from tests.bench.declared import Bench
from tests.bench.figures import OURS, report
from tests.bench.kernel import compile_blaster, through_c
from tests.fakes.netns import fresh, ip

BENCH = Bench(
    usual=(("100000",), ("1000000",)),
    long=(("10000",), ("100000",), ("1000000",), ("2000000",)),
    programs=("cc",),
    limit_s=1200,
)
FIRST = 0x1400_0000  # 20.0.0.0/24 and up, as the C program has them
LONE = bytes([9, 9, 9, 0])
PORT = 2620
ROUNDS = 5  # in turns: this machine's speed varies more than the two programs differ
CHANGES = 500
POLL_S = 0.0001
LIMIT_S = 120
CHURN = 40_000  # routes a second, as zebra passes on live
ROUTE = np.dtype(
    [
        ("fpm", "V4"),
        ("header", "V16"),
        ("rtm", "V12"),
        ("dst_rta", "V4"),
        ("dst", ">u4"),
        ("metric", "V8"),
        ("nexthop_rta", "V4"),
        ("nexthop", "=u4"),
    ]
)
"""A route by nexthop id as FRR 10.7.1 sends it, 56 bytes with the FPM header."""


def stream(first: int, count: int, nexthop: int) -> bytes:
    """Return zebra's bytes for so many /24s in order."""
    rows = np.zeros(count, ROUTE)
    rows["fpm"] = np.void(struct.pack("!BBH", 1, 1, ROUTE.itemsize))
    rows["header"] = np.void(struct.pack("=IHHII", ROUTE.itemsize - 4, n.RTM_NEWROUTE, 0x501, 0, 1))
    rows["rtm"] = np.void(struct.pack("=BBBBBBBBI", 2, 24, 0, 0, 254, 186, 0, 1, 0))
    rows["dst_rta"] = np.void(struct.pack("=HH", 8, n.RTA_DST))
    rows["dst"] = first + (np.arange(count) << 8)
    rows["metric"] = np.void(struct.pack("=HHI", 8, n.RTA_PRIORITY, METRIC))
    rows["nexthop_rta"] = np.void(struct.pack("=HH", 8, n.RTA_NH_ID))
    rows["nexthop"] = nexthop
    return rows.tobytes()


def make_device(namespace: str) -> None:
    """Make v0, by which 10.0.0.2 and 10.0.0.3 are reached."""
    ip(namespace, "link add v0 type veth peer name v1")
    ip(namespace, "addr add 10.0.0.1/24 dev v0")
    for name in ("v0", "v1"):
        ip(namespace, f"link set {name} up")


class Product:
    """A running controller with its bridge, between two namespaces."""

    def __init__(self, control: str, forwarding: str, state: Path) -> None:
        self.control, self.forwarding, self._state = control, forwarding, state
        self._log = (state / "log").open("ab")
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        command = (
            f"-m controller --datapath=kernel --frr-netns={self.control} --netns={self.forwarding}"
            f" --state-dir={self._state} --listen=unix:{self._state}/inspect.sock --frr-name=bench"
        )
        self.process = subprocess.Popen([sys.executable, *command.split()], stderr=self._log)
        return self.process

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self._log.close()

    def connect(self) -> socket.socket:
        """Return zebra's end of an FPM session."""
        with netns.entered(self.control):
            zebra = socket.socket()
        wait(lambda: zebra.connect_ex(("127.0.0.1", PORT)) == 0, "the FPM port")
        return zebra

    def is_live(self) -> bool:
        with grpc.insecure_channel(f"unix:{self._state}/inspect.sock") as channel:
            stub = inspect_pb2_grpc.InspectStub(channel)  # type: ignore[no-untyped-call]  # generated
            try:
                now = stub.Status(pb.StatusRequest(), timeout=5)
            except grpc.RpcError:
                return False
            return bool(now.ready and now.session_state == "live")

    def nexthop_of(self, address: bytes) -> int:
        """Return the nexthop id that the kernel takes to an address, 0 for none."""
        try:
            return decode_entry(ask(self.forwarding, lookup_request(address, 0))).nexthop
        except OSError:
            return 0

    def cpu_s(self) -> float:
        """Return the CPU time of our processes, the kernel's on their behalf included."""
        fields = [Path(f"/proc/{pid}/stat").read_text() for pid in self._pids().values()]
        ticks = sum(int(t) for text in fields for t in text.rpartition(")")[2].split()[11:13])
        return ticks / os.sysconf("SC_CLK_TCK")

    def _pids(self) -> dict[str, int]:
        bridge = bridge_of(self._state)
        assert bridge is not None
        return {"controller": self.process.pid, "frr-bridge": bridge.pid}

    def mebibytes(self) -> dict[str, float]:
        """Return the proportional set size of each of our processes."""
        found = {}
        for name, pid in self._pids().items():
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            line = next(line for line in text.splitlines() if line.startswith("Pss:"))
            found[name] = int(line.split()[1]) / 1024
        return found


@dataclass(frozen=True, slots=True)
class Times:
    """Of one round."""

    ours_s: float
    ours_cpu_s: float
    c_s: float
    c_cpu_s: float


def wait(
    holds: Callable[[], bool], what: str, limit_s: float = 120.0, every_s: float = 0.005
) -> None:
    until = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < until, f"not within {LIMIT_S} s: {what}"
        time.sleep(every_s)


def address_of(number: int) -> bytes:
    return int(FIRST + (number << 8) + 1).to_bytes(4)


def replay(product: Product, zebra: socket.socket, whole: bytes, count: int) -> float:
    """Send all routes; return the seconds until the kernel has the last one another way."""
    spots = [address_of(i) for i in (*range(0, count, max(1, count // 50)), count - 1)]
    before = [product.nexthop_of(spot) for spot in spots]
    start = time.monotonic()
    zebra.sendall(whole)
    wait(
        lambda: all(
            product.nexthop_of(spot) not in (0, was)
            for spot, was in zip(reversed(spots), reversed(before), strict=True)
        ),
        "the routes",
    )
    return time.monotonic() - start


def latency(product: Product, zebra: socket.socket, busy: threading.Lock) -> list[float]:
    """Change one route many times; return seconds from FPM's bytes until the kernel has it."""
    took = []
    for change in range(CHANGES):
        nexthop, data = product.nexthop_of(LONE), stream(int.from_bytes(LONE), 1, 1 + change % 2)
        with busy:
            start = time.monotonic()
            zebra.sendall(data)
        while product.nexthop_of(LONE) in (0, nexthop):
            time.sleep(POLL_S)
        took.append(time.monotonic() - start)
        time.sleep(0.005)
    return took


@contextmanager
def churning(zebra: socket.socket, count: int, busy: threading.Lock) -> Iterator[None]:
    """Change routes at the rate of a live zebra for the length of a block."""
    over = threading.Event()

    def churn() -> None:
        nexthop, at = 1, 0
        while not over.wait(0.01):
            with busy:
                zebra.sendall(stream(FIRST + (at << 8), CHURN // 100, nexthop))
            at += CHURN // 100
            if at + CHURN // 100 > count:
                nexthop, at = 3 - nexthop, 0

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def restart(product: Product) -> tuple[float, int]:
    """Kill the controller and start it; return the seconds until it is synced, and its writes."""
    monitor = Monitor(product.forwarding, 0, (n.RTNLGRP_IPV4_ROUTE, n.RTNLGRP_NEXTHOP))
    product.process.kill()
    product.process.wait()
    start = time.monotonic()
    product.start()
    wait(product.is_live, "the controller is synced", every_s=0.05)
    took = time.monotonic() - start
    written = len(list(messages(monitor.read(1 << 16))))
    monitor.close()
    return took, written


def milliseconds(took: list[float]) -> str:
    p50, p99 = np.percentile(np.array(took) * 1e3, [50, 99])
    return f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, worst {max(took) * 1e3:.1f} ms"


def distribution(work: str, took: list[float], count: int) -> None:
    """Report quantiles of latencies; the turns of p50 and p90 are fifths of the changes."""
    every = np.array(took) * 1e3
    for name, share in (("p50", 50), ("p90", 90)):
        turns = [np.percentile(part, share) for part in np.array_split(every, 5)]
        report(f"{work}.{name}", turns, "ms", routes=count)
    for name, share in (("p99", 99), ("worst", 100)):  # a fifth would flatter
        report(f"{work}.{name}", np.percentile(every, share), "ms", routes=count)


def measure(product: Product, zebra: socket.socket, count: int, empty: dict[str, float]) -> None:
    """Print the figures of one product with all routes; without them it uses `empty` MiB."""
    busy = threading.Lock()
    replaced_s = replay(product, zebra, stream(FIRST, count, 2), count)
    print(f"replace  {replaced_s:.2f} s")
    time.sleep(3)
    full = product.mebibytes()
    for name, size in full.items():
        print(f"memory   {name:10} {size:.0f} MiB, {empty[name]:.0f} without routes")
        report(f"whole.memory.{name}", size, "MiB", routes=count)
    print(f"memory   together   {sum(full.values()):.0f} MiB (bar 400)")
    report("whole.memory", sum(full.values()), "MiB", routes=count)
    took = latency(product, zebra, busy)
    print(f"idle     {milliseconds(took)} (bar 0.4, 2)")
    distribution("whole.change", took, count)
    with churning(zebra, count, busy):
        time.sleep(1)
        took = latency(product, zebra, busy)
        print(f"churn    {milliseconds(took)} (bar p99 50)")
    distribution("whole.change-in-churn", took, count)
    time.sleep(3)
    took_s, written = restart(product)
    print(f"restart  {took_s:.2f} s, {written} writes (bar 5 s, 0)")
    report("whole.restart", took_s, "s", routes=count)
    report("whole.restart.writes", written, "writes", routes=count)
    report("whole.replace", replaced_s, "s", routes=count)


def round_of(count: int, blaster: Path, folder: Path, *, last: bool) -> Times:
    """Give the C program and a new product the same routes."""
    best = asyncio.run(through_c(Family.INET, count, blaster, folder))
    best_s = best["add"]
    state = Path(tempfile.mkdtemp(dir=folder))
    with fresh("ctl-") as control, fresh("fwd-") as space:
        for namespace in (control, space):
            make_device(namespace)
        for identity in (1, 2):
            ip(control, f"nexthop add id {identity} via 10.0.0.{identity + 1} dev v0")
        product = Product(control, space, state)
        try:
            zebra = product.connect()
            wait(product.is_live, "the first session is live", every_s=0.2)
            empty, cpu_s = product.mebibytes(), product.cpu_s()
            took_s = replay(product, zebra, stream(FIRST, count, 1), count)
            cpu_s = product.cpu_s() - cpu_s
            print(
                f"replay   {took_s:.2f} s, C {best_s:.2f} s, ratio {best_s / took_s:.2f};"
                f" our CPU {cpu_s:.2f} s; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
            )
            if last:
                measure(product, zebra, count, empty)
            zebra.close()
        finally:
            product.stop()
            sys.stderr.write((state / "log").read_text())
    return Times(took_s, cpu_s, best_s, best["add cpu"])


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        blaster = compile_blaster(folder)
        times = [round_of(count, blaster, folder, last=i == ROUNDS) for i in range(1, ROUNDS + 1)]
        ratio = statistics.median(one.c_s / one.ours_s for one in times)
        print(f"ratio    {ratio:.2f} is the median (bar 0.9)")
        report("whole.replay", [one.ours_s for one in times], "s", OURS, routes=count)
        report("whole.replay", [one.c_s for one in times], "s", "c", routes=count)
        report("whole.replay.cpu", [one.ours_cpu_s for one in times], "s-cpu", OURS, routes=count)
        report("whole.replay.cpu", [one.c_cpu_s for one in times], "s-cpu", "c", routes=count)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("routes", type=int, nargs="?", default=1_000_000)
    main(parser.parse_args().routes)
