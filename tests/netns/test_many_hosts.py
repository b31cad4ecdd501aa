"""More hosts than Linux's default neighbor table limits allow, on the real kernel."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from datapaths.base import LearnedNeighbor
from datapaths.linux.neightables import SYSCTL, usage
from datapaths.linux.netns import entered
from dualpath.model.links import Address
from tests.fakes.batches import upsert
from tests.netns.test_kernel_driver import VNI, attach_host, driven
from tests.netns.test_moved_addresses import ready
from tests.unit.datapaths.kernel.frames import arp, solicitation

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

HOSTS = 1500
DEFAULTS = {"gc_thresh1": 128, "gc_thresh2": 512, "gc_thresh3": 1024}


GATEWAY6 = bytes.fromhex("20010db8006000000000000000000001")


def frame4(number: int) -> bytes:
    mac = b"\x02\0" + struct.pack("!I", number)
    address = bytes([10, 60, number >> 8, number & 255])
    return arp(1, mac, address, address)


def frame6(number: int) -> bytes:
    """Let a host send an ARP request for its gateway, from which it is learned."""
    mac = b"\x02\0" + struct.pack("!I", number)
    return solicitation(mac, GATEWAY6[:12] + struct.pack("!I", number), GATEWAY6)


@pytest.fixture(autouse=True)
def _defaults() -> None:
    for family in ("ipv4", "ipv6"):
        for key, value in DEFAULTS.items():
            (SYSCTL / family / "neigh/default" / key).write_text(f"{value}\n")


@pytest.mark.parametrize(
    ("gateway", "frame"),
    [("10.60.0.1/16", frame4), ("2001:db8:60::1/64", frame6)],
    ids=["ipv4", "ipv6"],
)
async def test_all_of_1500_hosts_are_learned_and_none_is_withdrawn(
    gateway: str, frame: Callable[[int], bytes]
) -> None:
    async with driven() as (name, datapath, ears):
        assert not await datapath.apply(upsert(replace(VNI, gateways=(Address.parse(gateway),))))
        attach_host(name)
        await ready(name, ears)
        with entered(name), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind(("h1", 0))
            for number in range(2, HOSTS + 2):
                sock.send(frame(number))
                if number % 50 == 0:
                    await asyncio.sleep(0.02)

        def learned(*, gone: bool) -> int:
            return sum(isinstance(e, LearnedNeighbor) and e.gone == gone for e in ears.events)

        try:
            await ears.until(lambda: learned(gone=False) >= HOSTS)
        except TimeoutError:
            raise AssertionError(f"{learned(gone=False)} of {HOSTS} hosts learned") from None
        assert not learned(gone=True)
        assert {table.limit for table in usage()} == {65536}
        assert max(table.entries for table in usage()) >= HOSTS
