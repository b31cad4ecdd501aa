"""Each contract test runs in every world that this machine can make."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from controller.model.links import Vni, Vrf
from tests.contract.worlds import KernelWorld, MemoryWorld, World
from tests.fakes.batches import upsert
from tests.fakes.netns import fresh

WORLDS = [
    pytest.param("memory", id="memory"),
    pytest.param("kernel", id="kernel", marks=pytest.mark.netns),
    pytest.param("kernel-vrf", id="kernel-vrf", marks=pytest.mark.netns),
]
LOCAL = bytes([10, 0, 0, 1])
L3VNI, L2VNI = 100, 110


@pytest.fixture(params=WORLDS)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Yield a world with an L3VNI and an L2VNI, and nothing else of ours in it."""
    if request.param == "memory":
        memory = MemoryWorld()
        await add_vnis(memory)
        yield memory
        return
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    with fresh("contract-") as name:
        kernel = KernelWorld(name)
        try:
            if request.param == "kernel-vrf":
                if not await kernel.has_vrf():
                    pytest.skip("this kernel has no VRF devices")
                assert not await kernel.datapath.apply(upsert(Vrf("red", 1100)))
                kernel.vrf = "red"
            await add_vnis(kernel)
            yield kernel
        finally:
            await kernel.datapath.close()


async def add_vnis(world: World) -> None:
    vrf = "" if world.vrf == "default" else world.vrf
    router = Vni(L3VNI, layer=3, vrf=vrf, local=LOCAL, mac=bytes.fromhex("020000000064"))
    bridged = Vni(L2VNI, vrf=vrf, local=LOCAL, mac=bytes.fromhex("00f30000006e"))
    assert not await world.datapath.apply(upsert(router, bridged))
