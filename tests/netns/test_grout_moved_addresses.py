"""With grout too, a local announcement overrides a remote neighbor at once."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

import pytest

from datapaths.base import LearnedMac, LearnedNeighbor, PortChanged
from datapaths.conformance.batches import upsert, withdraw
from datapaths.conformance.subject import L2VNI
from datapaths.linux.netns import entered
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac, Neighbor
from dualpath.model.links import HostEnd, Port
from tests.fakes.netns import bridge
from tests.netns.test_grout_driver import GATEWAY, MAC, VTEP, Bed, made
from tests.netns.test_left_hosts import attach
from tests.unit.datapaths.kernel.frames import advertisement, arp

pytestmark = [pytest.mark.netns, pytest.mark.grout]

V4 = bytes([192, 168, 0, 50])
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::50")
REMOTE_MAC, MOVED_MAC = bytes.fromhex("0200000000bb"), bytes.fromhex("0200000000ee")
AT_ONCE_S = 1.5

ANNOUNCEMENTS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "ARP announcement": (V4, lambda mac: arp(1, mac, V4, V4)),
    "gratuitous reply to all": (V4, lambda mac: arp(2, mac, V4, V4, b"\xff" * 6)),
    "ARP request for the gateway": (V4, lambda mac: arp(1, mac, V4, GATEWAY)),
    "unsolicited advertisement": (V6, lambda mac: advertisement(mac, V6)),
}


def say(bed: Bed, frame: bytes) -> None:
    with (
        entered(bed.world.host),
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as mouth,
    ):
        mouth.bind(("h1", 0))
        mouth.send(frame)


async def ready(bed: Bed) -> None:
    """Put a host behind a leg, and wait until grout accepts its frames."""
    await bed.host()
    await bed.hears(lambda event: event == PortChanged("leg", True))


async def neighbors(bed: Bed) -> set[object]:
    return set(await bed.subject.records(Kind.NEIGHBOR))


async def test_remote_address_becomes_local_on_announcement() -> None:
    async with made() as bed:
        apply = bed.subject.datapath.apply
        assert not await apply(upsert(Mac(L2VNI, REMOTE_MAC, VTEP)))
        await ready(bed)
        slow: list[tuple[str, float]] = []
        for kind, (address, frame) in ANNOUNCEMENTS.items():
            remote = Neighbor(L2VNI, address, REMOTE_MAC)
            assert not await apply(upsert(remote))
            bed.heard.clear()
            began = time.monotonic()
            say(bed, frame(MAC))
            learned = LearnedNeighbor(L2VNI, address, MAC)
            await bed.hears(lambda event, learned=learned: event == learned)  # type: ignore[misc]
            slow += [(kind, took)] if (took := time.monotonic() - began) > AT_ONCE_S else []
            # Until FRR withdraws the remote one it counts as programmed; the local one stays.
            assert await neighbors(bed) == {remote}
            assert not await apply(upsert(remote))
            assert not await apply(withdraw(remote))
            assert await neighbors(bed) == set()
            # When FRR advertises it elsewhere again, the remote one replaces it.
            moved = Neighbor(L2VNI, address, MOVED_MAC)
            assert not await apply(upsert(moved))
            gone = LearnedNeighbor(L2VNI, address, MAC, gone=True)
            await bed.hears(lambda event, gone=gone: event == gone)  # type: ignore[misc]
            assert not await apply(withdraw(moved))
        assert slow == []


async def test_remote_mac_that_announces_itself_is_learned_at_once() -> None:
    async with made() as bed:
        remote = Mac(L2VNI, MOVED_MAC, VTEP)
        assert not await bed.subject.datapath.apply(upsert(remote))
        await ready(bed)
        began = time.monotonic()
        say(bed, arp(1, MOVED_MAC, V4, V4))
        await bed.hears(lambda event: event == LearnedMac(L2VNI, MOVED_MAC))
        assert time.monotonic() - began < AT_ONCE_S
        assert await bed.subject.records(Kind.MAC) == {remote}


async def test_announcement_outside_the_gateways_subnets_takes_over_nothing() -> None:
    async with made() as bed:
        remote = Neighbor(L2VNI, bytes([203, 0, 113, 9]), REMOTE_MAC)
        assert not await bed.subject.datapath.apply(upsert(remote))
        await ready(bed)
        say(bed, arp(1, MAC, remote.address, remote.address))
        await asyncio.sleep(1)
        assert LearnedNeighbor(L2VNI, remote.address, MAC) not in bed.heard
        assert await neighbors(bed) == {remote}


async def test_many_remote_macs_that_announce_themselves_once_become_local() -> None:
    """Two hundred at once: more frames than grout takes in one burst."""
    macs = [bytes((2, 0xC0, 0, 0, 0, number)) for number in range(200)]
    async with made() as bed:
        remote = tuple(Mac(L2VNI, mac, VTEP) for mac in macs)
        assert not await bed.subject.datapath.apply(upsert(*remote))
        await ready(bed)
        with (
            entered(bed.world.host),
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as mouth,
        ):
            mouth.bind(("h1", 0))
            for number, mac in enumerate(macs):
                mouth.send(arp(1, mac, address := bytes([192, 168, 0, 20 + number]), address))
        for mac in macs:
            await bed.hears(lambda event, mac=mac: event == LearnedMac(L2VNI, mac))  # type: ignore[misc]


async def test_answer_to_a_moved_hosts_own_announcement_does_not_cut_it_off() -> None:
    """grout's ARP suppression sends it out of the leg, with the host's MAC as source."""
    async with made() as bed:
        host = bed.world.host
        apply = bed.subject.datapath.apply
        assert not await apply(upsert(Mac(L2VNI, MOVED_MAC, VTEP)))
        assert not await apply(upsert(Neighbor(L2VNI, V4, MOVED_MAC)))
        end = HostEnd(host, "h1", bridge="br-hs", create_bridge=True)
        assert not await apply(upsert(Port("leg", vni=L2VNI, host=end)))
        await bed.hears(lambda event: event == PortChanged("leg", True))
        attach(host)
        with entered(host), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as mouth:
            mouth.bind(("far", 0))
            mouth.send(arp(1, MOVED_MAC, V4, V4))
        await bed.hears(lambda event: event == LearnedMac(L2VNI, MOVED_MAC))
        async with asyncio.timeout(AT_ONCE_S):
            while MOVED_MAC.hex(":") in bridge(host, "fdb show dev h1"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
