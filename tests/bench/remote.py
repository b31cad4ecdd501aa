"""The cost of gRPC: a million routes into a datapath that discards them, with and without gRPC.

python -m tests.bench.remote [ROUTES]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence

import numpy as np

from datapaths.base import Batch, Datapath, RowFailure, Unavailable
from datapaths.memory import MemoryDatapath
from datapaths.remote.driver import RemoteDatapath
from datapaths.remote.server import serve
from dualpath.model.routes import Family, Op, RouteBatch
from tests.bench.declared import Bench
from tests.bench.figures import report

BENCH = Bench(usual=((),), long=((),), quick=(("100000",),), root=False)
SIZES = (4096, 8192, 16384, 65536)
LONE = 2000
TRIES = 3  # the best counts: other load only adds time


class Discard(MemoryDatapath):
    """Accepts every batch and discards it."""

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        return ()


def routes(first: int, count: int) -> RouteBatch:
    numbers = (0x0A000000 + np.arange(first, first + count, dtype=np.uint32)).astype(">u4")
    return RouteBatch(
        "default",
        Family.INET,
        np.full(count, Op.UPSERT, np.uint8),
        numbers.view(np.uint8).reshape(-1, 4),
        np.full(count, 32, np.uint8),
        np.full(count, 186, np.uint8),
        np.full(count, 1, np.uint32),
    )


async def fill(datapath: Datapath, total: int, size: int) -> float:
    batches = [routes(first, min(size, total - first)) for first in range(0, total, size)]
    began = time.perf_counter()
    for batch in batches:
        await datapath.apply(batch)
    return time.perf_counter() - began


async def lone(datapath: Datapath) -> tuple[float, float]:
    """Return p50 and p99 of one change, in microseconds."""
    one, took = routes(0, 1), []
    for _ in range(LONE):
        began = time.perf_counter()
        await datapath.apply(one)
        took.append(time.perf_counter() - began)
    return float(np.percentile(took, 50) * 1e6), float(np.percentile(took, 99) * 1e6)


async def server(listen: str) -> None:
    running = await serve(Discard(), listen=listen)
    await asyncio.Event().wait()
    await running.stop()


async def client(listen: str, total: int) -> None:
    remote = RemoteDatapath(listen)
    async with asyncio.timeout(20):
        while True:
            try:
                await remote.capabilities()
                break
            except Unavailable:
                await asyncio.sleep(0.05)
    for size in SIZES:
        tries = [await fill(remote, total, size) for _ in range(TRIES)]
        took = min(tries)
        per_route = took / total * 1e6
        print(f"{total} routes, batches of {size:5}: {took:6.3f} s, {per_route:.3f} us a route")
        turns = [seconds / total * 1e6 for seconds in tries]
        report(f"remote.fill-{size}", turns, "us", routes=total)
    p50, p99 = await lone(remote)
    print(f"one change, there and back: p50 {p50:.0f} us, p99 {p99:.0f} us")
    report("remote.change.p50", p50, "us")
    report("remote.change.p99", p99, "us")
    await remote.close()


async def main() -> None:
    if sys.argv[1:2] == ["--server"]:
        await server(sys.argv[2])
        return
    total = int(sys.argv[1]) if sys.argv[1:] else 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        listen = f"unix:{directory}/bench.sock"
        command = (sys.executable, "-m", "tests.bench.remote", "--server", listen)
        process = await asyncio.create_subprocess_exec(*command)
        try:
            await client(listen, total)
        finally:
            process.terminate()
            await process.wait()


if __name__ == "__main__":
    asyncio.run(main())
