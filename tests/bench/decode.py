"""Decode one million prebuilt routes and print microseconds per route, framing included.

Run as `python -m tests.bench.decode [--routes N]`; figures are the best of three passes.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable

import numpy as np

from dualpath.model.routes import U32
from dualpath.netlink.numbers import RTNH_F_ONLINK
from frr_bridge.wire.columns import decode
from frr_bridge.wire.fpm import FpmFramer
from frr_bridge.wire.inline import InlineNexthop
from tests.bench.declared import Bench
from tests.bench.figures import report
from tests.unit.frr_bridge.wire.build import (
    by_id,
    encap,
    frames,
    gateway,
    multipath,
    route,
    withdrawal,
)

BENCH = Bench(usual=(("--routes", "100000"),), long=((),), root=False)
PASSES = 3
CHUNKS = (16 << 10, 64 << 10, 256 << 10, 1 << 20)


class DenseHandles:
    """The cheapest possible lookup, so that the decoder is what is measured."""

    def __init__(self) -> None:
        self._inlines: dict[InlineNexthop, int] = {}

    def by_id(self, ids: U32) -> U32:
        return ids

    def inline(self, nexthop: InlineNexthop) -> int:
        return self._inlines.setdefault(nexthop, len(self._inlines) + 1)


def _v4(number: int) -> bytes:
    return (0x0B00_0000 + (number << 8)).to_bytes(4)


def _v6(number: int) -> bytes:
    return b"\x20\x01\x0d\xb8" + number.to_bytes(4) + bytes(8)


def _hop4(number: int) -> bytes:
    return gateway(bytes([10, 254, 0, number % 64]), 2 + number % 4)


def _hop6(number: int) -> bytes:
    return gateway(bytes.fromhex("fd00") + bytes(13) + bytes([number % 64]), 2)


def _overlay(number: int) -> bytes:
    return gateway(bytes([100, 64, 0, number % 64]), 4) + encap(100 + number % 8)


def by_id_v4(number: int) -> bytes:
    return route(_v4(number), 24, by_id(11 + number % 50))


def gateway_v4(number: int) -> bytes:
    return route(_v4(number), 24, _hop4(number))


def overlay_v4(number: int) -> bytes:
    return route(_v4(number), 24, _overlay(number), table=1100, flags=RTNH_F_ONLINK)


def by_id_v6(number: int) -> bytes:
    return route(_v6(number), 48, by_id(11 + number % 50))


def gateway_v6(number: int) -> bytes:
    return route(_v6(number), 48, _hop6(number))


def withdrawals(number: int) -> bytes:
    return withdrawal(_v4(number), 24)


def false_headers(number: int) -> bytes:
    """Carry a gateway in every route that looks like an FPM header."""
    return route(_v4(number), 24, gateway(bytes([1, 1, 0, 64]), 2))


_KINDS = (by_id_v4, by_id_v4, gateway_v4, overlay_v4, by_id_v6, gateway_v6, withdrawals)


def mixed(number: int) -> bytes:
    """Return any columnar shape, in two tables."""
    choice = random.Random(number).randrange(len(_KINDS) + 1)
    if choice == len(_KINDS):
        return route(_v4(number), 24, by_id(11 + number % 50), table=1000)
    return _KINDS[choice](number)


def mixed_with_multipath(number: int) -> bytes:
    """Return `mixed` with one route in a hundred that only the scalar decoder takes."""
    if number % 100:
        return mixed(number)
    legs = ((1, 0, 2, gateway(bytes([10, 254, 0, i]), 2)[:8]) for i in (2, 3))
    return route(_v4(number), 24, multipath(*legs))


STREAMS: tuple[Callable[[int], bytes], ...] = (
    by_id_v4,
    gateway_v4,
    overlay_v4,
    by_id_v6,
    gateway_v6,
    withdrawals,
    false_headers,
    mixed,
    mixed_with_multipath,
)


def measure(stream: bytes, chunk: int, count: int) -> float:
    """Return microseconds per route."""
    handles = DenseHandles()
    framer = FpmFramer()
    rows = 0
    began = time.process_time()
    for at in range(0, len(stream), chunk):
        got = framer.feed(stream[at : at + chunk])
        rows += sum(len(t) for t in decode(got.buffer, got.offsets, handles).routes)
    took = time.process_time() - began
    if rows != count:
        raise SystemExit(f"{rows} rows of {count}")
    return took / count * 1e6


def latency(repeat: int = 2000) -> dict[int, float]:
    """Return the median microseconds of a read of so many routes."""
    found: dict[int, float] = {}
    for size in (1, 8, 24, 25, 64, 144, 424):
        stream = frames(*(by_id_v4(i) for i in range(size)))
        handles, framer, times = DenseHandles(), FpmFramer(), []
        for _ in range(repeat):
            began = time.process_time()
            got = framer.feed(stream)
            decode(got.buffer, got.offsets, handles)
            times.append(time.process_time() - began)
        found[size] = float(np.median(times)) * 1e6
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--routes", type=int, default=1_000_000)
    count: int = parser.parse_args().routes
    print(f"{'us/route':24}" + "".join(f"{chunk >> 10:>8} KiB" for chunk in CHUNKS))
    for kind in STREAMS:
        part = min(count, 100_000)
        stream = frames(*(kind(i) for i in range(part))) * (count // part)
        routes = part * (count // part)
        took = [[measure(stream, chunk, routes) for _ in range(PASSES)] for chunk in CHUNKS]
        best = [min(passes) for passes in took]
        print(f"{kind.__name__:24}" + "".join(f"{value:12.3f}" for value in best))
        report(f"decode.{kind.__name__}", took[-1], "us-cpu", routes=routes)
    reads = latency()
    print("us/read  " + "  ".join(f"{n} routes {t:.1f}" for n, t in reads.items()))
    for size, us in reads.items():
        report("decode.read", us, "us-cpu", routes=size)


if __name__ == "__main__":
    main()
