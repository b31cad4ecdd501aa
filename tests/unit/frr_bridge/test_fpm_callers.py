"""Who may have the FPM session of a bridge that runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.vty import FakeDaemon
from tests.unit.frr_bridge.test_runtime import World, route


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path, hold_s=1.0)
    made.converged()
    await made.subscribe()
    yield made
    assert not made.failures
    await made.close()


CALLER = """
import socket, sys
caller = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
try:
    print(caller.recv(1))
except ConnectionError:
    print(b"")
"""


async def end_of_another_process(world: World, user: int) -> bytes:
    """Connect to FPM from a process of `user`; return what it reads, b"b''" when it is closed."""
    server = world.runtime._fpm.server
    await world.until(lambda: server._listener is not None)
    assert server._listener
    port = str(server._listener.getsockname()[1])
    program = ["/usr/bin/python3", "-I", "-S", "-c", CALLER, port]
    pipe = asyncio.subprocess.PIPE
    caller = await asyncio.create_subprocess_exec(*program, stdout=pipe, user=user, cwd="/")
    async with asyncio.timeout(5):
        output, _ = await caller.communicate()
    return output.strip()


async def test_another_process_of_frrs_user_does_not_get_zebras_session(world: World) -> None:
    zebra = FakeDaemon(world.bgpd.path.parent / "zebra.vty").start()  # a process that is known
    try:
        assert await end_of_another_process(world, os.geteuid()) == b"b''"
        assert world.runtime.bridge.session.number == 0
        await world.zebra(route(1))
        await world.until(lambda: world.runtime.bridge.session.number == 1)
        assert world.runtime._fpm.server._is_zebra
    finally:
        await zebra.die()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
async def test_another_user_does_not_get_the_session_though_zebra_is_not_there(
    world: World,
) -> None:
    assert await end_of_another_process(world, 65534) == b"b''"
    assert world.runtime.bridge.session.number == 0


async def test_unknown_caller_is_used_while_zebra_is_unknown(world: World) -> None:
    await world.zebra(route(1))
    await world.until(lambda: world.runtime.bridge.session.number == 1)
    assert not world.runtime._fpm.server._is_zebra
