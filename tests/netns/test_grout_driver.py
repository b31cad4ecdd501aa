"""The grout driver on real grout: learning, losses, and a restart."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from controller.core.segments import Segments
from datapaths.base import (
    CaughtUp,
    Found,
    Learned,
    LearnedMac,
    LearnedNeighbor,
    LooksUp,
    Lost,
    Unavailable,
    Way,
)
from datapaths.conformance.batches import batch, rows_of, upsert
from datapaths.conformance.subject import DEVICE, L2VNI, L3VNI, Subject
from datapaths.grout.picture.observe import WATCHED
from datapaths.grout.process import peer_of
from datapaths.grout.program.fib import FIRST_IPV6
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Mac, Neighbor, RemoteVtep
from dualpath.model.links import Address, HostEnd, Port
from dualpath.model.nexthops import BLACKHOLE, UNREACHABLE, V4_MAPPED, Nexthop, NexthopType
from dualpath.model.routes import Family, Op
from tests.bench.kernel import routes
from tests.contract.groutworld import GroutWorld, running, started

pytestmark = [pytest.mark.netns, pytest.mark.grout]

VTEP, OTHER_VTEP = bytes([10, 0, 1, 2]), bytes([10, 0, 1, 3])
MAC = bytes.fromhex("0200000000dd")
ADDRESS, GATEWAY = bytes([192, 168, 0, 5]), bytes([192, 168, 0, 1])
PATIENCE_S = 30.0
FIRST = {Family.INET: FIRST_IPV6, Family.INET6: 65536}  # what the other family's table begins with


@dataclass
class Bed:
    world: GroutWorld
    subject: Subject
    heard: list[Learned] = field(default_factory=list)

    async def listen(self) -> None:
        async for event in self.subject.datapath.learned():
            self.heard.append(event)

    async def hears(self, wanted: Callable[[Learned], bool]) -> Learned:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for event in self.heard:
                    if wanted(event):
                        return event
                await asyncio.sleep(0.02)

    async def hears_that_all_is_lost(self) -> None:
        for kind in WATCHED:
            await self.hears(lambda event, kind=kind: event == Lost(kind))  # type: ignore[misc]

    async def look_up(self, address: str) -> Found | None:
        datapath = self.subject.datapath
        assert isinstance(datapath, LooksUp)
        return await datapath.look_up("default", ipaddress.ip_address(address).packed)

    async def until_unavailable(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await self.subject.datapath.capabilities()
                await asyncio.sleep(0.01)

    async def host(self) -> None:
        """Put a host behind a local port of the L2VNI."""
        end = HostEnd(self.world.host, "h1", MAC, (Address(ADDRESS, 24),))
        assert not await self.subject.datapath.apply(upsert(Port("leg", vni=L2VNI, host=end)))

    def speak(self) -> None:
        """Let the host ask for its gateway, and answer requests."""
        command = "ping -c 1 -W 1 192.168.0.1"
        space = ["ip", "netns", "exec", self.world.host]
        subprocess.run([*space, *command.split()], check=False, capture_output=True)


@asynccontextmanager
async def made() -> AsyncIterator[Bed]:
    with running() as (grout, host):
        world = GroutWorld(grout, host)
        bed = Bed(world, Subject(world.open))
        await bed.subject.open()
        await bed.subject.prepare(port=False)
        bridged = replace(bed.subject.segments()[1], gateways=(Address(GATEWAY, 24),))
        assert not await bed.subject.datapath.apply(upsert(bridged))
        listening = asyncio.create_task(bed.listen())
        try:
            await bed.hears(lambda event: event == CaughtUp())
            yield bed
        finally:
            await bed.subject.datapath.close()
            await listening


async def test_host_is_learned_with_its_address() -> None:
    async with made() as bed:
        await bed.host()
        await asyncio.to_thread(bed.speak)
        await bed.hears(lambda event: event == LearnedMac(L2VNI, MAC))
        await bed.hears(lambda event: event == LearnedNeighbor(L2VNI, ADDRESS, MAC))


async def test_moved_remote_mac_is_relearned_and_a_remote_host_is_not() -> None:
    async with made() as bed:
        remote = Mac(L2VNI, MAC, VTEP)
        assert not await bed.subject.datapath.apply(upsert(remote))
        assert not await bed.subject.datapath.apply(upsert(Neighbor(L2VNI, ADDRESS, MAC)))
        await bed.host()
        for _ in range(20):
            if LearnedMac(L2VNI, MAC) in bed.heard:
                break
            await asyncio.to_thread(bed.speak)
        assert LearnedMac(L2VNI, MAC) in bed.heard
        assert await bed.subject.records(Kind.MAC) == {remote}  # until FRR withdraws it


async def test_deletions_by_another_program_are_reported() -> None:
    async with made() as bed:
        nexthop = Nexthop(1, NexthopType.GATEWAY, bytes([10, 0, 0, 2]), DEVICE)
        mac = Mac(L2VNI, MAC, VTEP)
        for record in (nexthop, mac):
            assert not await bed.subject.datapath.apply(upsert(record))
        assert not await bed.subject.datapath.apply(batch("+ 20.0.0.0/8 1"))
        bed.world.remove_behind_our_back("20.0.0.0/8", L2VNI, MAC)
        lost = await bed.hears(lambda e: isinstance(e, Lost) and e.kind is Kind.ROUTE)
        assert isinstance(lost, Lost)
        assert lost.routes
        assert rows_of(lost.routes) == {"20.0.0.0/8": 1}
        await bed.hears(lambda event: event == Lost(Kind.MAC, (mac,)))


async def test_interface_address_is_not_an_owned_route() -> None:
    async with made() as bed:
        nexthop = Nexthop(1, NexthopType.GATEWAY, bytes([10, 0, 0, 2]), DEVICE)
        assert not await bed.subject.datapath.apply(upsert(nexthop))
        rows = batch("+ 10.0.0.1/32 1", "+ 10.0.0.0/24 1", "+ 10.0.0.3/32 1")
        failures = await bed.subject.datapath.apply(rows)
        assert [(row.index, row.errno) for row in failures] == [(0, errno.EEXIST), (1, errno.EBUSY)]
        assert await bed.subject.routes() == {"10.0.0.3/32": 1}


async def test_lookup_resolves_an_overlay_route_to_its_router_mac() -> None:
    async with made() as bed:
        over = Nexthop(1, NexthopType.GATEWAY, VTEP, vni=L3VNI, onlink=True)
        over6 = Nexthop(2, NexthopType.GATEWAY, V4_MAPPED + VTEP, vni=L3VNI, onlink=True)
        for record in (RemoteVtep(L3VNI, VTEP, MAC), over, over6):
            assert not await bed.subject.datapath.apply(upsert(record))
        assert not await bed.subject.datapath.apply(batch("+ 20.0.0.0/8 1"))
        assert not await bed.subject.datapath.apply(batch("+ 2001:db8::/32 2"))
        for address, nexthop in (("20.1.1.1", over), ("2001:db8::1", over6)):
            found = await bed.look_up(address)
            assert found == Found(nexthop=nexthop, ways=(Way(nexthop, 1, L3VNI, VTEP, MAC),))


async def test_lookup_returns_drops_and_connected_networks() -> None:
    async with made() as bed:
        assert not await bed.subject.datapath.apply(batch(f"+ 20.0.0.0/8 {BLACKHOLE}"))
        assert not await bed.subject.datapath.apply(batch(f"+ 2001:db8::/32 {UNREACHABLE}"))
        for address, type_ in (
            ("20.1.1.1", NexthopType.BLACKHOLE),
            ("2001:db8::1", NexthopType.UNREACHABLE),
        ):
            found = await bed.look_up(address)
            assert found
            assert found.nexthop
            assert (found.nexthop.type, found.ways) == (type_, ())
        for address in ("10.0.0.77", "fd00::77"):
            found = await bed.look_up(address)
            assert found
            assert [way.nexthop.device for way in found.ways] == [DEVICE]


async def test_lookup_returns_a_remote_hosts_vtep() -> None:
    async with made() as bed:
        for record in (Mac(L2VNI, MAC, VTEP), Neighbor(L2VNI, ADDRESS, MAC)):
            assert not await bed.subject.datapath.apply(upsert(record))
        found = await bed.look_up(str(ipaddress.ip_address(ADDRESS)))
        assert found
        assert [(way.vni, way.vtep, way.mac) for way in found.ways] == [(L2VNI, VTEP, MAC)]


async def test_mac_behind_an_ethernet_segment_has_one_vtep_and_follows_its_loss() -> None:
    async with made() as bed:
        apply = bed.subject.datapath.apply
        segments = Segments()
        segments.balanced = Kind.ETHERNET_SEGMENT in bed.subject.capabilities.kinds
        assert not segments.balanced
        list(segments.learn(EthernetSegment(0x20000001, (VTEP, OTHER_VTEP))))
        behind = segments.mac(Mac(L2VNI, MAC, segment=0x20000001))
        for record in (behind, Neighbor(L2VNI, ADDRESS, MAC)):
            assert not await apply(upsert(record))
        found = await bed.look_up(str(ipaddress.ip_address(ADDRESS)))
        assert found
        assert [way.vtep for way in found.ways] == [VTEP]
        [left] = segments.learn(EthernetSegment(0x20000001, (OTHER_VTEP,)))
        assert not await apply(upsert(left))
        found = await bed.look_up(str(ipaddress.ip_address(ADDRESS)))
        assert found
        assert [way.vtep for way in found.ways] == [OTHER_VTEP]
        assert await bed.subject.records(Kind.MAC) == {Mac(L2VNI, MAC, OTHER_VTEP)}


@pytest.mark.parametrize("family", list(Family))
async def test_fib_grows_before_it_is_full(family: Family) -> None:
    async with made() as bed:
        nexthop = Nexthop(1, NexthopType.GATEWAY, bytes([10, 0, 0, 2]), DEVICE)
        assert not await bed.subject.datapath.apply(upsert(nexthop))
        assert not await bed.subject.datapath.apply(routes(family, 100_000, Op.UPSERT, 1))
        fibs = (await bed.subject.datapath.facts()).fibs
        assert [fib.limit for fib in fibs if fib.family is not family] == [FIRST[family]]
        assert [fib.used > 100_000 < fib.limit for fib in fibs if fib.family is family] == [True]


async def test_loopback_nexthop_is_on_the_main_interface() -> None:
    """FRR has one under the connected VTEP address."""
    async with made() as bed:
        nexthop = Nexthop(1, NexthopType.DEVICE, device="lo")
        assert not await bed.subject.datapath.apply(upsert(nexthop))
        assert nexthop in await bed.subject.records(Kind.NEXTHOP)


async def test_restarted_grout_is_reported_lost_and_programmed_again() -> None:
    async with made() as bed:
        nexthop = Nexthop(1, NexthopType.GATEWAY, bytes([10, 0, 0, 2]), DEVICE)
        assert not await bed.subject.datapath.apply(upsert(nexthop))
        os.kill(peer_of(bed.world.grout.sock), signal.SIGKILL)
        with pytest.raises(Unavailable):
            await bed.until_unavailable()
        await bed.hears_that_all_is_lost()
        bed.heard.clear()
        with started(bed.world.grout):
            await bed.hears_that_all_is_lost()
            assert await bed.subject.row_counts() == {}
            await bed.world.make_device()
            await bed.subject.prepare(port=False)
            assert not await bed.subject.datapath.apply(upsert(nexthop))
            assert not await bed.subject.datapath.apply(batch("+ 20.0.0.0/8 1"))
            assert await bed.subject.routes() == {"20.0.0.0/8": 1}
