"""Reports to the controller: sent when something changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dualpath.model import events
from frr_bridge import reporter
from frr_bridge.reporter import Reporter
from frr_bridge.rights import ours
from frr_bridge.vty import Vty
from tests.fakes.waiting import until


class World:
    def __init__(self, directory: Path) -> None:
        self.undecoded = 0
        self.sent: list[events.FrrReport] = []
        zebra, bgpd = (Vty(directory / name, ours) for name in ("zebra.vty", "bgpd.vty"))
        self.reporter = Reporter(
            zebra, bgpd, undecoded=lambda: self.undecoded, send=self.sent.append
        )


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(reporter, "_PERIOD_S", 0.001)
    made = World(tmp_path)
    running = asyncio.create_task(made.reporter.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_undecoded_messages_are_reported_when_their_number_changes(world: World) -> None:
    for count in (3, 5):
        world.undecoded = count
        await until(lambda: bool(world.sent) and world.sent[-1].undecoded == world.undecoded)
    assert world.sent == [events.FrrReport(undecoded=3), events.FrrReport(undecoded=5)]


async def test_new_subscriber_gets_the_report_again(world: World) -> None:
    world.undecoded = 3
    await until(lambda: len(world.sent) == 1)
    world.reporter.restart()
    await until(lambda: len(world.sent) == 2)
    assert world.sent[0] == world.sent[1]
