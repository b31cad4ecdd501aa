"""An address that moves to another MAC: a local announcement wins at once, on the real kernel."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

import pytest

from datapaths.base import LearnedMac, LearnedNeighbor, Lost
from datapaths.kernel.driver import KernelDatapath
from datapaths.linux import sysctls
from datapaths.linux.neighborsocket import open_neighbor_socket, receive
from datapaths.linux.netns import entered
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac, Neighbor, RemoteVtep
from dualpath.model.records import Record
from tests.fakes.batches import upsert, withdraw
from tests.fakes.netns import fresh, ip
from tests.netns.test_kernel_driver import HOST_MAC, VTEP, Ears, attach_host, driven
from tests.unit.datapaths.kernel.frames import advertisement, arp, solicitation

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

REMOTE_MAC, OTHER_MAC = bytes.fromhex("0200000000bb"), bytes.fromhex("0200000000cc")
V4, GATEWAY4 = socket.inet_aton("192.168.110.5"), socket.inet_aton("192.168.110.1")
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8:110::5")
GATEWAY6 = socket.inet_pton(socket.AF_INET6, "2001:db8:110::1")
BROADCAST = b"\xff" * 6

ANNOUNCEMENTS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "ARP announcement": (V4, lambda mac: arp(1, mac, V4, V4)),
    "gratuitous reply to all": (V4, lambda mac: arp(2, mac, V4, V4, BROADCAST)),
    "gratuitous reply to itself": (V4, lambda mac: arp(2, mac, V4, V4, mac)),
    "ARP request for the gateway": (V4, lambda mac: arp(1, mac, V4, GATEWAY4)),
    "ARP request for another": (V4, lambda mac: arp(1, mac, V4, socket.inet_aton("192.168.110.9"))),
    "unsolicited advertisement": (V6, lambda mac: advertisement(mac, V6)),
    "solicitation of the gateway": (V6, lambda mac: solicitation(mac, V6, GATEWAY6)),
}


def say(name: str, frame: bytes, device: str = "h1") -> None:
    with entered(name), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((device, 0))
        sock.send(frame)


async def ready(name: str, ears: Ears) -> None:
    """Wait for the bridge's carrier, which the kernel may report a second late."""
    await ears.until(lambda: "state UP" in ip(name, "link show dev br110"))
    await ears.quiet()


def row(name: str, address: bytes) -> str:
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    return ip(name, f"neigh show {socket.inet_ntop(family, address)} dev br110").strip()


async def hosts(datapath: KernelDatapath) -> set[Record]:
    return {
        record
        async for batch in datapath.dump(Kind.NEIGHBOR)
        for record in batch.upserts  # type: ignore[union-attr]
    }


@pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "no gateway"])
@pytest.mark.parametrize("kind", ANNOUNCEMENTS)
async def test_remote_address_becomes_local_on_announcement(kind: str, gateway: bool) -> None:
    address, frame = ANNOUNCEMENTS[kind]
    remote = Neighbor(110, address, REMOTE_MAC)
    async with driven() as (name, datapath, ears):
        if gateway:
            ip(name, "addr add 192.168.110.1/24 dev br110")
            ip(name, "addr add 2001:db8:110::1/64 dev br110 nodad")
        assert not await datapath.apply(upsert(Mac(110, REMOTE_MAC, VTEP)))
        assert not await datapath.apply(upsert(remote))
        attach_host(name)
        say(name, frame(HOST_MAC))
        await ears.hear(LearnedNeighbor(110, address, HOST_MAC))
        assert HOST_MAC.hex(":") in row(name, address)
        assert "extern_learn" not in row(name, address)
        assert not {Kind.MAC, Kind.NEIGHBOR} & set(ears.lost())  # an address set by hand is drift
        # Until FRR withdraws the remote one it still counts as programmed; the local one stays.
        assert await hosts(datapath) == {remote}
        assert not await datapath.apply(upsert(remote))
        assert not await datapath.apply(withdraw(remote))
        assert HOST_MAC.hex(":") in row(name, address)
        assert await hosts(datapath) == set()
        # When FRR advertises it elsewhere again, the remote one replaces it.
        moved = Neighbor(110, address, OTHER_MAC)
        assert not await datapath.apply(upsert(moved))
        await ears.hear(LearnedNeighbor(110, address, HOST_MAC, gone=True))
        assert await hosts(datapath) == {moved}


