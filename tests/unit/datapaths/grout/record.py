"""Records the messages of a real grout for tests/vectors/grout.

    python -m tests.unit.datapaths.grout.record > tests/vectors/grout/0.19.3.hex

Runs a grout with one object of each kind, as root. Another process records the events: grout sends
a client no event of the client's own changes.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys

from datapaths.conformance.batches import batch, upsert
from datapaths.conformance.records import records
from datapaths.conformance.subject import L2VNI, Subject
from datapaths.grout.channel import Channel, EventStream
from datapaths.grout.picture.observe import EVENTS
from datapaths.grout.wire import stats
from dualpath.model.kinds import Kind
from dualpath.model.links import Address, Port
from tests.contract.groutworld import GroutWorld, running
from tests.unit.datapaths.grout.render import LISTS

KINDS = (Kind.REMOTE_VTEP, Kind.FLOOD, Kind.MAC, Kind.NEIGHBOR, Kind.NEXTHOP)


def write(name: str, payload: bytes) -> None:
    sys.stdout.write(f"{name} {payload.hex()}\n")


async def fill(world: GroutWorld, subject: Subject) -> None:
    await subject.prepare(port=False)
    for kind in KINDS:
        assert not await subject.datapath.apply(upsert(*records(subject, kind)))
    for row in ("+ 20.0.0.0/8 8", "+ 2001:db8::/32 5"):
        assert not await subject.datapath.apply(batch(row))
    loopback = Port("lo", addresses=(Address.parse("10.0.9.1/32"),), loopback=True)
    assert not await subject.datapath.apply(upsert(loopback))
    await world.learn_mac(L2VNI, bytes.fromhex("0200000000cc"))


async def dump(channel: Channel) -> None:
    for name in LISTS:
        struct = f"gr_{name.lower()}_req"
        fields = {"vrf_id": 1} if "ROUTE" in name else {}
        if name == "NH_LIST":
            fields = {"type": 255}
        async for payload in channel.each(f"GR_{name}", channel.api.pack(struct, **fields)):
            write(name, payload)
    write("IFACE_STATS_GET", await channel.call("GR_IFACE_STATS_GET"))
    write("STATS_GET", await channel.call("GR_STATS_GET", stats.encode_stats_get(channel.api)))


async def listen(path: str) -> int:
    """Write events until standard input ends, in a process of its own, which gets every event."""
    events = await EventStream.open(path, EVENTS)
    channel = await Channel.open(path)
    names = {channel.api.types[name]: name.removeprefix("GR_EVENT_") for name in EVENTS}
    sys.stderr.write("ready\n")
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    while not ended.done():
        reading = asyncio.create_task(events.read())
        await asyncio.wait([reading, ended], return_when=asyncio.FIRST_COMPLETED, timeout=5)
        if reading.done():
            for event in reading.result():
                write(names[event.type], event.payload)
        else:
            reading.cancel()
    return 0


async def main() -> int:
    if len(sys.argv) > 1:
        return await listen(sys.argv[1])
    with running() as (grout, host):
        world = GroutWorld(grout, host)
        subject = Subject(world.open)
        await subject.open()
        program = [sys.executable, "-m", "tests.unit.datapaths.grout.record", str(grout.sock)]
        listener = await asyncio.create_subprocess_exec(
            *program, stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert listener.stderr
        await listener.stderr.readline()
        await fill(world, subject)
        channel = await Channel.open(str(grout.sock))
        await dump(channel)
        sys.stdout.flush()
        await subject.clean()
        await asyncio.sleep(3)
        channel.close()
        await listener.communicate()
        await subject.datapath.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
