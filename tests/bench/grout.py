"""A million routes into real grout through the driver, beside a native client that sends the same.

    python -m tests.bench.grout [rounds] [routes ...]

Needs root, cc, and grout (installed, or in the lab's root filesystem). Both clients drive one grout
and take turns; medians are compared, as times alone say little on a busy machine.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datapaths.conformance.batches import upsert
from datapaths.grout.driver import BATCH_ROWS, GroutDatapath
from datapaths.grout.picture import ids
from datapaths.grout.ports.placement import Places
from datapaths.grout.process import Grout, locate
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.routes import encode_adds, encode_dels
from datapaths.grout.wire.table import Rows, api, versions
from dualpath.model.kinds import Kind
from dualpath.model.links import Address, HostEnd, Port
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.routes import Family, Op, RouteBatch
from tests.bench.declared import Bench
from tests.bench.figures import OURS
from tests.bench.figures import report as figure
from tests.bench.kernel import routes
from tests.contract.groutworld import running

BENCH = Bench(usual=(("3", "1000000"),), long=(("5", "100000", "1000000"),), programs=("cc",))
STEPS = ("add", "delete")


async def prepare(grout: Grout, host: str) -> GroutDatapath:
    """Open grout with a port and a nexthop."""
    home = locate(grout.sock)
    places = Places(home, grout.netns, host)
    datapath = GroutDatapath(str(grout.sock), lambda: places, lambda: home)
    address = Address.parse("10.0.0.1/24")
    for record in (
        Port("p0", addresses=(address,), host=HostEnd(host, "h0")),
        Nexthop(1, NexthopType.GATEWAY, bytes([10, 0, 0, 2]), "p0"),
    ):
        assert not await datapath.apply(upsert(record))
    return datapath


async def through_driver(datapath: GroutDatapath, whole: RouteBatch) -> float:
    start = time.monotonic()
    for at in range(0, len(whole), BATCH_ROWS):
        assert not await datapath.apply(whole.take(slice(at, at + BATCH_ROWS)))
    return time.monotonic() - start


def prebuilt(batch: RouteBatch) -> Rows:
    table, vrf = api(versions()[0]), n.GR_VRF_DEFAULT_ID
    columns = batch.prefixes, batch.lengths
    if batch.ops[0] == Op.WITHDRAW:
        return encode_dels(table, batch.family, vrf, *columns)
    nh_ids = batch.nexthops | np.uint32(ids.FIRST_GROUP)
    return encode_adds(table, batch.family, vrf, *columns, nh_ids, ids.ORIGIN)


async def through_c(program: Path, grout: Grout, folder: Path, whole: RouteBatch) -> float:
    rows = prebuilt(whole)
    stream = folder / "requests"
    stream.write_bytes(rows.tobytes())
    arguments = [grout.sock, stream, rows.dtype.itemsize, versions()[0]]
    process = await asyncio.create_subprocess_exec(
        program, *(str(argument) for argument in arguments), stdout=subprocess.PIPE
    )
    said, _ = await process.communicate()
    seconds, refused = said.split()
    assert refused == b"0", said
    return float(seconds)


def compiled(folder: Path) -> Path:
    program = folder / "groutblast"
    source = Path(__file__).with_name("groutblast.c")
    subprocess.run(["cc", "-O2", "-o", program, source], check=True)
    return program


async def count_routes(datapath: GroutDatapath) -> tuple[int, float]:
    start = time.monotonic()
    count = 0
    async for batch in datapath.dump(Kind.ROUTE):
        count += len(batch)
    return count, time.monotonic() - start


async def compare(grout: Grout, host: str, folder: Path, count: int, rounds: int) -> None:
    program = compiled(folder)
    whole = {
        "add": routes(Family.INET, count, Op.UPSERT, 1),
        "delete": routes(Family.INET, count, Op.WITHDRAW, 1),
    }
    ours: dict[str, list[float]] = {step: [] for step in STEPS}
    native: dict[str, list[float]] = {step: [] for step in STEPS}
    listed: list[float] = []
    # Not counted: the table grows, and memory is touched for the first time.
    await ours_once(grout, host, whole, {step: [] for step in STEPS}, [])
    for _ in range(rounds):
        for step in STEPS:
            native[step].append(await through_c(program, grout, folder, whole[step]))
        await ours_once(grout, host, whole, ours, listed)
    report(count, ours, native, statistics.median(listed))
    for step in STEPS:
        for variant, times in ((OURS, ours), ("c", native)):
            figure(f"grout.{step}", times[step], "s", variant, routes=count)
    figure("grout.dump", listed, "s", routes=count)


async def ours_once(
    grout: Grout,
    host: str,
    whole: dict[str, RouteBatch],
    times: dict[str, list[float]],
    listed: list[float],
) -> None:
    """Go through the steps with a driver of its own: an open one is told of the other's routes."""
    datapath = await prepare(grout, host)
    try:
        for step in STEPS:
            times[step].append(await through_driver(datapath, whole[step]))
            if step == "add":
                found, seconds = await count_routes(datapath)
                assert found == len(whole[step]), found
                listed.append(seconds)
    finally:
        await datapath.close()


def report(
    count: int,
    ours: dict[str, list[float]],
    native: dict[str, list[float]],
    listed: float,
) -> None:
    for step in STEPS:
        mine, best = statistics.median(ours[step]), statistics.median(native[step])
        print(
            f"{count:8} {step:7} {count / mine:8.0f} routes/s, C {count / best:8.0f}, "
            f"ratio {best / mine:.2f}"
        )
    print(f"{count:8} dump    {count / listed:8.0f} routes/s")


async def main(rounds: int, counts: Sequence[int]) -> None:
    with running() as (grout, host), tempfile.TemporaryDirectory() as folder:
        for count in counts:
            await compare(grout, host, Path(folder), count, rounds)


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    asyncio.run(main(arguments[0] if arguments else 3, arguments[1:] or (100_000, 1_000_000)))
