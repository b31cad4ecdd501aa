"""Every setting in grout and on its kernel devices is repaired at once.

Each case is a row of docs/DRIFT.md. Everything is in the default VRF: the machine's kernel may
have no VRF devices.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from controller.intent.layout import Intent
from controller.node.namespaces import NamespacePair
from datapaths.grout.driver import GroutDatapath
from datapaths.grout.ports.placement import Places
from datapaths.grout.ports.twins import GroutTwins
from datapaths.grout.ports.watch import Watch
from datapaths.grout.process import Grout, locate
from datapaths.linux import sysctls
from dualpath.model.links import Port
from tests.netns import grouts
from tests.netns.grout_drifts import CASES
from tests.netns.layouts import addresses
from tests.netns.namespaces import fresh, run
from tests.netns.test_drift import Node, Parts, controlled, intent, not_repaired

pytestmark = [pytest.mark.netns, pytest.mark.grout]


def with_nic(host: str) -> Intent:
    """Return the intent of the kernel's test, with an uplink that brings an address along."""
    kept = intent(host)
    nic = Port("eth1", addresses=addresses("10.0.0.1/24"), source_netns="", twin=True)
    return replace(kept, ports=tuple(nic if port.name == "up0" else port for port in kept.ports))


@asynccontextmanager
async def node() -> AsyncIterator[Node]:
    with grouts.state_directory() as state_dir, fresh("home", "ctl", "peer", "host") as names:
        if not (command := grouts.command(state_dir)):
            pytest.skip(grouts.NEEDED)
        home, control, peer, host = names
        sock = state_dir / "grout.sock"
        grout = Grout(sock, home, state_dir, hugepages=False, command=command)
        sysctls.ensure(control, sysctls.CONTROL)
        run(f"ip -n {peer} link add eth1 type veth peer name peer0; ip -n {peer} link set peer0 up")
        run(f"ip -n {peer} addr add 203.0.113.1/24 dev eth1")
        twins = GroutTwins(lambda: locate(sock), home, control)
        async with grouts.running(grout):
            datapath = GroutDatapath(
                str(sock), lambda: Places(locate(sock), home, peer), lambda: home
            )
            parts = Parts(NamespacePair(home, control, False, False), datapath, with_nic(host))
            known = {"home": home, "ctl": control, "host": host, "grcli": grouts.grcli(sock)}
            watch = asyncio.create_task(Watch(lambda: locate(sock), home).run())
            try:
                async with controlled(parts, twins, known) as one:
                    yield one
            finally:
                watch.cancel()
                await asyncio.wait([watch])


@pytest.mark.parametrize("part", sorted({case.part for case in CASES}))
async def test_change_by_others_is_repaired_at_once(part: str) -> None:
    async with node() as one:
        assert await not_repaired(one, [case for case in CASES if case.part == part]) == []
