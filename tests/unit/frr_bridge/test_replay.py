"""When zebra's replay is known to be over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from frr_bridge import replay
from frr_bridge.replay import MARKER, ReplayWatch
from frr_bridge.vty import Vty
from tests.fakes.vty import FakeDaemon

COUNTERS = "show fpm counters json"


class World:
    def __init__(self, daemon: FakeDaemon) -> None:
        self.daemon = daemon
        self.received = 0
        self.vty = Vty(daemon.path)
        self.watch = ReplayWatch(self.vty, lambda: self.received)
        self.counters(0, 0)

    def counters(self, sent: int, waiting: int) -> None:
        self.daemon.answer_json(COUNTERS, {"bytes-sent": sent, "obuf-bytes": waiting})


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(replay, "_POLL_S", 0.001)
    monkeypatch.setattr(replay, "QUIET_S", 0.1)
    made = World(FakeDaemon(tmp_path / "zebra.vty").start())
    yield made
    made.vty.close()
    await made.daemon.die()


@pytest.mark.parametrize("before", [0, (1 << 32) - 100], ids=["from zero", "counter wraps"])
async def test_the_marker_and_the_bytes_until_then_are_the_end(world: World, before: int) -> None:
    world.counters(sent=before, waiting=0)
    await world.watch.arm()
    assert world.watch.armed
    ending = asyncio.create_task(world.watch.finished())
    world.received = 100
    world.counters(sent=(before + 20_000) % (1 << 32), waiting=50)
    await asyncio.sleep(0)
    world.daemon.log(b"zebra: [" + MARKER + b"] RMAC walk finished\n")
    while world.daemon.commands.count(COUNTERS) < 2:
        world.received += 1  # bytes are still coming
        await asyncio.sleep(0)
    for _ in range(500):
        world.received += 1
        await asyncio.sleep(0)
    assert not ending.done()
    world.received = 20_050
    assert await asyncio.wait_for(ending, 2) == "zebra's marker"
    assert "no debug zebra fpm" in world.daemon.commands
    assert not world.watch.armed


async def test_bytes_of_an_earlier_session_are_not_waited_for(world: World) -> None:
    world.counters(sent=(1 << 32) - 100, waiting=70)
    await world.watch.arm()
    world.counters(sent=100, waiting=70)
    world.received = 200
    ending = asyncio.create_task(world.watch.finished())
    world.daemon.log(MARKER)
    assert await asyncio.wait_for(ending, 2) == "zebra's marker"


@pytest.mark.parametrize("counters", ["% Unknown command", '{"bytes-sent": "x"}', "[]"])
async def test_a_zebra_without_counters_is_given_quiet_time(world: World, counters: str) -> None:
    world.daemon.answers[COUNTERS] = counters
    await world.watch.arm()
    assert not world.watch.armed
    assert await asyncio.wait_for(world.watch.finished(), 2) == "quiet"


async def test_a_zebra_that_cannot_be_asked_is_given_quiet_time(tmp_path: Path) -> None:
    watch = ReplayWatch(Vty(tmp_path / "none.vty"), lambda: 0)
    await watch.arm()
    assert not watch.armed


async def test_quiet_begins_after_the_last_byte(world: World) -> None:
    ending = asyncio.create_task(world.watch.finished())
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() < began + 2 * replay.QUIET_S:
        world.received += 1
        await asyncio.sleep(0)
    assert not ending.done()
    assert await asyncio.wait_for(ending, 2) == "quiet"


async def test_a_zebra_that_dies_in_mid_replay_ends_the_wait(world: World) -> None:
    await world.watch.arm()
    ending = asyncio.create_task(world.watch.finished())
    await asyncio.sleep(0)
    await world.daemon.die()
    assert await asyncio.wait_for(ending, 2) == "quiet"


async def test_a_wait_that_is_cut_short_leaves_nothing_behind(world: World) -> None:
    await world.watch.arm()
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(world.watch.finished(), 0.05)
    assert asyncio.all_tasks() <= before
