"""One million routes through the kernel datapath, beside a C program that sends the same bytes.

    python -m tests.bench.kernel [routes] [rounds]

Needs root and cc. Each round has its namespaces afresh; the two take turns, and medians are
compared, as times alone say little on a busy machine. CPU time, the kernel's included, says more.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from datapaths.kernel.driver import KernelDatapath
from datapaths.kernel.wire.routes import WITHDRAWAL, WRITE_BYTES, RouteEncoder
from datapaths.linux import netns
from dualpath.model.kinds import Kind
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.records import RecordBatch
from dualpath.model.routes import DEFAULT_VRF, Family, Op, RouteBatch
from dualpath.netlink import numbers as n
from tests.bench.declared import Bench
from tests.bench.figures import OURS
from tests.bench.figures import report as figure
from tests.fakes.netns import fresh, ip

BENCH = Bench(
    usual=(("10000", "3"), ("100000", "3")),
    long=(("10000", "5"), ("100000", "5"), ("1000000", "5")),
    quick=(("50000", "3"),),
    programs=("cc",),
)
BATCH_ROWS = 16384
TICK_S = 0.005  # of the watch on stalls: rare enough to cost nothing
STEPS = ("add", "replace", "delete")
NEXTHOP = {Family.INET: 1, Family.INET6: 2}


def routes(family: Family, count: int, op: Op, nexthop: int) -> RouteBatch:
    """Return /24s or /64s in order, as zebra replays them."""
    prefixes = np.zeros((count, family.width), np.uint8)
    if family is Family.INET:
        prefixes[:] = (
            (0x14000000 + np.arange(count) * 256).astype(">u4").view(np.uint8).reshape(-1, 4)
        )
    else:
        prefixes[:, :4] = 0x20, 0x01, 0x0D, 0xB8
        prefixes[:, 4:8] = np.arange(count).astype(">u4").view(np.uint8).reshape(-1, 4)
    return RouteBatch(
        DEFAULT_VRF,
        family,
        np.full(count, op, np.uint8),
        prefixes,
        np.full(count, 24 if family is Family.INET else 64, np.uint8),
        np.full(count, 186 if op is Op.UPSERT else 0, np.uint8),
        np.full(count, nexthop if op is Op.UPSERT else 0, np.uint32),
    )


def step(family: Family, name: str, count: int) -> RouteBatch:
    """Return the batch of one step; a replace moves every route to another nexthop."""
    if name == "delete":
        return routes(family, count, Op.WITHDRAW, 0)
    return routes(family, count, Op.UPSERT, NEXTHOP[family] + (2 if name == "replace" else 0))


async def prepare(name: str) -> KernelDatapath:
    ip(name, "link add v0 type veth peer name v1")
    ip(name, "addr add 10.0.0.1/24 dev v0")
    ip(name, "-6 addr add fd00::1/64 dev v0 nodad")
    ip(name, "link set v0 up")
    ip(name, "link set v1 up")
    datapath = KernelDatapath(name)
    gateways = [bytes([10, 0, 0, 2]), bytes.fromhex("fd00" + "00" * 13 + "02")]
    hops = [Nexthop(i, NexthopType.GATEWAY, gateways[(i + 1) % 2], "v0") for i in range(1, 5)]
    failures = await datapath.apply(RecordBatch(Kind.NEXTHOP, tuple(hops)))
    assert not failures, failures
    return datapath


async def through_datapath(family: Family, count: int) -> dict[str, float]:
    times: dict[str, float] = {}
    with fresh("bench-") as name:
        datapath = await prepare(name)
        parts_of = {what: in_batches(step(family, what, count)) for what in STEPS}
        stalls = asyncio.create_task(longest_stall())
        for what, parts in parts_of.items():
            start, cpu = time.monotonic(), time.process_time()
            for part in parts:
                failures = await datapath.apply(part)
                assert not failures, failures[:3]
            times[what] = time.monotonic() - start
            times[f"{what} cpu"] = time.process_time() - cpu
            if what == "add":
                times["dump"] = await dump(datapath, family, count)
        stalls.cancel()
        times["stall"] = await stalls
        await datapath.close()
    return times


def in_batches(whole: RouteBatch) -> list[RouteBatch]:
    return [whole.take(slice(i, i + BATCH_ROWS)) for i in range(0, len(whole), BATCH_ROWS)]


async def dump(datapath: KernelDatapath, family: Family, count: int) -> float:
    start, seen = time.monotonic(), 0
    async for batch in datapath.dump(Kind.ROUTE):
        assert isinstance(batch, RouteBatch)
        seen += len(batch) if batch.family is family else 0
    assert seen == count, (seen, count)
    return time.monotonic() - start


async def longest_stall() -> float:
    """Return the longest time for which the event loop did nothing else, once cancelled."""
    longest = 0.0
    try:
        while True:
            start = time.monotonic()
            await asyncio.sleep(TICK_S)
            longest = max(longest, time.monotonic() - start - TICK_S)
    except asyncio.CancelledError:
        return longest


async def through_c(family: Family, count: int, blaster: Path, folder: Path) -> dict[str, float]:
    times: dict[str, float] = {}
    with fresh("bench-") as name:
        await (await prepare(name)).close()
        for what in STEPS:
            stream = folder / f"{family.name}-{what}"
            if not stream.exists():
                stream.write_bytes(prebuilt(step(family, what, count)))
            times[what], times[f"{what} cpu"] = blast(name, blaster, stream)
    return times


def blast(name: str, blaster: Path, stream: Path) -> tuple[float, float]:
    command = [str(blaster), str(stream), str(WRITE_BYTES)]
    with netns.entered(name):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, cpu, refused = done.stdout.split()
    assert refused == "0", done.stdout
    return float(seconds), float(cpu)


def compile_blaster(folder: Path) -> Path:
    program = folder / "nlblast"
    source = Path(__file__).with_name("nlblast.c")
    subprocess.run(["cc", "-O2", "-o", program, source], check=True)
    return program


def prebuilt(batch: RouteBatch) -> bytes:
    encoder, size = RouteEncoder(), RouteEncoder.capacity(batch.family)
    shape = n.RTN_UNICAST if batch.ops[0] == Op.UPSERT else WITHDRAWAL
    parts: list[bytes] = []
    for i in range(0, len(batch), size):
        part = batch.take(slice(i, i + size))
        columns = part.prefixes, part.lengths, part.nexthops
        parts.append(bytes(encoder.encode(batch.family, n.RT_TABLE_MAIN, shape, 1, *columns)))
    return b"".join(parts)


async def main(count: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        blaster = compile_blaster(Path(folder))
        for family in Family:
            ours: list[dict[str, float]] = []
            best: list[dict[str, float]] = []
            for _ in range(rounds):
                best.append(await through_c(family, count, blaster, Path(folder)))
                ours.append(await through_datapath(family, count))
            report(family, count, ours, best)
            figures(family, count, ours, best)
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most")


def report(
    family: Family, count: int, ours: list[dict[str, float]], best: list[dict[str, float]]
) -> None:
    for what in STEPS:
        clock, cpu = (
            (
                statistics.median(times[key] for times in ours) / count * 1e6,
                statistics.median(times[key] for times in best) / count * 1e6,
            )
            for key in (what, f"{what} cpu")
        )
        print(
            f"{family.name:5} {what:8} {clock[0]:5.2f} us/route, C {clock[1]:5.2f}, "
            f"ratio {clock[1] / clock[0]:.2f}; CPU {cpu[0]:5.2f}, C {cpu[1]:5.2f}, "
            f"ratio {cpu[1] / cpu[0]:.2f}"
        )
    read = statistics.median(times["dump"] for times in ours)
    print(f"{family.name:5} dump     {read / count * 1e6:5.2f} us/route, {read:.2f} s in all")
    print(f"{family.name:5} longest stall of the event loop {max(t['stall'] for t in ours):.3f} s")


def figures(
    family: Family, count: int, ours: list[dict[str, float]], best: list[dict[str, float]]
) -> None:
    where = f"kernel.{family.name.lower()}"
    for what in STEPS:
        for name, key, unit in ((what, what, "s"), (f"{what}.cpu", f"{what} cpu", "s-cpu")):
            for variant, rounds in ((OURS, ours), ("c", best)):
                figure(
                    f"{where}.{name}", [times[key] for times in rounds], unit, variant, routes=count
                )
    figure(f"{where}.dump", [times["dump"] for times in ours], "s", routes=count)
    figure(f"{where}.stall", [times["stall"] * 1e3 for times in ours], "ms", routes=count)


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    asyncio.run(main(*(arguments + [1_000_000, 3][len(arguments) :])))
