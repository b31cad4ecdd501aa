"""Uplinks that real CNI plugins make, under real grout: it has the addresses, and forwards."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from datapaths.grout.process import Grout
from datapaths.linux import netns
from tests.netns import grouts, test_cni
from tests.netns.namespaces import names, ping, run
from tests.netns.test_cni import DHCP, STATIC, Machine, dhcp_server, macvlan, until

pytestmark = [pytest.mark.netns, pytest.mark.grout, *test_cni.pytestmark[1:]]

machine = test_cni.machine


@asynccontextmanager
async def grout(machine: Machine) -> AsyncIterator[Path]:
    """Run grout in the forwarding namespace."""
    netns.create(machine.forwarding)
    with grouts.state_directory() as directory:
        command = grouts.command(directory)
        if command is None:
            pytest.skip(grouts.NEEDED)
        one = Grout(directory / "grout.sock", machine.forwarding, directory, command=command)
        async with grouts.running(one):
            yield one.sock


def start(machine: Machine, sock: Path) -> None:
    machine.start("--datapath=dpdk", f"--grout-sock={sock}")


def port(sock: Path) -> str:
    return run(f"{grouts.grcli(sock)} address show iface net1", check=False)


def is_gone(machine: Machine) -> bool:
    return not {"net1", "n-net1"} & names(machine.forwarding)


def leases_given(machine: Machine) -> int:
    return (machine.directory / "dnsmasq.log").read_text().count("DHCPACK")


async def test_static_addresses_are_grouts_and_go_with_the_interface(machine: Machine) -> None:
    machine.write(macvlan(STATIC))
    async with grout(machine) as sock:
        start(machine, sock)
        await asyncio.to_thread(until, lambda: "192.168.11.10/24" in port(sock), "no address")
        assert "fd00:11::10/64" in port(sock)
        assert {"net1", "n-net1"} <= names(machine.forwarding)
        await asyncio.to_thread(until, lambda: ping(machine.server, "192.168.11.10"))
        await asyncio.to_thread(until, lambda: ping(machine.server, "fd00:11::10"))
        await asyncio.to_thread(machine.stop)
        start(machine, sock)
        await asyncio.to_thread(until, lambda: "net1" in machine.dualpath("ports"))
        assert machine.log.count("CNI created it") == 1
        assert ping(machine.server, "192.168.11.10")
        run(f"ip -n {machine.forwarding} link del n-net1")
        await asyncio.to_thread(until, lambda: machine.log.count("CNI created it") == 2)
        await asyncio.to_thread(until, lambda: ping(machine.server, "192.168.11.10"))
        machine.write()
        await asyncio.to_thread(until, lambda: is_gone(machine), machine.log)
        await asyncio.to_thread(until, lambda: os.listdir(machine.directory / "cni") == [])


@pytest.mark.long
async def test_lease_is_renewed_while_grout_forwards(machine: Machine) -> None:
    machine.write(macvlan(DHCP))
    with dhcp_server(machine, lease_s=120):
        async with grout(machine) as sock:
            start(machine, sock)
            await asyncio.to_thread(until, lambda: "192.168.11." in port(sock), "no address")
            address = (machine.directory / "leases").read_text().split()[2]
            await asyncio.to_thread(until, lambda: ping(machine.server, address))
            before = leases_given(machine)
            await asyncio.to_thread(
                until, lambda: leases_given(machine) > before, "not renewed", 100.0
            )
            assert ping(machine.server, address)
            machine.write()
            await asyncio.to_thread(until, lambda: is_gone(machine), machine.log)
