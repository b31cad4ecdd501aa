"""An uplink goes down behind many groups: CPU, and the longest time in which nothing else is done.

Run as `python -m tests.bench.uplink [--groups N] [--members N]`. frr-bridge's part and the
controller's, with the bytes of the bus between them; requests for the kernel are made and not sent.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from datapaths.base import Batch, RowFailure
from datapaths.kernel.wire import nexthops as kernel
from dualpath.bus import wire
from dualpath.model.events import FromBridge
from dualpath.model.nexthops import Nexthop
from dualpath.model.records import RecordBatch
from dualpath.netlink.numbers import IFF_LOWER_UP, IFF_UP
from dualpath.process.garbage import Garbage
from frr_bridge.bridge import Bridge
from frr_bridge.session import Input
from frr_bridge.wire.nexthop import ZebraNexthop
from tests.bench.declared import Bench
from tests.bench.figures import report as figure
from tests.fakes import shadow
from tests.fakes.core import Core, LoggingDatapath
from tests.unit.frr_bridge.test_bridge import nexthop

T = TypeVar("T")

BENCH = Bench(
    usual=(("--groups", "100"), ("--groups", "1000"), ("--groups", "10000")),
    long=(("--groups", "100"), ("--groups", "1000"), ("--groups", "10000")),
    quick=(("--groups", "1000"),),
    root=False,
)
ETH2 = 60
LINKS = [
    replace(shadow.link(index, name), flags=IFF_UP | IFF_LOWER_UP)
    for index, name in ((shadow.ETH1, "eth1"), (ETH2, "eth2"))
]
SINGLES = range(100, 700)  # zebra's ids; the first is over the uplink that is lost
FIRST_GROUP = 10_000
GATEWAYS = 250  # fewer than ids: as after a restart of zebra, some ids mean the same


class Bus:
    """Keeps what the bridge sends, as bytes."""

    credit = 1 << 30
    subscribed = True

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.encoding_s = 0.0

    def take(self) -> list[bytes]:
        taken, self.sent = self.sent, []
        return taken

    def send(self, event: FromBridge) -> None:
        started = time.process_time()
        self.sent.append(wire.encode_from_bridge(event, epoch=1, sequence=1))
        self.encoding_s += time.process_time() - started


class Requests(LoggingDatapath):
    """Makes the kernel's requests, and sends none."""

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        if isinstance(batch, RecordBatch):
            for record in batch.upserts:
                if isinstance(record, Nexthop):
                    kernel.put(record, 1)
        return []


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--groups", type=int, default=10_000)
    parser.add_argument("--members", type=int, default=64)
    given = parser.parse_args()
    Garbage()  # as in the daemons
    bus, core = Bus(), Core(Requests())
    bridge = Bridge(bus, bgpd_died=lambda: False, answer=lambda _: None)
    core.subscribe()
    fill(bridge, given.groups, given.members)
    while bridge.flush():
        pass
    runner = asyncio.Runner()
    receive(core, bus, runner)
    bus.encoding_s = 0.0
    print(f"{given.groups} groups of {given.members} lose a member; seconds of CPU")
    _, down_s = timed(lambda: bridge.receive_netlink(replace(LINKS[0], flags=IFF_UP)))
    of_bridge = report("frr-bridge", [down_s, *flushes(bridge)])
    print(f"  of which {bus.encoding_s:.2f} to make bytes for the bus")
    of_controller = report("controller", receive(core, bus, runner))
    runner.close()
    for part, spent in (("bridge", of_bridge), ("controller", of_controller)):
        figure(f"uplink.{part}", sum(spent), "s-cpu", groups=given.groups)
        figure(f"uplink.{part}.stall", max(spent) * 1e3, "ms", groups=given.groups)
    every = [*of_bridge, *of_controller]
    figure("uplink.all", sum(every), "s-cpu", groups=given.groups)
    figure("uplink.stall", max(every) * 1e3, "ms", groups=given.groups)


def fill(bridge: Bridge, groups: int, count: int) -> None:
    """Let zebra describe the groups, each with a member over the first uplink."""
    chance = random.Random(1)
    for link in (*shadow.LINKS[:-1], *LINKS):
        bridge.receive_netlink(link)
    for identity in SINGLES:
        oif = shadow.ETH1 if identity == SINGLES[0] else ETH2
        bridge.receive_netlink(nexthop(identity, last=identity % GATEWAYS + 1, oif=oif))
    for number in range(groups):
        members = [SINGLES[0], *chance.sample(SINGLES[1:], count - 1)]
        pairs = tuple((one, 1) for one in members)
        bridge.receive_netlink(ZebraNexthop(FIRST_GROUP + number, False, members=pairs))
    for happened in (Input.CONNECTED, Input.REPLAYED, Input.CONVERGED):
        bridge.step(happened)


def flushes(bridge: Bridge) -> Iterator[float]:
    more = True
    while more:
        more, spent_s = timed(bridge.flush)
        yield spent_s


def receive(core: Core, bus: Bus, runner: asyncio.Runner) -> list[float]:
    """Process what the bridge sent; return the CPU seconds of each message and its round."""
    return [timed(partial(one_round, core, message, runner))[1] for message in bus.take()]


def one_round(core: Core, message: bytes, runner: asyncio.Runner) -> None:
    _, _, event = wire.decode_from_bridge(message)
    core.state.learn(event)
    runner.run(core.reconciler._reconcile())


def timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time()
    found = work()
    return found, time.process_time() - started


def report(what: str, pieces: Sequence[float] | Iterator[float]) -> list[float]:
    spent = list(pieces)
    print(
        f"{what:10} {sum(spent):6.2f} in all, {max(spent) * 1000:6.1f} ms at most without a pause"
    )
    return spent


if __name__ == "__main__":
    main()
