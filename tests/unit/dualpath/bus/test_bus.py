"""Both ends of the bus over a real socket: credit, gaps, epochs, silence."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dualpath.bus import publisher
from dualpath.bus.publisher import Publisher
from dualpath.bus.subscriber import CREDIT, SILENT_TICKS, Subscriber
from dualpath.model import events
from dualpath.model.layer2 import Flood
from dualpath.model.records import RecordBatch
from tests.fakes.logs import Written
from tests.fakes.waiting import until


def changed(vni: int) -> events.Changed:
    return events.Changed(RecordBatch(Flood.kind, (Flood(vni, bytes(4)),)))


class Controller:
    """A subscriber, and what it heard."""

    def __init__(self, address: str) -> None:
        self.heard: list[events.FromBridge] = []
        self.subscriptions: list[bool] = []
        self.lost = 0
        self.end = Subscriber(
            address,
            on_event=self.heard.append,
            on_subscribed=self._subscribed,
            on_lost=self._lost,
        )

    def _subscribed(self, same_bridge: bool) -> None:
        self.subscriptions.append(same_bridge)

    def _lost(self) -> None:
        self.lost += 1


class World:
    """A bridge's end that says what it holds to whoever subscribes."""

    def __init__(self, directory: Path) -> None:
        self.address = f"ipc://{directory}/bus.sock"
        self.told: list[events.FromController] = []
        self.bridge = self.publisher()
        self._open: list[Controller] = []

    def publisher(self) -> Publisher:
        made = Publisher(self._take)
        made.listen(self.address)
        return made

    def controller(self) -> Controller:
        made = Controller(self.address)
        self._open.append(made)
        return made

    def _take(self, event: events.FromController) -> None:
        self.told.append(event)
        if isinstance(event, events.Subscribe):
            self.bridge.send(events.SessionChanged(number=1, state="live"))

    async def subscribed(self) -> Controller:
        made = self.controller()
        async with asyncio.timeout(5):
            while not made.subscriptions:
                made.end.subscribe()
                await asyncio.sleep(0.005)
        await until(lambda: bool(made.heard))
        await asyncio.sleep(0.01)
        return made

    def close(self) -> None:
        for controller in self._open:
            controller.end.close()
        self.bridge.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


async def test_the_socket_is_for_its_owner_alone(world: World, tmp_path: Path) -> None:
    assert (tmp_path / "bus.sock").stat().st_mode & 0o777 == 0o600


async def test_words_arrive_in_order_and_give_back_credit(world: World) -> None:
    controller = await world.subscribed()
    credit = world.bridge.credit
    for vni in range(10):
        world.bridge.send(changed(vni))
    assert world.bridge.credit == credit - 10
    await until(lambda: len(controller.heard) >= 11)
    assert controller.heard[-10:] == [changed(vni) for vni in range(10)]
    await until(lambda: world.bridge.credit == credit)
    assert credit == CREDIT


async def test_after_its_end_nothing_is_said_and_nothing_raised(world: World) -> None:
    controller = await world.subscribed()
    for end in (world.bridge, controller.end):
        end.close()
    world.bridge.send(events.Alive())
    controller.end.send(events.Release())


async def test_words_without_a_batch_cost_no_credit(world: World) -> None:
    await world.subscribed()
    world.bridge.send(events.Alive())
    assert world.bridge.credit == CREDIT


async def test_the_controller_s_words_arrive(world: World) -> None:
    controller = await world.subscribed()
    assert controller.end.send(events.Release())
    await until(lambda: events.Release() in world.told)


async def test_nothing_is_said_before_anybody_listens(world: World) -> None:
    assert not world.bridge.subscribed
    world.bridge.send(changed(1))
    controller = await world.subscribed()
    assert changed(1) not in controller.heard


async def test_a_lost_message_leads_to_a_new_subscription(world: World) -> None:
    controller = await world.subscribed()
    times = len(controller.subscriptions)
    world.bridge._sequence += 1  # one message is lost
    world.bridge.send(changed(1))
    await until(lambda: len(controller.subscriptions) == times + 1)
    assert changed(1) not in controller.heard
    assert controller.subscriptions[-1] is True
    world.bridge.send(changed(2))
    await until(lambda: changed(2) in controller.heard)


async def test_a_message_that_makes_no_sense_leads_to_a_new_subscription(world: World) -> None:
    """Invariant 6."""
    controller = await world.subscribed()
    times = len(controller.subscriptions)
    assert world.bridge._endpoint
    world.bridge._endpoint.send(world.bridge._subscriber, b"\xff\xff")
    await until(lambda: len(controller.subscriptions) > times)


async def test_what_makes_no_sense_to_the_bridge_is_dropped(world: World) -> None:
    """Invariant 6."""
    controller = await world.subscribed()
    told = len(world.told)
    controller.end._endpoint.send(b"\xff\xff")
    controller.end.send(events.Release())
    await until(lambda: len(world.told) > told)
    assert world.told[told:] == [events.Release()]


async def test_another_bridge_is_told_from_the_last_one(world: World) -> None:
    controller = await world.subscribed()
    world.bridge.close()
    world.bridge = world.publisher()
    times = len(controller.subscriptions)
    async with asyncio.timeout(5):
        while len(controller.subscriptions) == times:
            controller.end.tick()
            await asyncio.sleep(0.005)
    assert controller.subscriptions[times] is False


