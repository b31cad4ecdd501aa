"""Run the checks against every datapath that this machine can run."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from datapaths.conformance.subject import Subject
from dualpath.model.kinds import Kind
from tests.contract.groutworld import GroutWorld, running
from tests.contract.worlds import KernelWorld, MemoryWorld, ServedWorld, World
from tests.fakes.netns import fresh

WORLDS = [
    pytest.param("memory", id="memory"),
    pytest.param("memory-served", id="memory-served"),
    pytest.param("kernel", id="kernel", marks=pytest.mark.netns),
    pytest.param("kernel-served", id="kernel-served", marks=pytest.mark.netns),
    pytest.param("kernel-vrf", id="kernel-vrf", marks=pytest.mark.netns),
    pytest.param(
        "grout", id="grout", marks=(pytest.mark.netns, pytest.mark.grout, pytest.mark.long)
    ),
]


@pytest.fixture(params=WORLDS)
async def subject(
    request: pytest.FixtureRequest, tmp_path: Path, grouts: ExitStack
) -> AsyncIterator[Subject]:
    """Yield a datapath that has an L3VNI and an L2VNI only."""
    name, _, variant = request.param.partition("-")
    with _world(name, grouts) as world:
        if variant == "vrf":
            world.vrf = "red"
        if variant == "served":
            world = ServedWorld(world, f"unix:{tmp_path}/datapath.sock")
        made = Subject(world.open, vrf=world.vrf, environment=world)
        await made.open()
        try:
            if variant == "vrf" and Kind.VRF not in made.capabilities.kinds:
                pytest.skip("this kernel has no VRF devices")
            await made.prepare(port=False)
            yield made
        finally:
            if name == "grout":  # it keeps running for the next check
                await made.dismantle(port=False)
            await made.datapath.close()
            if isinstance(world, ServedWorld):
                await world.close()


@contextmanager
def _world(name: str, grouts: ExitStack) -> Iterator[World]:
    if name == "memory":
        yield MemoryWorld()
        return
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    if name == "grout":
        yield _grout(grouts)
        return
    with fresh("contract-") as netns:
        yield KernelWorld(netns)


@pytest.fixture(scope="session")
def grouts() -> Iterator[ExitStack]:
    """Keep started processes until all checks are done."""
    with ExitStack() as stack:
        yield stack


_running: list[GroutWorld] = []


def _grout(grouts: ExitStack) -> GroutWorld:
    if not _running:
        _running.append(GroutWorld(*grouts.enter_context(running())))
    return _running[0]
