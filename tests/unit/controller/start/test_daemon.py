"""The whole controller around a datapath in memory, and a bridge played by the test."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from controller.node.namespaces import NamespacePair
from controller.settings import parse
from controller.start import daemon
from controller.start.backends import Backend
from controller.start.daemon import Daemon
from datapaths.base import Capabilities, LearnedMac, Lost, Unavailable
from dualpath.bus.publisher import Publisher
from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.routes import Family
from dualpath.process.notify import Notifier
from tests.fakes.batches import batch, rows_of, upsert
from tests.fakes.core import LoggingDatapath
from tests.fakes.systemd import Systemd
from tests.fakes.twins import NoTwins
from tests.fakes.waiting import until

ONE = Nexthop(1, NexthopType.GATEWAY, bytes([192, 168, 1, 1]), "eth1")


class World:
    def __init__(
        self, directory: Path, datapath: LoggingDatapath | None = None, *beside: Beside
    ) -> None:
        self.directory = directory
        self.told: list[events.FromController] = []
        self.datapath = datapath or LoggingDatapath()
        self.beside = beside
        self.bridge = self.publisher()
        self.work = asyncio.create_task(self._daemon().run())

    def publisher(self) -> Publisher:
        made = Publisher(self.told.append)
        made.listen(f"ipc://{self.directory}/bus.sock")
        return made

    def _daemon(self) -> Daemon:
        settings = parse(
            f"--datapath=kernel --bridge external --state-dir {self.directory} "
            f"--listen unix:{self.directory}/inspect.sock".split()
        )
        backend = Backend(self.datapath, NoTwins(), self.beside)
        self.daemon = Daemon(settings, NamespacePair("fwd", "frr", False, False), backend, None)
        return self.daemon

    async def until(self, condition: Callable[[], bool]) -> None:
        def holds() -> bool:
            if self.work.done():
                self.work.result()
            return condition()

        await until(holds)

    def say(self, *said: events.FromBridge) -> None:
        for event in said:
            self.bridge.send(event)

    async def filled(self) -> None:
        """Send a route, and wait until it is programmed."""
        await self.until(lambda: self.bridge.subscribed)
        self.say(
            events.SessionChanged(number=1, state="live", acknowledge=True),
            events.Changed(upsert(ONE)),
            events.Changed(batch("+ 10.0.0.0/8 1")),
            events.Synced(),
        )
        await self.until(lambda: self.datapath.lookup("10.0.0.1") is not None)
        await self.until(lambda: self.daemon._view.status().ready)

    async def stop(self) -> None:
        self.work.cancel()
        await asyncio.gather(self.work, return_exceptions=True)

    def programmed(self) -> list[dict[str, int]]:
        return [rows_of(e.batch) for e in self.told if isinstance(e, events.Programmed)]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(daemon, "TICK_S", 0.01)
    made = World(tmp_path)
    yield made
    await made.stop()
    made.bridge.close()


async def test_routes_of_the_bridge_are_programmed_and_acknowledged(world: World) -> None:
    await world.filled()
    await world.until(lambda: len(world.programmed()) == 1)
    (answer,) = world.programmed()
    assert list(answer) == ["10.0.0.0/8"]
    assert answer["10.0.0.0/8"] != 0


async def test_controller_is_ready_for_systemd_before_the_datapath_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FRR is ordered after the controller, and needs only the namespaces."""
    monkeypatch.setattr(daemon, "TICK_S", 0.01)
    monkeypatch.setattr(daemon, "_START_AGAIN_S", 0.01)
    systemd = Systemd(str(tmp_path / "notify"))
    world = World(tmp_path, Late(), Beside())
    world.daemon.notifier = Notifier(systemd.environment)
    heard: list[str] = []

    def ready() -> bool:
        heard.extend(systemd.heard())
        return "STATUS=ready" in heard

    await world.filled()
    await world.until(ready)
    assert heard[:2] == ["READY=1", "STATUS=the datapath does not answer yet: not yet"]
    await world.stop()
    world.bridge.close()
    systemd.socket.close()


async def test_refused_route_is_reported_as_failed(world: World) -> None:
    world.datapath.refuse["default", (bytes([11, 0, 0, 0]), 8)] = errno.ENOMEM
    await world.filled()
    world.say(events.Changed(batch("+ 11.0.0.0/8 1")))
    await world.until(lambda: len(world.programmed()) == 2)
    assert world.programmed()[-1] == {"11.0.0.0/8": 0}


async def test_silent_bridge_changes_no_forwarding(world: World) -> None:
    """Invariant 1."""
    await world.filled()
    log = list(world.datapath.log)
    await world.until(lambda: world.daemon._view.status().bridge == "lost")
    assert world.datapath.log == log