async def test_a_silent_bridge_is_lost_once_and_keeps_being_asked(world: World) -> None:
    controller = await world.subscribed()
    for _ in range(SILENT_TICKS):
        controller.end.tick()
    assert (controller.end.connected, controller.lost) == (True, 0)
    times = len(controller.subscriptions)
    controller.end.tick()
    assert (controller.end.connected, controller.lost) == (False, 1)
    await until(lambda: len(controller.subscriptions) > times)
    assert controller.end.connected


async def test_a_bridge_that_is_not_there_costs_nothing(tmp_path: Path) -> None:
    controller = Controller(f"ipc://{tmp_path}/nobody.sock")
    for _ in range(3 * SILENT_TICKS):
        controller.end.tick()
    assert not controller.end.send(events.Release())
    assert (controller.subscriptions, controller.lost) == ([], 0)
    controller.end.close()


async def test_the_last_to_subscribe_is_who_is_talked_to(world: World) -> None:
    first = await world.subscribed()
    second = await world.subscribed()
    heard = len(first.heard)
    told = len(world.told)
    first.end.send(events.Release())
    world.bridge.send(changed(5))
    await until(lambda: changed(5) in second.heard)
    await asyncio.sleep(0.01)
    assert len(first.heard) == heard
    assert world.told[told:].count(events.Release()) == 0


async def test_credit_for_another_epoch_is_void(world: World) -> None:
    controller = await world.subscribed()
    controller.end.send(events.Credit(world.bridge.epoch + 1, 100))
    controller.end.send(events.Release())
    await until(lambda: events.Release() in world.told)
    assert world.bridge.credit == CREDIT


async def test_a_subscriber_that_went_away_is_forgotten(world: World) -> None:
    controller = await world.subscribed()
    controller.end.close()
    with contextlib.suppress(ValueError):
        world._open.remove(controller)
    async with asyncio.timeout(5):
        while world.bridge.subscribed:
            world.bridge.send(events.Alive())
            await asyncio.sleep(0.005)
    assert world.bridge.credit == 0


async def test_messages_that_make_no_sense_are_few_log_lines(world: World) -> None:
    controller = await world.subscribed()
    with Written() as written:
        for _ in range(500):
            controller.end._endpoint.send(b"\xff" * 64)
        await until(lambda: written.rows == 500)
        assert len(written.lines) <= 20


@pytest.mark.parametrize("removed", ["socket", "directory"])
async def test_a_socket_that_is_removed_is_made_again(tmp_path: Path, removed: str) -> None:
    directory = tmp_path / "state"
    directory.mkdir()
    world = World(directory)
    try:
        first = await world.subscribed()
        for _ in range(3):
            assert not world.bridge.renew()
            (directory / "bus.sock").unlink()
            if removed == "directory":
                directory.rmdir()
            assert world.bridge.renew()
            world.bridge.send(events.Alive())  # who is connected stays so
            await until(lambda: first.heard[-1:] == [events.Alive()])
            await asyncio.sleep(0.05)  # the old name is closed behind our back
            assert [file.name for file in directory.iterdir()] == ["bus.sock"]
        assert (await world.subscribed()).heard
    finally:
        world.close()
    assert list(directory.iterdir()) == []


async def test_a_socket_that_is_removed_often_costs_few_descriptors(tmp_path: Path) -> None:
    world = World(tmp_path)
    try:
        for _ in range(30):
            (tmp_path / "bus.sock").unlink()
            with contextlib.suppress(OSError):  # the name before is closed at that moment
                world.bridge.renew()
            await asyncio.sleep(0.01)
            world.bridge.renew()
        assert (await world.subscribed()).heard
        assert names_in_use(tmp_path) < 20
    finally:
        world.close()


def names_in_use(directory: Path) -> int:
    return Path("/proc/net/unix").read_text().count(f"{directory}/bus.soc~")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\xff" * 64,
        bytes.fromhex("ff00000000000000017f03"),  # the beginning of ZMTP's greeting
        bytes.fromhex("ff00000000000000017f0300") + b"NULL" + bytes(48) + b"\x02" + b"\xff" * 8,
    ],
    ids=["silent", "garbage", "half a greeting", "an endless frame"],
)
async def test_callers_that_say_half_of_something_keep_nobody_out(
    world: World, tmp_path: Path, sent: bytes
) -> None:
    callers = [socket.socket(socket.AF_UNIX) for _ in range(200)]
    try:
        for caller in callers:
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):  # more than wait at once
                caller.connect(f"{tmp_path}/bus.sock")
                caller.send(sent)
        controller = await world.subscribed()
        assert controller.heard
        world.bridge.send(changed(7))
        await until(lambda: controller.heard[-1] == changed(7))
    finally:
        for caller in callers:
            caller.close()


async def test_a_message_that_is_too_long_is_not_taken(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(publisher, "MESSAGE_MAX", 1 << 20)
    small = publisher.Publisher(lambda event: None)
    small.listen(f"ipc://{tmp_path}/small.sock")
    controller = Controller(f"ipc://{tmp_path}/small.sock")
    try:
        with Written() as written:
            controller.end._endpoint.send(b"\xff" * (2 << 20))
            await asyncio.sleep(0.3)
            assert not written.lines  # nothing came to be decoded
    finally:
        controller.end.close()
        small.close()
