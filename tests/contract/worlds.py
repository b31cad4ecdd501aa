"""The datapaths under contract, each with what a test needs around it.

To put another one under contract: give it a class here and a row in `conftest.WORLDS`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from datapaths.base import Datapath, LearnedMac
from datapaths.conformance.subject import DEVICE, Environment
from datapaths.kernel.channel import Monitor
from datapaths.kernel.driver import KernelDatapath
from datapaths.linux.netns import entered
from datapaths.memory import MemoryDatapath
from datapaths.remote.driver import RemoteDatapath
from datapaths.remote.server import serve
from dualpath.model.routes import DEFAULT_VRF
from dualpath.netlink import numbers as n
from dualpath.netlink.message import messages
from dualpath.rpc.server import RpcServer
from tests.fakes.netns import bridge, ip


class World(Environment, Protocol):
    """A datapath, and the environment that it works in."""

    vrf: str  # in which routes can be made

    async def open(self) -> Datapath:
        """Open the datapath, again after it was closed; the state behind it stays."""


class MemoryWorld:
    vrf = DEFAULT_VRF

    def __init__(self) -> None:
        self.memory = MemoryDatapath([DEVICE])
        self._foreign: set[str] = set()

    async def open(self) -> Datapath:
        self.memory.reopen()
        return self.memory

    def add_foreign(self, prefix: str) -> None:
        self._foreign.add(prefix)

    def has_foreign(self, prefix: str) -> bool:
        return prefix in self._foreign

    def count_route_writes(self) -> Callable[[], int]:
        before = {table: dict(routes) for table, routes in self.memory.routes.items()}
        return lambda: int(self.memory.routes != before)

    async def learn_mac(self, vni: int, mac: bytes) -> None:
        self.memory.tell(LearnedMac(vni, mac))


class KernelWorld:
    def __init__(self, netns: str) -> None:
        self.netns = netns
        self.vrf = DEFAULT_VRF
        ip(netns, f"link add {DEVICE} type veth peer name {DEVICE}h")
        for command in (
            f"addr add 10.0.0.1/24 dev {DEVICE}",
            f"-6 addr add fd00::1/64 dev {DEVICE} nodad",
            f"link set {DEVICE} up",
            f"link set {DEVICE}h up",
        ):
            ip(netns, command)

    async def open(self) -> Datapath:
        return KernelDatapath(self.netns)

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


class ServedWorld:
    """Another world's datapath, by way of gRPC; a server of its own for each client."""

    def __init__(self, world: World, listen: str) -> None:
        self._world = world
        self._listen = listen
        self._served: tuple[RpcServer, Datapath] | None = None
        self.vrf = world.vrf
        self.add_foreign = world.add_foreign
        self.has_foreign = world.has_foreign
        self.count_route_writes = world.count_route_writes
        self.learn_mac = world.learn_mac

    async def open(self) -> Datapath:
        await self.close()
        datapath = await self._world.open()
        self._served = await serve(datapath, listen=self._listen), datapath
        return RemoteDatapath(self._listen)

    async def close(self) -> None:
        if self._served:
            server, datapath = self._served
            self._served = None
            await server.stop()
            await datapath.close()
