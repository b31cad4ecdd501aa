"""Silent hosts on the real kernel: probed by ARP, kept while they answer, withdrawn otherwise."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from datapaths.base import LearnedNeighbor
from datapaths.kernel import hosts
from datapaths.linux import sysctls
from datapaths.linux.netns import entered
from tests.fakes.netns import ip
from tests.netns.test_kernel_driver import (
    HOST,
    HOST_MAC,
    announce,
    attach_host,
    driven,
)
from tests.unit.controller.intent.rulebook import rule

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

ETH_P_ARP = 0x0806
REQUEST, REPLY = b"\x00\x01", b"\x00\x02"
QUICK = {  # 1 s instead of the kernel's 30 s
    "net/ipv4/neigh/br110/base_reachable_time_ms": 1000,
    "net/ipv4/neigh/br110/delay_first_probe_time": 1,
    "net/ipv4/neigh/br110/retrans_time_ms": 200,
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "PROBE_S", 0.2)


async def silent_host(name: str) -> socket.socket:
    """Attach a host that has sent one frame; return a socket that receives requests for it."""
    ip(name, "addr add 192.168.110.1/24 dev br110")
    attach_host(name)
    assert sysctls.ensure(name, QUICK) == []
    with entered(name):
        ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
    ear.bind(("h1", ETH_P_ARP))
    ear.setblocking(False)
    announce(name)
    return ear


async def questions(ear: socket.socket, count: int) -> None:
    """Wait until the host was probed so often."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        while count:
            frame = await loop.sock_recv(ear, 2048)
            count -= frame[20:22] == REQUEST and frame[38:42] == HOST


def answer(ear: socket.socket, gateway: bytes) -> None:
    arp = (
        bytes.fromhex("000108000604")
        + REPLY
        + HOST_MAC
        + HOST
        + gateway
        + bytes([192, 168, 110, 1])
    )
    ear.send(gateway + HOST_MAC + b"\x08\x06" + arp)


@rule("Layout.neighbors")
async def test_host_that_does_not_answer_is_withdrawn() -> None:
    async with driven() as (name, _, ears):
        with await silent_host(name) as ear:
            await ears.hear(LearnedNeighbor(110, HOST, HOST_MAC))
            await questions(ear, 1)
            await ears.hear(LearnedNeighbor(110, HOST, HOST_MAC, gone=True))


@rule("Layout.neighbors", "Differs.silentHosts")
async def test_host_that_answers_is_kept() -> None:
    async with driven() as (name, _, ears):
        gateway = bytes.fromhex("00f30000006e")
        with await silent_host(name) as ear:
            await ears.hear(LearnedNeighbor(110, HOST, HOST_MAC))
            for _ in range(3):
                await questions(ear, 1)
                answer(ear, gateway)
            assert LearnedNeighbor(110, HOST, HOST_MAC, gone=True) not in ears.events