async def test_new_bridge_with_the_same_routes_changes_nothing(world: World) -> None:
    """Invariants 1 and 4."""
    await world.filled()
    writes = world.datapath.writes
    world.bridge.close()
    world.bridge = world.publisher()
    await world.filled()
    assert world.datapath.writes == writes


async def test_restarted_daemon_writes_nothing(world: World) -> None:
    """Invariants 1 and 4."""
    await world.filled()
    writes = world.datapath.writes
    await world.stop()
    again = LoggingDatapath()
    again.records, again.routes = world.datapath.records, world.datapath.routes
    world.datapath = again
    world.bridge.close()
    world.bridge = world.publisher()
    world.work = asyncio.create_task(world._daemon().run())
    await world.filled()
    assert (again.writes, again.log) == (0, [])
    assert writes == 2


async def test_learned_macs_reach_the_bridge(world: World) -> None:
    await world.filled()
    world.datapath.tell(LearnedMac(110, bytes(6)))
    await world.until(lambda: any(isinstance(e, events.Mirror) and e.macs for e in world.told))
    world.bridge.close()
    world.told.clear()
    world.bridge = world.publisher()
    await world.until(lambda: world.bridge.subscribed)
    world.say(events.Alive())
    await world.until(lambda: any(isinstance(e, events.Mirror) and e.whole for e in world.told))
    (said,) = {e.macs for e in world.told if isinstance(e, events.Mirror) and e.whole}
    assert said == (Mac(110, bytes(6)),)


async def test_rows_removed_by_others_are_programmed_again(world: World) -> None:
    await world.filled()
    route = batch(f"+ 10.0.0.0/8 {world.datapath.lookup('10.0.0.1')}")
    del world.datapath.routes["default", Family.INET][bytes([10, 0, 0, 0]), 8]
    world.datapath.tell(Lost(Kind.ROUTE, routes=route))
    await world.until(lambda: world.datapath.lookup("10.0.0.1") is not None)
    nexthop = next(iter(world.datapath.records[Kind.NEXTHOP].values()))
    world.datapath.lose(nexthop)
    await world.until(lambda: world.datapath.lookup("10.0.0.1") is not None)
    world.datapath.routes["default", Family.INET].clear()
    world.datapath.tell(Lost(Kind.ROUTE))
    await world.until(lambda: world.datapath.lookup("10.0.0.1") is not None)
    assert world.daemon._view.status().repaired >= 3


async def test_release_reaches_the_bridge(world: World) -> None:
    await world.filled()
    assert "releases the rows" in world.daemon._view.release()
    await world.until(lambda: events.Release() in world.told)


async def test_release_without_a_bridge_is_an_error(world: World) -> None:
    world.bridge.close()
    await world.until(lambda: "not connected" in world.daemon._view.release())
    world.bridge = world.publisher()


class Late(LoggingDatapath):
    """Is unavailable at first, and asks for small batches."""

    refusals = 3

    async def capabilities(self) -> Capabilities:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("not yet")
        return replace(await super().capabilities(), batch_rows=2)


class Beside:
    def __init__(self) -> None:
        self.running = False

    async def run(self) -> None:
        self.running = True
        await asyncio.Event().wait()

    async def end(self) -> None:
        self.running = False


async def test_datapath_started_by_the_controller_is_awaited_without_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(daemon, "_START_AGAIN_S", 0.01)
    monkeypatch.setattr(daemon, "_START_S", 0.0)
    settings = parse(
        f"--datapath=kernel --bridge external --state-dir {tmp_path} "
        f"--listen unix:{tmp_path}/inspect.sock".split()
    )
    spaces, beside = NamespacePair("fwd", "frr", False, False), Beside()
    late = Late()
    late.refusals = 1_000_000
    made = Daemon(settings, spaces, Backend(late, NoTwins(), (beside,)), None)
    work = asyncio.create_task(made.run())
    await until(lambda: "does not answer yet: not yet; waiting" in caplog.text)
    assert made._view.status().not_ready == "the datapath does not answer yet: not yet"
    late.refusals = 3
    await until(lambda: made._first.reconciler.routes.batch_rows == 2)
    assert beside.running
    await until(lambda: "answer" not in made._view.status().not_ready)
    assert caplog.text.count("waiting") == 1
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_datapath_started_by_others_must_answer_at_once(tmp_path: Path) -> None:
    settings = parse(
        f"--datapath=kernel --bridge external --state-dir {tmp_path} "
        f"--listen unix:{tmp_path}/inspect.sock".split()
    )
    made = Daemon(
        settings, NamespacePair("fwd", "frr", False, False), Backend(Late(), NoTwins()), None
    )
    with pytest.raises(ExceptionGroup) as caught:
        await made.run()
    assert caught.group_contains(Unavailable, match="not yet")
