"""CPU time until a command runs, and rows per second into a pipe.

Run as `python -m tests.bench.commands [--rows N]`; times are the best of several runs. The server
is the controller's own, over its own tables, in a process of its own: what is measured is the way
of a row from the table to the pipe. Memory is the command's peak, and how much the server grew.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event as Ready
from pathlib import Path

import numpy as np

from controller.core.summary import Identity
from controller.core.view import CoreView
from controller.inspect.server import serve
from datapaths.base import Batch, RowFailure
from dualpath.model import events
from dualpath.model.layer2 import Mac, Neighbor
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import DEFAULT_VRF, Family, Op, RouteBatch
from tests.bench.declared import Bench
from tests.bench.figures import report
from tests.fakes.core import Core, LoggingDatapath, running

BENCH = Bench(usual=(("--rows", "100000"),), long=((),), quick=(("--rows", "0"),), root=False)
RUNS = 7
BATCH_ROWS = 4096
NEXTHOPS = 100  # that routes have
FEW = 10  # of a list of records there are so many times fewer rows than routes
VNI = 110
STARTS = (
    ["--help"],
    ["--version"],
    ["__complete", "st"],
    ["__complete", "validate", "--node"],
    ["status"],  # without a daemon
)
LISTS = (
    ["routes", "--family", "ipv4"],
    ["routes", "--family", "ipv6"],
    ["macs"],
    ["neighbors"],
    ["nexthops"],
)
RTPROT_BGP = 186  # linux/rtnetlink.h
DUALPATH = [sys.executable, "-m", "controller.cli"]


def cpu_s(command: list[str]) -> float:
    """Return the least user and system time of several runs."""
    best = float("inf")
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(best, took)
    return best


class Accepting(LoggingDatapath):
    """Takes everything and keeps nothing, so that memory is the controller's."""

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        await asyncio.sleep(0)
        return ()


def gateway(number: int) -> Nexthop:
    address = (192 << 24 | 2 << 8 | number).to_bytes(4)
    return Nexthop(number + 1, NexthopType.GATEWAY, address, "eth1")


def routes(family: Family, first: int, count: int) -> RouteBatch:
    """Return host routes; the last four bytes of an address count."""
    numbers = np.arange(first, first + count, dtype=np.uint32)
    prefixes = np.zeros((count, family.width), np.uint8)
    prefixes[:, -4:] = (numbers + (10 << 24)).astype(">u4").view(np.uint8).reshape(-1, 4)
    return RouteBatch(
        vrf=DEFAULT_VRF,
        family=family,
        ops=np.full(count, Op.UPSERT, np.uint8),
        prefixes=prefixes,
        lengths=np.full(count, family.width * 8, np.uint8),
        protocols=np.full(count, RTPROT_BGP, np.uint8),
        nexthops=(numbers % NEXTHOPS + 1).astype(np.uint32),
    )


def records(count: int) -> Iterator[Record]:
    for number in range(count):
        mac = number.to_bytes(6)
        yield Mac(VNI, mac, (100 << 24 | number % NEXTHOPS).to_bytes(4))
        yield Neighbor(VNI, (10 << 24 | number).to_bytes(4), mac)
        yield gateway(number + NEXTHOPS)


async def fill(core: Core, rows: int) -> None:
    """Fill the tables as a replay does, in batches that came one after the other."""
    core.subscribe()
    core.say(*map(gateway, range(NEXTHOPS)))
    for family in Family:
        for first in range(0, rows, BATCH_ROWS):
            batch = routes(family, first, min(BATCH_ROWS, rows - first))
            core.state.learn(events.Changed(batch))
            core.clock.advance(0.01)
            await asyncio.sleep(0)
    few = list(records(rows // FEW))
    for kind in {record.kind: None for record in few}:
        batch_ = RecordBatch(kind, tuple(record for record in few if record.kind is kind))
        core.state.learn(events.Changed(batch_))
    core.synced()
    core.wake()
    await core.reconciler.at_rest()


async def live(listen: str, rows: int, done: Ready) -> None:
    core = Core(Accepting())
    async with running(core):
        await fill(core, rows)
        core.heard.clear()
        core.datapath.log.clear()
        identity = Identity("0.1", "fwd", "frr", 0.0)
        view = CoreView(identity, core.planes, core.clock, release=str)
        server = await serve(view, core.datapath, listen=listen)
        done.set()
        await asyncio.Event().wait()
        await server.stop()


def serve_rows(listen: str, rows: int, done: Ready) -> None:
    asyncio.run(live(listen, rows, done))


@dataclass
class Server:
    """The process that serves."""

    listen: str
    pid: int

    def cpu_s(self) -> float:
        words = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, words[11:13])) / os.sysconf("SC_CLK_TCK")

    def peak_mb(self) -> float:
        return _status_mb(self.pid, "VmHWM")