@pytest.mark.parametrize(
    "kind", [kind for kind in ANNOUNCEMENTS if " to all" in kind or "un" in kind]
)
async def test_address_moves_back_and_forth_between_local_macs(kind: str) -> None:
    """Faster than the kernel's locktime of 1 s, within which it ignores changes."""
    address, frame = ANNOUNCEMENTS[kind]
    async with driven() as (name, _, ears):
        ip(name, "addr add 192.168.110.1/24 dev br110")
        ip(name, "addr add 2001:db8:110::1/64 dev br110 nodad")
        attach_host(name)
        await ready(name, ears)
        for mac in (HOST_MAC, OTHER_MAC, HOST_MAC):
            say(name, frame(mac))
            await ears.hear(LearnedNeighbor(110, address, mac))
            assert await ears.quiet()


async def test_remote_address_with_its_own_mac_becomes_local() -> None:
    """A machine that moved here announces itself; its address and MAC stay the same."""
    remote = Neighbor(110, V4, HOST_MAC)
    async with driven() as (name, datapath, ears):
        assert not await datapath.apply(upsert(Mac(110, HOST_MAC, VTEP)))
        assert not await datapath.apply(upsert(remote))
        attach_host(name)
        say(name, arp(1, HOST_MAC, V4, V4))
        await ears.hear(LearnedNeighbor(110, V4, HOST_MAC))
        assert not await datapath.apply(withdraw(remote))
        assert HOST_MAC.hex(":") in row(name, V4)


async def test_remote_address_returns_when_the_local_host_is_lost_before_frr_knew_it() -> None:
    remote = Neighbor(110, V4, REMOTE_MAC)
    async with driven() as (name, datapath, ears):
        assert not await datapath.apply(upsert(Mac(110, REMOTE_MAC, VTEP)))
        assert not await datapath.apply(upsert(remote))
        attach_host(name)
        say(name, arp(1, HOST_MAC, V4, V4))
        await ears.hear(LearnedNeighbor(110, V4, HOST_MAC))
        ip(name, "neigh del 192.168.110.5 dev br110")
        await ears.hear(
            LearnedNeighbor(110, V4, HOST_MAC, gone=True), Lost(Kind.NEIGHBOR, (remote,))
        )
        assert not await datapath.apply(upsert(remote))
        assert "NOARP" in row(name, V4)


async def test_announcement_of_a_remote_host_changes_nothing() -> None:
    """Its ARP requests for unknown addresses are flooded to this node."""
    remote = Neighbor(110, V4, REMOTE_MAC)
    async with driven() as (name, datapath, ears):
        assert not await datapath.apply(upsert(Mac(110, OTHER_MAC, VTEP)))
        assert not await datapath.apply(upsert(remote))
        attach_host(name)
        await ears.quiet()
        say(name, arp(1, OTHER_MAC, V4, V4))  # by h1, and at once the MAC is remote again
        assert not await datapath.apply(upsert(Mac(110, OTHER_MAC, VTEP)))
        assert await hosts(datapath) == {remote}


async def test_no_host_takes_over_the_address_of_a_vtep() -> None:
    router = RemoteVtep(110, VTEP, REMOTE_MAC)
    async with driven() as (name, datapath, ears):
        assert not await datapath.apply(upsert(router))
        attach_host(name)
        say(name, arp(1, HOST_MAC, VTEP, VTEP))
        await ears.hear(LearnedMac(110, HOST_MAC))
        assert await ears.quiet()
        assert "NOARP" in row(name, VTEP)


async def test_announcements_of_many_hosts_wait_for_their_reader() -> None:
    """The default buffer holds some 280 frames: fewer than 200 hosts send at once."""
    with fresh("hear-") as name:
        ip(name, "link add h0 type veth peer name h1")
        for device in ("h0", "h1"):
            sysctls.ensure(name, sysctls.no_ipv6(device))
            ip(name, f"link set {device} up")
        with open_neighbor_socket(name) as sock:
            frame = arp(1, HOST_MAC, V4, V4)
            with entered(name), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as mouth:
                mouth.bind(("h1", 0))
                for _ in range(1000):
                    mouth.send(frame)
            heard = 0
            async with asyncio.timeout(10):
                while heard < 1000:
                    heard += len(await receive(sock))
