"""Both ends of the bus refuse messages of another release, which they could misread."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dualpath.bus import wire
from dualpath.bus.subscriber import SILENT_TICKS
from dualpath.model import events
from dualpath.pb import bus_pb2, state_pb2
from tests.fakes.waiting import until
from tests.unit.dualpath.bus.test_bus import World

OLDER, NEWER = wire.VERSION - 1, wire.VERSION + 1  # 0: a release without the field


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def subscribe(version: int) -> bytes:
    message = bus_pb2.ControllerMessage()
    message.subscribe.credit, message.subscribe.version = 16, version
    return message.SerializeToString()


def alive(version: int, sequence: int = 1) -> bytes:
    message = bus_pb2.BridgeMessage(version=version, epoch=7, sequence=sequence)
    message.alive.SetInParent()
    return message.SerializeToString()


@pytest.mark.parametrize("version", [OLDER, NEWER])
def test_messages_of_another_version_are_refused(version: int) -> None:
    with pytest.raises(wire.VersionError, match=f"frr-bridge has bus version {version}, not"):
        wire.decode_from_bridge(alive(version))
    with pytest.raises(wire.VersionError, match=f"the controller has bus version {version}, not"):
        wire.decode_from_controller(subscribe(version))


def test_every_message_of_the_bridge_carries_the_version() -> None:
    data = wire.encode_from_bridge(events.Synced(), epoch=1, sequence=2)
    assert bus_pb2.BridgeMessage.FromString(data).version == wire.VERSION


@pytest.mark.parametrize("version", [OLDER, NEWER])
async def test_bridge_does_not_answer_a_controller_of_another_version(
    world: World, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        world.bridge._receive([b"other", subscribe(version)])
    assert not world.bridge.subscribed
    assert world.received == []
    (line,) = caplog.messages
    assert re.search(rf"bus version {version}, not {wire.VERSION}; not answering", line)


async def test_bridge_keeps_its_subscriber_when_another_version_asks(world: World) -> None:
    controller = await world.subscribed()
    world.bridge._receive([b"other", subscribe(NEWER)])
    world.bridge.send(events.Alive())
    await until(lambda: events.Alive() in controller.heard)


@pytest.mark.parametrize("version", [OLDER, NEWER])
async def test_bridge_of_another_version_counts_as_silent(
    world: World, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    """So the supervisor replaces it with the bridge of this release."""
    controller = world.controller()
    for sequence in (1, 2, 1):
        controller.end._receive([alive(version, sequence)])
    assert not controller.end.connected
    assert (controller.heard, controller.subscriptions) == ([], [])
    (line,) = caplog.messages
    assert f"frr-bridge has bus version {version}, not {wire.VERSION}" in line


async def test_connected_bridge_that_is_replaced_by_another_version_is_lost(world: World) -> None:
    controller = await world.subscribed()
    for _ in range(SILENT_TICKS + 1):
        controller.end._receive([alive(OLDER)])
        controller.end.tick()
    assert (controller.end.connected, controller.lost) == (False, 1)


async def test_bridge_of_this_version_is_used_after_another_one(world: World) -> None:
    controller = world.controller()
    controller.end._receive([alive(OLDER)])
    await until(lambda: controller.end.connected, again=controller.end.subscribe)
    await until(lambda: bool(controller.heard))


# SHA-256 of the messages in bus.proto and state.proto, by their bus version. Comments do not count.
DIGESTS = {1: "cf31e4b81ae95327bdb836da8a560624183b5bc419f6422b631cfb3f5bfd3666"}


def digest_of_messages() -> str:
    """Return a digest of every message, field, number and type that crosses the bus."""
    digest = hashlib.sha256()
    for module in (bus_pb2, state_pb2):
        digest.update(module.DESCRIPTOR.serialized_pb)
    return digest.hexdigest()


def test_changed_messages_have_a_new_version() -> None:
    assert DIGESTS.get(wire.VERSION) == digest_of_messages(), (
        "bus.proto or state.proto has changed, and two releases must not misread one another. "
        "If a release has the present VERSION of dualpath/bus/wire.py, raise it by 1. Then write "
        f"here: DIGESTS[VERSION] = {digest_of_messages()!r}"
    )
