"""Write 100,000 MACs to a shadow bridge at once: how many are known, when, at what cost (root).

Measures frr-bridge's side: netlink, the overlay and the records. Prints a line per round.
"""

from __future__ import annotations

import asyncio
import socket
import time

from datapaths.linux.netns import entered
from dualpath.model.kinds import Kind
from dualpath.netlink.numbers import RTM_NEWNEIGH
from frr_bridge import watch
from frr_bridge.bridge import Bridge
from frr_bridge.check import Check
from frr_bridge.watch import Watch
from tests.bench.declared import Bench
from tests.bench.figures import report
from tests.fakes.netns import fresh, ip
from tests.fakes.zebra import MemoryBus
from tests.netns.test_burst import REMOTE, entries, index_of, macs, write

BENCH = Bench(long=((),))
MACS = 100_000
ROUNDS = 5


async def round_of(name: str) -> tuple[str, float]:
    """Write the burst into namespace `name` and follow it; return what was seen, and the CPU."""
    opened = watch._socket

    def inside() -> socket.socket:
        with entered(name):
            return opened()

    watch._socket = inside
    bridge = Bridge(MemoryBus(), bgpd_died=lambda: False, answer=lambda _: None)
    feed = Watch(
        on_begin=bridge.begin_dump, on_message=bridge.receive_netlink, on_end=bridge.end_dump
    )
    following = asyncio.create_task(feed.run())
    writes = entries(RTM_NEWNEIGH, index_of(name, "vx110"), REMOTE, macs(MACS))
    try:
        await feed.again()
        began, cpu = time.monotonic(), time.process_time()
        await asyncio.to_thread(write, name, writes)
        written = time.monotonic() - began
        while not (feed.drain() and feed.whole):  # noqa: ASYNC110  two sides are at work
            await asyncio.sleep(0.01)
        took, cpu = time.monotonic() - began, time.process_time() - cpu
        check = bridge.records.check = Check()
        feed.on_news = check.notified
        await feed.again()
        known, missed = len(bridge.records[Kind.MAC]), check.differing()[0]
        seen = (
            f"{known} of {MACS} known, {missed} missed; written in {written:.1f} s, all known after"
            f" {took:.1f} s, {cpu / MACS * 1e6:.0f} us CPU each with the writer, {feed.dumps} dumps"
        )
        return seen, cpu
    finally:
        watch._socket = opened
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        feed.close()


def main() -> None:
    spent = []
    for number in range(1, ROUNDS + 1):
        with fresh("burst-") as name:
            ip(name, "link add br110 type bridge")
            ip(name, "link add vx110 type vxlan id 110 local 100.64.0.1 dstport 4789 nolearning")
            ip(name, "link set vx110 master br110")
            ip(name, "link set br110 up")
            ip(name, "link set vx110 up")
            seen, cpu_s = asyncio.run(round_of(name))
            print(f"round {number}: {seen}")
            spent.append(cpu_s / MACS * 1e6)
    report("burst.known", spent, "us-cpu", macs=MACS)


if __name__ == "__main__":
    main()
