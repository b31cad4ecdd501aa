"""Both ends of the bus over a real socket: credit, gaps, epochs, silence."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import zmq

from dualpath.bus import publisher
from dualpath.bus.publisher import Publisher
from dualpath.bus.subscriber import (
    CREDIT,
    SILENT_MOST_TICKS,
    SILENT_TICKS,
    STEADY_TICKS,
    TICK_S,
    Subscriber,
)
from dualpath.model import events
from dualpath.model.layer2 import Flood
from dualpath.model.records import RecordBatch
from tests.fakes.logs import Written
from tests.fakes.waiting import until

LAST = events.Mirror(whole=True)


def changed(vni: int) -> events.Changed:
    return events.Changed(RecordBatch(Flood.kind, (Flood(vni, bytes(4)),)))


class Controller:
    """A subscriber, and the events that it received."""

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
    """A bridge's end, which answers a subscription with the state of its session."""

    def __init__(self, directory: Path) -> None:
        self.address = f"ipc://{directory}/bus.sock"
        self.received: list[events.FromController] = []
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
        self.received.append(event)
        if isinstance(event, events.Subscribe):
            self.bridge.send(events.SessionChanged(number=1, state="live"))

    def requests(self) -> int:
        return sum(isinstance(event, events.Subscribe) for event in self.received)

    async def subscribed(self) -> Controller:
        made = self.controller()
        await until(lambda: bool(made.subscriptions), again=made.end.subscribe)
        # It may have subscribed several times: wait until the last one is answered.
        made.end.send(LAST)
        await until(lambda: LAST in self.received)
        self.received.remove(LAST)
        self.bridge.send(events.Alive())
        await until(lambda: events.Alive() in made.heard)
        made.heard.remove(events.Alive())
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


async def test_only_the_owner_may_open_the_socket(world: World, tmp_path: Path) -> None:
    assert (tmp_path / "bus.sock").stat().st_mode & 0o777 == 0o600


async def test_batches_arrive_in_order_and_return_credit(world: World) -> None:
    controller = await world.subscribed()
    credit = world.bridge.credit
    for vni in range(10):
        world.bridge.send(changed(vni))
    assert world.bridge.credit == credit - 10
    await until(lambda: len(controller.heard) >= 11)
    assert controller.heard[-10:] == [changed(vni) for vni in range(10)]
    await until(lambda: world.bridge.credit == credit)
    assert credit == CREDIT


async def test_sending_on_a_closed_end_does_nothing(world: World) -> None:
    controller = await world.subscribed()
    for end in (world.bridge, controller.end):
        end.close()
    world.bridge.send(events.Alive())
    controller.end.send(events.Release())


async def test_messages_without_a_batch_cost_no_credit(world: World) -> None:
    await world.subscribed()
    world.bridge.send(events.Alive())
    assert world.bridge.credit == CREDIT


async def test_messages_of_the_controller_reach_the_bridge(world: World) -> None:
    controller = await world.subscribed()
    assert controller.end.send(events.Release())
    await until(lambda: events.Release() in world.received)


async def test_bridge_sends_nothing_before_a_subscription(world: World) -> None:
    assert not world.bridge.subscribed
    world.bridge.send(changed(1))
    controller = await world.subscribed()
    assert changed(1) not in controller.heard


async def test_lost_message_causes_a_new_subscription(world: World) -> None:
    controller = await world.subscribed()
    times = len(controller.subscriptions)
    world.bridge._sequence += 1  # one message is lost
    world.bridge.send(changed(1))
    await until(lambda: len(controller.subscriptions) == times + 1)
    assert changed(1) not in controller.heard
    assert controller.subscriptions[-1] is True
    world.bridge.send(changed(2))
    await until(lambda: changed(2) in controller.heard)


async def test_malformed_message_causes_a_new_subscription(world: World) -> None:
    """Invariant 6."""
    controller = await world.subscribed()
    times = len(controller.subscriptions)
    assert world.bridge._endpoint
    world.bridge._endpoint.send(world.bridge._subscriber, b"\xff\xff")
    await until(lambda: len(controller.subscriptions) > times)


