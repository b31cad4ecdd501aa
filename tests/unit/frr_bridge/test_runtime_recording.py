"""A bridge that records: its recording, played, announces what it announced."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from frr_bridge import convergence, frrwatch, replay
from frr_bridge.recording.pcapng import read
from frr_bridge.recording.player import Player
from frr_bridge.recording.recorder import Recorder
from frr_bridge.session import State
from tests.fakes.zebra import MemoryBus
from tests.unit.frr_bridge.test_runtime import World, route, withdrawal

LIMIT = 1 << 20


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "recording", LIMIT)


@pytest.fixture
async def world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> AsyncIterator[World]:
    monkeypatch.setattr(frrwatch, "TICK_S", 0.005)
    monkeypatch.setattr(replay, "_POLL_S", 0.001)
    monkeypatch.setattr(replay, "QUIET_S", 0.02)
    for name in ("SETTLE_S", "SILENCE_S"):
        monkeypatch.setattr(convergence, name, 0.02)
    made = World(tmp_path, 60.0, recorder)
    made.bgpd.start()
    made.converged()
    await made.subscribe()
    yield made
    assert not made.failures


@pytest.mark.parametrize("parts", [1, 2])
async def test_recording_of_a_death_and_a_return_replays_to_the_same_state(
    world: World, recorder: Recorder, tmp_path: Path, parts: int
) -> None:
    zebra = await world.live(route(1), route(2), route(3))
    await world.until(lambda: len(world.prefixes) == 3)
    zebra.write(withdrawal(3) + route(4)[:20])
    await world.until(lambda: len(world.prefixes) == 2)
    if parts == 2:
        recorder._size = LIMIT  # in the middle of a frame
    zebra.write(route(4)[20:])
    await world.until(lambda: len(world.prefixes) == 3)
    await world.bgpd.die()
    zebra.write(withdrawal(1) + withdrawal(2) + route(5))
    await world.until(lambda: "20.0.5.0/24" in world.prefixes)
    assert world.state is State.HELD
    await world.close()

    bus = MemoryBus(1 << 30)
    player = Player(bus)
    files = [path for path in (tmp_path / "recording.1", tmp_path / "recording") if path.exists()]
    assert len(files) == parts
    for path in files:
        with path.open("rb") as stream:
            for _ in player.play(read(stream)):
                pass
    assert player.bridge.session.state is State.HELD
    assert bus.prefixes() == world.prefixes
    assert bus.prefixes() == {f"20.0.{third}.0/24" for third in (1, 2, 4, 5)}