def _status_mb(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


@contextmanager
def served(rows: int) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as directory:
        listen, done = f"unix:{directory}/inspect.sock", multiprocessing.Event()
        process = multiprocessing.Process(target=serve_rows, args=(listen, rows, done))
        process.start()
        while not done.wait(0.1):
            assert process.is_alive(), "the server ended"
        assert process.pid
        try:
            yield Server(listen, process.pid)
        finally:
            process.terminate()
            process.join()


@dataclass(frozen=True, slots=True)
class Listing:
    rows: int
    took_s: float
    command_cpu_s: float
    server_cpu_s: float
    command_mb: float  # at its peak
    grown_mb: float  # the server's peak, above its peak before

    def __str__(self) -> str:
        us = 1_000_000 / self.rows
        return (
            f"{self.rows / self.took_s:9,.0f} rows/s  CPU of a row:"
            f" command {self.command_cpu_s * us:4.1f} us, server {self.server_cpu_s * us:4.1f} us"
            f"  memory: command {self.command_mb:3.0f} MB, server +{self.grown_mb:.0f} MB"
        )


def listing(server: Server, words: list[str], form: str) -> Listing:
    """Run a list into a pipe that somebody reads."""
    command = [*DUALPATH, "--connect", server.listen, *words, "-o", form]
    cpu, peak, lines = server.cpu_s(), server.peak_mb(), 0
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running_:
        assert running_.stdout
        while data := os.read(running_.stdout.fileno(), 1 << 20):
            lines += data.count(b"\n")
        took = time.monotonic() - began
        _, code, used = os.wait4(running_.pid, 0)
        running_.returncode = os.waitstatus_to_exitcode(code)
    assert running_.returncode == 0, f"{command}: exit code {running_.returncode}"
    return Listing(
        lines,
        took,
        used.ru_utime + used.ru_stime,
        server.cpu_s() - cpu,
        used.ru_maxrss / 1024,
        server.peak_mb() - peak,
    )


def slug(*words: str) -> str:
    return ".".join(("commands", *(word.strip("-_") for word in words)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="routes of each family; 0: no lists"
    )
    rows = parser.parse_args().rows
    bare = cpu_s([sys.executable, "-c", "pass"])
    print(f"{'a bare interpreter':<36}{bare:6.3f} s of CPU")
    for words in STARTS:
        connect = [] if words[0] == "__complete" else ["--connect", "unix:/none.sock"]
        took = cpu_s([*DUALPATH, *connect, *words])
        print(f"dualpath {' '.join(words):<27}{took:6.3f} s of CPU, {took / bare:4.1f} x")
        work = slug("start", *words)
        report(work, took, "s-cpu")
        report(work, bare, "s-cpu", "bare-python")
    if not rows:
        return
    with served(rows) as server:
        print(f"the server holds its rows in {server.peak_mb():.0f} MB")
        for words in LISTS:
            for form in ("table", "wide", "json"):
                name = f"dualpath {' '.join(words)} -o {form}"
                found = listing(server, words, form)
                print(f"{name:<38}{found}", flush=True)
                work, us = slug(*words, form), 1e6 / found.rows
                report(f"{work}.command", found.command_cpu_s * us, "us-cpu", rows=rows)
                report(f"{work}.server", found.server_cpu_s * us, "us-cpu", rows=rows)
                report(f"{work}.memory", found.command_mb, "MB", rows=rows)


if __name__ == "__main__":
    main()
