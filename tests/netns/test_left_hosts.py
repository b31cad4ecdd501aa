"""Hosts that leave with their port of a host's bridge, on the real kernel."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from datapaths.base import LearnedMac, LearnedNeighbor
from datapaths.linux import sysctls
from datapaths.linux.netns import entered
from dualpath.model.links import HostEnd, Port
from dualpath.netlink import numbers as n
from tests.fakes.batches import upsert
from tests.fakes.netns import bridge, fresh, ip
from tests.netns.test_kernel_driver import HOST, HOST_MAC, Ears, announce, driven, speak

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

OTHER_MAC = bytes.fromhex("0200000000cc")
GONE = LearnedMac(110, HOST_MAC, gone=True)
SOON_S = 8.0  # probes and ageing take longer

WAYS = {
    "its carrier": "link set far down",
    "its state": "link set near down",
    "its bridge": "link set near nomaster",
    "its device": "link del near",
}


def attach(host: str, near: str = "near", far: str = "far") -> None:
    """Give the host's bridge a port, and wait until it forwards."""
    ip(host, f"link add {near} type veth peer name {far}")
    sysctls.ensure(host, sysctls.no_ipv6(far))
    sysctls.ensure(host, sysctls.no_ipv6(near))
    for words in (f"{near} master br-hs", f"{near} up", f"{far} up"):
        ip(host, f"link set {words}")
    deadline = time.monotonic() + 10
    while "state forwarding" not in bridge(host, f"link show dev {near}"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def watched(host: str) -> bool:
    """Return whether a socket receives the notifications of a namespace's neighbors and FDBs."""
    mask = 1 << (n.RTNLGRP_NEIGH - 1)
    with entered(host):
        _, *rows = Path("/proc/thread-self/net/netlink").read_text().splitlines()
    return any(int(row.split()[3], 16) & mask for row in rows)


@asynccontextmanager
async def bridged() -> AsyncIterator[tuple[str, str, Ears]]:
    """A leg of VNI 110 into a host's bridge with the port `near`; the host is learned."""
    async with driven() as (name, datapath, ears):
        with fresh("left-") as host:
            end = HostEnd(host, "leg", bridge="br-hs", create_bridge=True)
            assert not await datapath.apply(upsert(Port("pe-l", vni=110, host=end)))
            ip(name, "addr add 192.168.110.1/24 dev br110")
            attach(host)
            await ears.until(lambda: "state forwarding" in bridge(name, "link show dev pe-l"))
            await ears.until(lambda: "state UP" in ip(name, "link show dev br110"))
            await ears.until(lambda: watched(host))
            announce(host, "far")
            await ears.hear(LearnedMac(110, HOST_MAC), LearnedNeighbor(110, HOST, HOST_MAC))
            yield name, host, ears


async def another_leaves(host: str, ears: Ears) -> None:
    """Have one more host come and leave: what happened before it was processed by then."""
    attach(host, "near3", "far3")
    speak(host, "far3", OTHER_MAC)
    await ears.hear(LearnedMac(110, OTHER_MAC))
    ip(host, "link set far3 down")
    await ears.hear(LearnedMac(110, OTHER_MAC, gone=True))


@pytest.mark.parametrize("way", WAYS)
async def test_host_is_gone_at_once_when_its_port_loses(way: str) -> None:
    async with bridged() as (_, host, ears):
        attach(host, "near2", "far2")
        speak(host, "far2", OTHER_MAC)
        await ears.hear(LearnedMac(110, OTHER_MAC))
        began = time.monotonic()
        ip(host, WAYS[way])
        await ears.hear(GONE, LearnedNeighbor(110, HOST, HOST_MAC, gone=True))
        assert time.monotonic() < began + SOON_S
        assert LearnedMac(110, OTHER_MAC, gone=True) not in await ears.quiet()


async def test_host_that_aged_in_its_bridge_stays() -> None:
    """It is silent, and its port is up: the forwarding bridge has an ageing time of its own."""
    async with bridged() as (_, host, ears):
        ip(host, "link set br-hs type bridge ageing_time 100")
        await ears.until(lambda: HOST_MAC.hex(":") not in bridge(host, "fdb show br br-hs"))
        await another_leaves(host, ears)
        assert GONE not in await ears.quiet()


async def test_host_that_moves_to_another_port_of_its_bridge_stays() -> None:
    async with bridged() as (_, host, ears):
        attach(host, "near2", "far2")
        announce(host, "far2")
        await ears.until(lambda: "near2" in bridge(host, f"fdb get {HOST_MAC.hex(':')} br br-hs"))
        ip(host, "link del near")
        await another_leaves(host, ears)
        assert GONE not in await ears.quiet()
