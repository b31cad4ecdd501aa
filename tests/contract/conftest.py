"""The checks run in every world that this machine can make."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.model.kinds import Kind
from datapaths.conformance.subject import Subject
from tests.contract.worlds import KernelWorld, MemoryWorld, ServedWorld, World
from tests.fakes.netns import fresh

WORLDS = [
    pytest.param("memory", id="memory"),
    pytest.param("memory-served", id="memory-served"),
    pytest.param("kernel", id="kernel", marks=pytest.mark.netns),
    pytest.param("kernel-served", id="kernel-served", marks=pytest.mark.netns),
    pytest.param("kernel-vrf", id="kernel-vrf", marks=pytest.mark.netns),
]


@pytest.fixture(params=WORLDS)
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    """Yield a datapath with an L3VNI and an L2VNI, and nothing else of ours in it."""
    name, _, variant = request.param.partition("-")
    with _world(name) as world:
        if variant == "vrf":
            world.vrf = "red"
        if variant == "served":
            world = ServedWorld(world, f"unix:{tmp_path}/datapath.sock")
        made = Subject(world.open, vrf=world.vrf, hands=world)
        await made.open()
        try:
            if variant == "vrf" and Kind.VRF not in made.capabilities.kinds:
                pytest.skip("this kernel has no VRF devices")
            await made.prepare(port=False)
            yield made
        finally:
            await made.datapath.close()
            if isinstance(world, ServedWorld):
                await world.close()


@contextmanager
def _world(name: str) -> Iterator[World]:
    if name == "memory":
        yield MemoryWorld()
        return
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    with fresh("contract-") as netns:
        yield KernelWorld(netns)
