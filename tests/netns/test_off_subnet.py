"""A host that announces an address outside the gateways' subnets, on the real kernel."""

from __future__ import annotations

import os
import socket

import pytest

from datapaths.base import Learned, LearnedNeighbor
from tests.fakes.netns import ip
from tests.netns.test_kernel_driver import HOST_MAC, attach_host, driven
from tests.netns.test_moved_addresses import ready, say
from tests.unit.datapaths.kernel.frames import advertisement, arp

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

OFF4, ON4 = socket.inet_aton("203.0.113.9"), socket.inet_aton("192.168.110.9")
OFF6 = socket.inet_pton(socket.AF_INET6, "2001:db8:999::9")
ON6 = socket.inet_pton(socket.AF_INET6, "2001:db8:110::9")


def addresses(events: list[Learned]) -> set[bytes]:
    return {it.address for it in events if isinstance(it, LearnedNeighbor) and not it.gone}


async def test_only_addresses_in_a_gateways_subnet_are_learned() -> None:
    async with driven() as (name, datapath, ears):
        ip(name, "addr add 192.168.110.1/24 dev br110")
        ip(name, "addr add 2001:db8:110::1/64 dev br110 nodad")
        attach_host(name)
        await ready(name, ears)
        ears.events.clear()
        for address in (OFF4, ON4):
            say(name, arp(1, HOST_MAC, address, address))
        for address in (OFF6, ON6):
            say(name, advertisement(HOST_MAC, address))
        await ears.until(lambda: addresses(ears.events) == {ON4, ON6})
        await ears.until(lambda: "203.0.113.9" in ip(name, "neigh show dev br110"))
        await ears.quiet()
        # Only some kernels create a row for the IPv6 address.
        assert dict((await datapath.facts()).values)["off-subnet addresses"].startswith("VNI 110: ")
        ip(name, "addr add 203.0.113.1/24 dev br110")
        await ears.hear(LearnedNeighbor(110, OFF4, HOST_MAC))
        ip(name, "addr del 203.0.113.1/24 dev br110")
        await ears.hear(LearnedNeighbor(110, OFF4, HOST_MAC, gone=True))


async def test_any_address_is_learned_without_a_gateway() -> None:
    async with driven() as (name, _, ears):
        attach_host(name)
        say(name, arp(1, HOST_MAC, OFF4, OFF4))
        await ears.hear(LearnedNeighbor(110, OFF4, HOST_MAC))
