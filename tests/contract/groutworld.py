"""Real grout under contract, in the default VRF: one process for all checks."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest

from datapaths.base import Datapath, Unavailable
from datapaths.conformance.subject import DEVICE, DEVICE_ADDRESSES
from datapaths.grout.driver import GroutDatapath
from datapaths.grout.ports.placement import Places
from datapaths.grout.process import Grout, command_line, locate, peer_of
from datapaths.linux.netns import entered
from dualpath.model.links import Address, HostEnd, Port
from dualpath.model.records import RecordBatch
from dualpath.model.routes import DEFAULT_VRF
from tests.fakes.netns import fresh, ip
from tests.netns import grouts

START_S = 60.0
BRIDGED = "leg110"


@contextmanager
def running() -> Iterator[tuple[Grout, str]]:
    """Run a grout for the length of a block; yield it and a namespace for a host."""
    with grouts.state_directory() as state, fresh("grout-") as home, fresh("host-") as host:
        command = grouts.command(state)
        if not command:
            pytest.skip(grouts.NEEDED)
        grout = Grout(state / "grout.sock", home, state, hugepages=False, command=command)
        ip(home, "link set lo up")
        with started(grout):
            yield grout, host


@contextmanager
def started(grout: Grout) -> Iterator[None]:
    """Run a grout for the length of a block, where one may have died."""
    log = (grout.state_dir / "grout.log").open("a")
    line = command_line(grout, hugepages=False)
    with log, subprocess.Popen(line, stdout=log, stderr=log) as process:
        try:
            _wait(grout, process)
            yield
        finally:
            with suppress(Unavailable, ProcessLookupError):
                os.kill(peer_of(grout.sock), signal.SIGKILL)
            process.kill()


def _wait(grout: Grout, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with suppress(Unavailable):
            peer_of(grout.sock)
            return
        assert process.poll() is None, (grout.state_dir / "grout.log").read_text()
        time.sleep(0.05)
    raise AssertionError("grout did not come up")


@dataclass
class GroutWorld:
    """Acts beside a grout, by another process where it stands for another program."""

    grout: Grout
    host: str
    vrf: str = DEFAULT_VRF
    datapath: Datapath | None = None

    async def open(self) -> Datapath:
        def home() -> str:
            return locate(self.grout.sock)

        def places() -> Places:
            return Places(home(), self.grout.netns, self.host)

        self.datapath = GroutDatapath(str(self.grout.sock), places, home)
        await self.make_device()
        return self.datapath

    async def make_device(self) -> None:
        port = Port(DEVICE, addresses=DEVICE_ADDRESSES, host=HostEnd(self.host, "h0"))
        await self._apply(RecordBatch(port.kind, (port,)))

    def remove_behind_our_back(self, prefix: str, vni: int, mac: bytes) -> None:
        """Delete a route and a bridge's entry as another program."""
        subprocess.run(self._somebody("del", prefix), check=True)
        subprocess.run(self._somebody("forget", f"br{vni}", mac.hex()), check=True)

    def add_foreign(self, prefix: str) -> None:
        subprocess.run(self._somebody("add", prefix), check=True)
        time.sleep(0.1)  # until the event arrives

    def has_foreign(self, prefix: str) -> bool:
        return subprocess.run(self._somebody("has", prefix), check=False).returncode == 0

    def count_route_writes(self) -> Callable[[], int]:
        command = self._somebody("watch")
        watcher = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert watcher.stdout
        assert watcher.stdout.readline() == "ready\n"

        def count() -> int:
            said, _ = watcher.communicate()
            return int(said)

        return count

    async def learn_mac(self, vni: int, mac: bytes) -> None:
        end = HostEnd(self.host, "h1", mac, (Address.parse("192.0.2.1/30"),))
        port = Port(BRIDGED, vni=vni, host=end)
        await self._apply(RecordBatch(port.kind, (port,)))
        # Any frame teaches the bridge; a route towards the device makes the kernel send some.
        ip(self.host, "neigh replace 192.0.2.2 dev h1 lladdr 02:00:00:00:00:99")
        for _ in range(5):
            with entered(self.host), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"x", ("192.0.2.2", 9))
            await asyncio.sleep(0.2)

    async def _apply(self, ports: RecordBatch) -> None:
        assert self.datapath
        failures = await self.datapath.apply(ports)
        assert not failures, failures

    def _somebody(self, *arguments: str) -> list[str]:
        program = [sys.executable, "-m", "tests.contract.somebody"]
        return [*program, str(self.grout.sock), *arguments]
