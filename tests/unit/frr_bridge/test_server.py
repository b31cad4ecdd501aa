"""The FPM server over loopback TCP: recorded bytes, hostile bytes, and who may connect."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from frr_bridge import server
from frr_bridge.server import Caller, FpmServer
from frr_bridge.wire.fpm import FpmFramer, Frames
from tests.fakes.descriptors import no_descriptors
from tests.fakes.logs import Written
from tests.fakes.waiting import until

STREAM = (
    Path(__file__).parents[2] / "vectors" / "fpm" / "frr-10.7.1-evpn-nhg-pe1.fpm"
).read_bytes()
FRAMES = len(FpmFramer().feed(STREAM))

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class World:
    def __init__(self) -> None:
        self.events: list[str] = []
        self.frames = 0
        self.during: Callable[[], None] = lambda: None
        self.next = Caller.UNKNOWN  # who connects
        self.server = FpmServer(
            on_connected=lambda: self.events.append("connected"),
            on_frames=self._frames,
            on_lost=lambda: self.events.append("lost"),
            who=lambda _: self.next,
        )
        self.server.listen("127.0.0.1", 0)
        self._clients: list[asyncio.StreamWriter] = []

    def _frames(self, frames: Frames) -> None:
        self.frames += len(frames)
        self.during()

    async def connect(self) -> Client:
        assert self.server._listener
        reader, writer = await asyncio.open_connection(*self.server._listener.getsockname())
        self._clients.append(writer)
        await until(lambda: self.server.connected)
        return reader, writer

    async def close(self) -> None:
        self.server.close()
        for client in self._clients:
            client.close()
        await asyncio.gather(*(c.wait_closed() for c in self._clients), return_exceptions=True)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.close()


async def test_a_recording_arrives_whole(world: World) -> None:
    _, writer = await world.connect()
    writer.write(STREAM)
    await until(lambda: world.frames == FRAMES)
    assert world.server.received == len(STREAM)
    writer.close()
    await until(lambda: not world.server.connected)
    assert world.events == ["connected", "lost"]


async def test_a_frame_in_pieces_is_one_frame(world: World) -> None:
    _, writer = await world.connect()
    for start in range(0, len(STREAM), 111):
        writer.write(STREAM[start : start + 111])
        await writer.drain()
    await until(lambda: world.frames == FRAMES)


async def test_an_impossible_header_drops_the_session_and_the_next_one_is_clean(
    world: World,
) -> None:
    """Invariant 6."""
    reader, writer = await world.connect()
    writer.write(STREAM[:10] + b"\xff" * 100)
    await until(lambda: not world.server.connected)
    assert await reader.read() == b""
    _, writer = await world.connect()
    writer.write(STREAM)
    await until(lambda: world.frames == FRAMES)
    assert world.events == ["connected", "lost", "connected"]


@pytest.mark.parametrize("seed", range(10))
async def test_random_bytes_end_a_session_at_the_most(world: World, seed: int) -> None:
    """Invariant 6."""
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    _, writer = await world.connect()
    writer.write(random.Random(seed).randbytes(70_000))
    writer.close()
    await until(lambda: not world.server.connected)
    assert failures == []
    assert world.events == ["connected", "lost"]


async def test_silent_session_yields_to_a_new_one(world: World) -> None:
    reader, _ = await world.connect()
    await world.connect()
    await until(lambda: len(world.events) == 3)
    assert world.events == ["connected", "lost", "connected"]
    assert await reader.read() == b""


async def test_refused_connections_are_few_log_lines(world: World) -> None:
    _, writer = await world.connect()
    writer.write(STREAM)
    await until(lambda: world.frames == FRAMES)
    with Written() as written:
        for _ in range(200):
            second, _ = await world.connect()
            assert await second.read() == b""
        assert (written.rows, len(written.lines) <= 20) == (200, True)


async def test_a_session_ended_from_here_leaves_room_for_the_next(world: World) -> None:
    reader, writer = await world.connect()
    writer.write(STREAM)
    await until(lambda: world.frames == FRAMES)
    world.server.lose()
    world.server.lose()
    assert await reader.read() == b""
    _, again = await world.connect()
    again.write(STREAM)
    await until(lambda: world.frames == 2 * FRAMES)
    assert world.events == ["connected", "lost", "connected"]


async def test_second_connection_does_not_cut_off_the_first(world: World) -> None:
    reader, writer = await world.connect()
    writer.write(STREAM)
    await until(lambda: world.frames == FRAMES)
    for _ in range(300):
        second, _ = await world.connect()
        assert await second.read() == b""
    assert world.events == ["connected"]
    world.server.send(b"answer")
    assert await reader.read(16) == b"answer"


async def test_session_that_ended_makes_room_before_its_end_is_read(world: World) -> None:
    _, writer = await world.connect()
    writer.write(STREAM)
    await until(lambda: world.frames == FRAMES)
    writer.transport.abort()
    await world.connect()
    await until(lambda: len(world.events) == 3)
    assert world.events == ["connected", "lost", "connected"]


async def test_session_after_another_has_received_nothing_yet(world: World) -> None:
    _, writer = await world.connect()
    writer.write(STREAM)
    await until(lambda: world.frames == FRAMES)
    writer.close()
    await until(lambda: not world.server.connected)
    await world.connect()
    assert world.server.received == 0
    await world.connect()  # the silent session yields
    await until(lambda: len(world.events) == 5)
    assert world.events[2:] == ["connected", "lost", "connected"]


async def test_half_a_frame_of_an_ended_session_is_dropped(world: World) -> None:
    _, writer = await world.connect()
    writer.write(STREAM[:10])
    writer.close()
    await until(lambda: world.events == ["connected", "lost"])
    _, writer = await world.connect()
    writer.write(STREAM)
    await until(lambda: world.frames == FRAMES)


async def test_listener_survives_that_descriptors_run_out(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "_PAUSE_S", 0.01)
    assert world.server._listener
    address = world.server._listener.getsockname()
    caller = socket.socket()
    caller.setblocking(False)
    with caller, no_descriptors():
        with suppress(BlockingIOError):
            caller.connect(address)
        await until(lambda: "cannot accept" in caplog.text)
        assert world.events == []
    await world.connect()
    assert world.events[:1] == ["connected"]


async def test_answers_reach_zebra_even_if_it_reads_late(world: World) -> None:
    reader, _ = await world.connect()
    answer = bytes(range(256)) * 4096
    for _ in range(16):
        world.server.send(answer)
    assert await asyncio.wait_for(reader.readexactly(len(answer) * 16), 5) == answer * 16


async def test_a_zebra_that_reads_no_answers_loses_its_session(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "_UNSENT", 1 << 20)
    _, writer = await world.connect()
    transport = writer.transport
    assert isinstance(transport, asyncio.ReadTransport)
    transport.pause_reading()
    for _ in range(64):
        world.server.send(bytes(1 << 20))
        await asyncio.sleep(0)
    assert world.events == ["connected", "lost"]
    assert len(caplog.messages) == 1
    assert not world.server._unsent
    reader, _ = await world.connect()
    world.server.send(b"news")
    assert await reader.readexactly(4) == b"news"


async def test_answers_without_a_session_go_nowhere(world: World) -> None:
    world.server.send(b"nobody hears this")
    reader, _ = await world.connect()
    world.server.send(b"but this")
    assert await reader.readexactly(8) == b"but this"


async def test_a_session_that_ends_while_it_is_answered_is_lost_once(world: World) -> None:
    _, writer = await world.connect()
    world.during = world.server.lose
    writer.write(STREAM)
    writer.close()
    await until(lambda: not world.server.connected)
    assert world.events == ["connected", "lost"]


def _ignore(*_: object) -> None: ...


async def test_port_in_use_is_an_error(world: World) -> None:
    assert world.server._listener
    port = world.server._listener.getsockname()[1]
    other = FpmServer(on_connected=_ignore, on_frames=_ignore, on_lost=_ignore)
    with pytest.raises(OSError, match="in use"):
        other.listen("127.0.0.1", port)


async def spoken(world: World, who: Caller) -> Client:
    """Connect as somebody, and send a whole stream."""
    world.next = who
    before = world.frames
    reader, writer = await world.connect()
    writer.write(STREAM)
    await until(lambda: world.frames == before + FRAMES)
    return reader, writer


async def test_other_caller_is_closed_even_without_a_session(world: World) -> None:
    assert world.server._listener
    world.next = Caller.OTHER
    reader, writer = await asyncio.open_connection(*world.server._listener.getsockname())
    assert await reader.read() == b""
    assert world.events == []
    writer.close()
    await spoken(world, Caller.ZEBRA)
    assert world.events == ["connected"]


async def test_zebra_replaces_an_unknown_caller(world: World) -> None:
    first, _ = await spoken(world, Caller.UNKNOWN)
    await spoken(world, Caller.ZEBRA)
    assert await first.read() == b""
    assert world.events == ["connected", "lost", "connected"]


@pytest.mark.parametrize("next_", [Caller.UNKNOWN, Caller.OTHER, Caller.ZEBRA])
async def test_connected_zebra_is_not_replaced(world: World, next_: Caller) -> None:
    await spoken(world, Caller.ZEBRA)
    world.next = next_
    second, _ = await world.connect()
    assert await second.read() == b""
    assert world.events == ["connected"]


async def test_unknown_caller_does_not_replace_a_silent_zebra(
    world: World,
) -> None:
    world.next = Caller.ZEBRA
    await world.connect()
    world.next = Caller.UNKNOWN  # as one that closes its end at once
    second, _ = await world.connect()
    assert await second.read() == b""
    assert world.events == ["connected"]


async def test_a_silent_zebra_makes_room_for_zebra(world: World) -> None:
    world.next = Caller.ZEBRA
    first, _ = await world.connect()
    await world.connect()
    assert await first.read() == b""
    assert world.events == ["connected", "lost", "connected"]


async def test_address_that_the_namespace_does_not_have_is_refused() -> None:
    world = World()
    world.server.close()
    with pytest.raises(OSError, match="Cannot assign requested address"):
        world.server.listen("192.0.2.77", 0)
    await world.close()