async def test_bridge_drops_a_malformed_message(world: World) -> None:
    """Invariant 6."""
    controller = await world.subscribed()
    before = len(world.received)
    controller.end._endpoint.send(b"\xff\xff")
    controller.end.send(events.Release())
    await until(lambda: len(world.received) > before)
    assert world.received[before:] == [events.Release()]


async def test_restarted_bridge_is_recognized_as_another(world: World) -> None:
    controller = await world.subscribed()
    world.bridge.close()
    world.bridge = world.publisher()
    times = len(controller.subscriptions)
    await until(lambda: len(controller.subscriptions) > times, again=controller.end.tick)
    assert controller.subscriptions[times] is False


async def test_silent_bridge_is_lost_once_and_asked_again(world: World) -> None:
    controller = await world.subscribed()
    for _ in range(SILENT_TICKS):
        controller.end.tick()
    assert (controller.end.connected, controller.lost) == (True, 0)
    times = len(controller.subscriptions)
    controller.end.tick()
    assert (controller.end.connected, controller.lost) == (False, 1)
    await until(lambda: len(controller.subscriptions) > times)
    assert controller.end.connected


class SlowWorld(World):
    """A bridge that needs five seconds for each subscription; the controller's time goes on."""

    slow: Controller | None = None

    def _take(self, event: events.FromController) -> None:
        if self.slow and isinstance(event, events.Subscribe):
            for _ in range(int(5 / TICK_S)):
                self.slow.end.tick()
        super()._take(event)


async def test_slow_bridge_is_not_asked_faster_than_it_answers(tmp_path: Path) -> None:
    """It was asked five times for each answer, and so never came to an end."""
    world = SlowWorld(tmp_path)
    try:
        controller = world.slow = world.controller()
        await until(lambda: bool(controller.subscriptions), again=controller.end.tick)
        controller.end.send(LAST)  # comes after all requests
        await until(lambda: LAST in world.received or world.requests() > 20)
        assert world.requests() <= 20  # about five: which of them wait together differs
        await until(  # it was answered
            lambda: changed(1) in controller.heard, again=lambda: world.bridge.send(changed(1))
        )
        for _ in range(SILENT_TICKS):
            controller.end.tick()
        assert controller.end.connected
    finally:
        world.close()


async def test_only_the_newest_of_queued_requests_is_answered(world: World) -> None:
    controller = await world.subscribed()
    before, times = world.requests(), len(controller.subscriptions)
    assert world.bridge._endpoint
    fd = world.bridge._socket.getsockopt(zmq.FD)
    loop = asyncio.get_running_loop()
    loop.remove_reader(fd)  # the bridge is busy
    for _ in range(20):
        controller.end.subscribe()
    controller.end._endpoint.send(b"\xff\xff")
    loop.add_reader(fd, world.bridge._endpoint._look)
    controller.end.send(LAST)
    await until(lambda: LAST in world.received)
    await until(lambda: len(controller.subscriptions) > times)
    assert world.requests() - before < 20
    assert world.received[-1] == LAST


async def test_patience_grows_with_each_loss_and_shrinks_after_a_minute(world: World) -> None:
    controller = await world.subscribed()

    async def silence() -> int:
        """Return the ticks until the bridge counted as lost, and let it answer."""
        lost, ticks = controller.lost, 0
        while controller.lost == lost:
            controller.end.tick()
            ticks += 1
        times = len(controller.subscriptions)
        await until(lambda: len(controller.subscriptions) > times)
        return ticks - 1

    assert [await silence() for _ in range(6)] == [6, 12, 24, 48, SILENT_MOST_TICKS, 60]
    for _ in range(STEADY_TICKS):
        controller.end.tick()
        controller.end._silent = 0  # it sends its heartbeats
    assert await silence() == SILENT_TICKS


