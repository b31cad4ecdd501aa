"""The datapaths under contract, each with what a test needs around it.

To put another one under contract: give it a class here and a row in `conftest.WORLDS`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from controller.model.kinds import Kind
from controller.model.routes import DEFAULT_VRF
from datapaths.base import Datapath, Learned, LearnedMac
from datapaths.kernel.channel import Monitor
from datapaths.kernel.driver import KernelDatapath
from datapaths.kernel.netns import entered
from datapaths.kernel.wire import numbers as n
from datapaths.kernel.wire.message import messages
from datapaths.memory import MemoryDatapath
from tests.fakes.netns import bridge, ip

DEVICE = "v0"
"""An interface with 10.0.0.1/24 and fd00::1/64 in every world."""


class World(Protocol):
    datapath: Datapath
    vrf: str  # a VRF in which routes can be made

    async def restart(self) -> None:
        """Close the datapath and open another over the same state."""

    def add_foreign(self, prefix: str) -> None:
        """Make a route that is somebody else's."""

    def has_foreign(self, prefix: str) -> bool: ...

    def count_route_writes(self) -> Callable[[], int]:
        """Start counting routes that are written; the function says how many were."""

    async def learn_mac(self, vni: int, mac: bytes) -> None:
        """Let a host speak behind a local port of a VNI."""


class MemoryWorld:
    vrf = DEFAULT_VRF

    def __init__(self) -> None:
        self.memory = MemoryDatapath([DEVICE])
        self.datapath: Datapath = self.memory
        self._foreign: set[str] = set()

    async def restart(self) -> None:
        """State and datapath are one."""

    def add_foreign(self, prefix: str) -> None:
        self._foreign.add(prefix)

    def has_foreign(self, prefix: str) -> bool:
        return prefix in self._foreign

    def count_route_writes(self) -> Callable[[], int]:
        before = dict(self.memory.routes)
        return lambda: int(self.memory.routes != before)

    async def learn_mac(self, vni: int, mac: bytes) -> None:
        event: Learned = LearnedMac(vni, mac)
        self.memory.tell(event)


class KernelWorld:
    def __init__(self, netns: str) -> None:
        self.netns = netns
        self.datapath: Datapath = KernelDatapath(netns)
        self.vrf = DEFAULT_VRF
        ip(netns, f"link add {DEVICE} type veth peer name v1")
        for command in (
            f"addr add 10.0.0.1/24 dev {DEVICE}",
            f"-6 addr add fd00::1/64 dev {DEVICE} nodad",
            f"link set {DEVICE} up",
            "link set v1 up",
        ):
            ip(netns, command)

    async def has_vrf(self) -> bool:
        return Kind.VRF in (await self.datapath.capabilities()).kinds

    async def restart(self) -> None:
        await self.datapath.close()
        self.datapath = KernelDatapath(self.netns)

    def add_foreign(self, prefix: str) -> None:
        table = "" if self.vrf == DEFAULT_VRF else f"vrf {self.vrf}"
        version = "-6" if ":" in prefix else "-4"
        ip(self.netns, f"{version} route add blackhole {prefix} {table} proto static metric 7")

    def has_foreign(self, prefix: str) -> bool:
        table = "" if self.vrf == DEFAULT_VRF else f"vrf {self.vrf}"
        version = "-6" if ":" in prefix else "-4"
        return prefix in ip(self.netns, f"{version} route show {table} proto static")

    def count_route_writes(self) -> Callable[[], int]:
        nobody = 0xFFFF_FFFF
        groups = n.RTNLGRP_IPV4_ROUTE, n.RTNLGRP_IPV6_ROUTE
        monitor = Monitor(self.netns, nobody, groups)

        def count() -> int:
            try:
                return len(list(messages(monitor.read(1024))))
            finally:
                monitor.close()

        return count

    async def learn_mac(self, vni: int, mac: bytes) -> None:
        ip(self.netns, "link add h0 type veth peer name h1")
        ip(self.netns, f"link set h0 master br{vni}")
        ip(self.netns, f"link set h1 address {mac.hex(':')} addrgenmode none")
        ip(self.netns, "link set h0 up")
        ip(self.netns, "link set h1 up")
        async with asyncio.timeout(10):
            while "state forwarding" not in bridge(self.netns, "link show dev h0"):  # noqa: ASYNC110  it is the kernel that is waited for
                await asyncio.sleep(0.01)
        # Any frame teaches the bridge; a route towards the device makes the kernel send some.
        ip(self.netns, "addr add 192.0.2.1/30 dev h1")
        ip(self.netns, "neigh add 192.0.2.2 dev h1 lladdr 02:00:00:00:00:99")
        _send_datagram(self.netns, "192.0.2.2")


def _send_datagram(netns_name: str, address: str) -> None:
    with entered(netns_name), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", (address, 9))
