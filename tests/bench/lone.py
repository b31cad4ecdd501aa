"""What a lone change of a route costs, from zebra's bytes to the kernel's acknowledgement (root).

Run as `python -m tests.bench.lone [--changes N] [--pause MS]`. Both programs' code runs in one
process, as in `tests.bench.macpath`. Prints the CPU time of a change, user and system, and how
often a netlink socket was read for it; sockets of FPM and ZeroMQ are left out.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time

from dualpath.netlink import numbers as n
from dualpath.netlink import socket as netlink
from dualpath.netlink.message import attribute, encode_message, u32
from dualpath.process.garbage import Garbage
from frr_bridge.wire.fpm import FpmFramer, frame
from frr_bridge.wire.route import RTMSG
from tests.bench.declared import Bench
from tests.bench.figures import report
from tests.bench.macpath import Way, opened_in
from tests.fakes.netns import fresh

BENCH = Bench(
    usual=((), ("--pause", "5")),
    long=(("--changes", "3000"), ("--changes", "3000", "--pause", "5")),
    quick=((),),
)
TURNS = 5  # parts of the changes: how much their medians differ is the noise
RTPROT_BGP = 186
PREFIX = bytes([9, 9, 9, 0])
WARM = 50  # changes before the first that counts
KINDS = n.RTN_BLACKHOLE, n.RTN_UNREACHABLE  # in turn: no nexthop has to exist


def message(kind: int) -> bytes:
    """Return zebra's frame for 9.9.9.0/24 with this rtm_type."""
    fixed = RTMSG.pack(n.AF_INET, 24, 0, 0, n.RT_TABLE_MAIN, RTPROT_BGP, 0, kind, 0)
    body = fixed + attribute(n.RTA_DST, PREFIX) + u32(n.RTA_PRIORITY, 20)
    return frame(encode_message(n.RTM_NEWROUTE, 0, 0, body))


async def changes(way: Way, given: argparse.Namespace) -> list[float]:
    """Make one change after the other; return the CPU seconds of each."""
    framer, frames, spent = FpmFramer(), [message(kind) for kind in KINDS], []
    for number in range(WARM + given.changes):
        await asyncio.sleep(given.pause / 1000)
        started = time.process_time()
        way.watch.drain()  # as `frr_bridge.fpminput` does
        way.bridge.receive_frames(framer.feed(frames[number % 2]))
        way.bridge.flush()
        await way.reconciler.at_rest()
        spent.append(time.process_time() - started)
    return spent[WARM:]


async def run(control: str, forwarding: str, given: argparse.Namespace) -> None:
    with opened_in(control):
        way = await Way.made(forwarding)
        tasks = [asyncio.create_task(work) for work in (way.watch.run(), way.reconciler.run())]
        try:
            await way.watch.again()
            reads, read = 0, netlink.receive

            def counted(sock: object) -> bytes:
                nonlocal reads
                reads += 1
                return read(sock)  # type: ignore[arg-type]

            spent = await changes(way, given)
            netlink.receive = counted
            await changes(way, given)
            netlink.receive = read
            print(
                f"{given.changes} changes, {given.pause:g} ms apart: median "
                f"{statistics.median(spent) * 1e6:.0f} us of CPU, least {min(spent) * 1e6:.0f}; "
                f"{reads / (WARM + given.changes):.1f} reads of netlink each"
            )
            part = -(-len(spent) // TURNS)
            parts = [spent[at : at + part] for at in range(0, len(spent), part)]
            medians = [statistics.median(one) * 1e6 for one in parts]
            work = "lone.paced" if given.pause else "lone.hot"
            report(work, medians, "us-cpu")
            report(f"{work}.reads", reads / (WARM + given.changes), "reads")
        finally:
            await way.close(tasks)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--changes", type=int, default=500)
    parser.add_argument("--pause", type=float, default=0.0, help="milliseconds between two")
    given = parser.parse_args()
    Garbage()  # as in the daemons
    with fresh("lone-") as control, fresh("lone-") as forwarding:
        asyncio.run(run(control, forwarding, given))


if __name__ == "__main__":
    main()