async def test_absent_bridge_is_never_reported_lost(tmp_path: Path) -> None:
    controller = Controller(f"ipc://{tmp_path}/nobody.sock")
    for _ in range(3 * SILENT_TICKS):
        controller.end.tick()
    assert not controller.end.send(events.Release())
    assert (controller.subscriptions, controller.lost) == ([], 0)
    controller.end.close()


async def test_only_the_last_subscriber_is_served(world: World) -> None:
    first = await world.subscribed()
    second = await world.subscribed()
    heard = len(first.heard)
    before = len(world.received)
    first.end.send(events.Release())
    world.bridge.send(changed(5))
    await until(lambda: changed(5) in second.heard)
    first.end.subscribe()  # it is received and answered after all of the above
    await until(lambda: len(first.heard) > heard)
    assert changed(5) not in first.heard
    assert events.Release() not in world.received[before:]


async def test_credit_for_another_epoch_is_ignored(world: World) -> None:
    controller = await world.subscribed()
    controller.end.send(events.Credit(world.bridge.epoch + 1, 100))
    controller.end.send(events.Release())
    await until(lambda: events.Release() in world.received)
    assert world.bridge.credit == CREDIT


async def test_closed_subscriber_is_forgotten(world: World) -> None:
    controller = await world.subscribed()
    controller.end.close()
    with contextlib.suppress(ValueError):
        world._open.remove(controller)
    await until(
        lambda: not world.bridge.subscribed, again=lambda: world.bridge.send(events.Alive())
    )
    assert world.bridge.credit == 0


async def test_malformed_messages_write_few_log_lines(world: World) -> None:
    controller = await world.subscribed()
    with Written() as written:
        for _ in range(500):
            controller.end._endpoint.send(b"\xff" * 64)
        await until(lambda: written.rows == 500)
        assert len(written.lines) <= 20


@pytest.mark.parametrize("removed", ["socket", "directory"])
async def test_removed_socket_is_bound_again(tmp_path: Path, removed: str) -> None:
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
            world.bridge.send(events.Alive())  # an open connection survives
            await until(lambda: first.heard[-1:] == [events.Alive()])
            await until(lambda: [file.name for file in directory.iterdir()] == ["bus.sock"])
        assert (await world.subscribed()).heard
    finally:
        world.close()
    assert list(directory.iterdir()) == []


async def test_socket_removed_often_costs_few_descriptors(tmp_path: Path) -> None:
    world = World(tmp_path)

    def renew() -> None:
        with contextlib.suppress(OSError):  # ZeroMQ is closing the earlier name
            world.bridge.renew()

    try:
        for _ in range(30):
            (tmp_path / "bus.sock").unlink(missing_ok=True)  # ZeroMQ may remove it first
            await until((tmp_path / "bus.sock").exists, again=renew)
        controller = world.controller()

        def subscribe() -> None:
            renew()
            controller.end.subscribe()

        await until(lambda: bool(controller.heard), again=subscribe)
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
async def test_stalled_connections_do_not_block_a_subscriber(
    world: World, tmp_path: Path, sent: bytes
) -> None:
    callers = [socket.socket(socket.AF_UNIX) for _ in range(200)]
    try:
        for caller in callers:
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):  # the listener's backlog is full
                caller.connect(f"{tmp_path}/bus.sock")
                caller.send(sent)
        controller = await world.subscribed()
        assert controller.heard
        world.bridge.send(changed(7))
        await until(lambda: controller.heard[-1] == changed(7))
    finally:
        for caller in callers:
            caller.close()


async def test_oversized_message_is_not_decoded(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(publisher, "MESSAGE_MAX", 1 << 20)
    received: list[events.FromController] = []
    small = publisher.Publisher(received.append)
    small.listen(f"ipc://{tmp_path}/small.sock")
    controller = Controller(f"ipc://{tmp_path}/small.sock")
    try:
        with Written() as written:
            controller.end._endpoint.send(b"\xff" * (2 << 20))
            await until(lambda: bool(received), again=controller.end.subscribe)
            assert not written.lines  # the long one was not decoded
    finally:
        controller.end.close()
        small.close()
