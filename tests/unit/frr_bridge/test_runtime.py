"""The bridge at work: real sockets around it, FRR's daemons played by fakes."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from dualpath.bus.subscriber import Subscriber
from dualpath.model import events
from dualpath.model.nexthops import BLACKHOLE
from dualpath.netlink.reply import IncompleteDump
from frr_bridge import convergence, frrwatch, replay, reporter
from frr_bridge.frr_apply import FrrApply, FrrPaths
from frr_bridge.recording.recorder import Recorder
from frr_bridge.runtime import Runtime, Settings
from frr_bridge.session import State
from frr_bridge.vty import Vty
from tests.fakes import shadow
from tests.fakes.vty import FakeDaemon
from tests.fakes.waiting import until
from tests.fakes.zebra import MemoryBus
from tests.unit.frr_bridge.wire import build

RTN_BLACKHOLE = 6  # a route that needs no nexthop, and so no device
NEIGHBORS = "show bgp vrf all neighbors json"
HOLD_S = 60.0


def route(third: int) -> bytes:
    return build.frames(build.route(bytes([20, 0, third, 0]), 24, kind=RTN_BLACKHOLE))


def withdrawal(third: int) -> bytes:
    return build.frames(build.withdrawal(bytes([20, 0, third, 0]), 24))


class World:
    """A bridge that runs, a subscriber, zebra's end of FPM, and bgpd's vty."""

    def __init__(self, directory: Path, hold_s: float, recorder: Recorder | None = None) -> None:
        self.bgpd = FakeDaemon(directory / "bgpd.vty")
        self.received = MemoryBus(1 << 30)
        address = f"ipc://{directory}/bus.sock"
        self.kept: list[tuple[bytes, str]] = []
        settings = Settings(
            *("127.0.0.1", 0, address, directory, hold_s),
            keep=lambda settings, text: self.kept.append((settings, text)),
            recorder=recorder,
        )
        self.runtime = Runtime(settings, FrrApply(FrrPaths.named("")))
        self.failures: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self._failed(context))
        self._work = asyncio.create_task(self.runtime.run())
        self.controller = Subscriber(
            address,
            on_event=self.received.send,
            on_subscribed=lambda _: None,
            on_lost=lambda: None,
        )
        self._zebras: list[asyncio.StreamWriter] = []

    def _failed(self, context: object) -> None:
        self.failures.append(context)

    @property
    def state(self) -> State:
        return self.runtime.bridge.session.state

    @property
    def prefixes(self) -> set[str]:
        return self.received.prefixes()

    async def until(self, condition: Callable[[], bool]) -> None:
        def holds() -> bool:
            assert not self.failures, self.failures
            assert not self._work.done()
            return condition()

        await until(holds)

    async def subscribe(self) -> None:
        await until(lambda: bool(self.received.events), again=self.controller.subscribe)

    async def zebra(self, *frames: bytes) -> asyncio.StreamWriter:
        """Connect, and say what there is to say."""
        server = self.runtime._fpm.server
        await self.until(lambda: server._listener is not None)
        assert server._listener
        _, writer = await asyncio.open_connection(*server._listener.getsockname())
        self._zebras.append(writer)
        writer.write(b"".join(frames))
        return writer

    async def live(self, *frames: bytes) -> asyncio.StreamWriter:
        """Connect, and wait until FRR is obeyed."""
        number = self.runtime.bridge.session.number
        writer = await self.zebra(*frames)
        session = self.runtime.bridge.session
        await self.until(lambda: session.number > number and self.state is State.LIVE)
        return writer

    def converged(self) -> None:
        self.bgpd.answers[NEIGHBORS] = "{}"
        self.bgpd.answers["show bgp l2vpn evpn vni json"] = "{}"

    async def close(self) -> None:
        self.controller.close()
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)
        for task in list(self.runtime._tasks):
            task.cancel()
        await asyncio.gather(*self.runtime._tasks, return_exceptions=True)
        for writer in self._zebras:
            writer.close()
        await asyncio.gather(*(w.wait_closed() for w in self._zebras), return_exceptions=True)
        await self.bgpd.die()


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(frrwatch, "TICK_S", 0.005)
    monkeypatch.setattr(reporter, "_PERIOD_S", 0.005)
    monkeypatch.setattr(replay, "_POLL_S", 0.001)
    monkeypatch.setattr(replay, "QUIET_S", 0.02)
    for name in ("SETTLE_S", "SILENCE_S"):
        monkeypatch.setattr(convergence, name, 0.02)
    made = World(tmp_path, HOLD_S)
    made.converged()
    await made.subscribe()
    yield made
    assert not made.failures
    await made.close()


async def test_zebra_s_routes_are_sent_and_then_synced(world: World) -> None:
    await world.live(route(1), route(2))
    await world.until(lambda: world.received.count(events.Synced) == 1)
    assert world.received.routes == {
        ("default", "20.0.1.0/24"): BLACKHOLE,
        ("default", "20.0.2.0/24"): BLACKHOLE,
    }


async def test_lost_zebra_withdraws_no_route(world: World) -> None:
    """Invariant 1."""
    writer = await world.live(route(1), route(2))
    writer.close()
    await world.until(lambda: world.state is State.IDLE)
    await world.until(lambda: world.runtime.bridge.reason == "zebra is not connected")
    await world.until(lambda: len(world.prefixes) == 2)
    await world.live(route(2))
    await world.until(lambda: world.prefixes == {"20.0.2.0/24"})


async def test_nothing_that_an_ending_zebra_withdraws_is_applied(world: World) -> None:
    """On SIGTERM zebra closes FPM, and then deletes its rows, which may be read first."""
    writer = await world.live(route(1), route(2))
    peer = writer.get_extra_info("socket")
    os.write(peer.fileno(), withdrawal(1))
    peer.shutdown(socket.SHUT_WR)
    assert not world.runtime.bridge._obeying()
    assert world.runtime.bridge.reason == "zebra is not connected"
    await world.until(lambda: world.state is State.IDLE)
    assert world.prefixes == {"20.0.1.0/24", "20.0.2.0/24"}
    await world.live(route(2))
    await world.until(lambda: world.prefixes == {"20.0.2.0/24"})


async def test_a_second_connection_is_a_session_of_its_own(world: World) -> None:
    writer = await world.live(route(1))
    writer.close()
    await world.until(lambda: world.state is State.IDLE)
    await world.live(route(2))
    await world.until(lambda: world.prefixes == {"20.0.2.0/24"})
    assert world.runtime.bridge.session.number == 2


async def test_garbage_ends_the_session_and_nothing_else(world: World) -> None:
    """Invariants 1 and 6."""
    writer = await world.live(route(1))
    writer.write(b"\xff" * 50)
    await world.until(lambda: world.state is State.IDLE)
    await world.until(lambda: world.prefixes == {"20.0.1.0/24"})


async def test_a_live_zebra_is_obeyed(world: World) -> None:
    world.bgpd.start()
    writer = await world.live(route(1))
    writer.write(withdrawal(1))
    await world.until(lambda: world.prefixes == set())


async def test_dying_bgpd_s_routes_are_held_until_it_is_back(world: World) -> None:
    """Invariant 1."""
    world.bgpd.start()
    writer = await world.live(route(1), route(2))
    await world.bgpd.die()
    writer.write(withdrawal(1) + withdrawal(2))
    await world.until(lambda: world.state is State.HELD)
    await world.until(lambda: world.runtime.bridge.stale == 2)
    assert "bgpd died" in world.runtime.bridge.reason
    await world.until(lambda: len(world.prefixes) == 2)
    writer.write(route(2))
    await world.until(lambda: world.runtime.bridge.stale == 1)
    world.bgpd.start()
    await world.until(lambda: world.state is State.LIVE)
    await world.until(lambda: world.prefixes == {"20.0.2.0/24"})


async def test_what_a_hung_bgpd_withdraws_is_held_until_its_sessions_are_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds its hold timers expired, and withdraws what its peers advertise still."""
    monkeypatch.setattr(frrwatch, "_PEERS_S", 0.0)
    up = {
        "bgpState": "Established",
        "bgpTimerUpMsec": 60_000,
        "bgpTimerHoldTimeMsecs": 30,
        "gracefulRestartInfo": {"endOfRibRecv": {"ipv4Unicast": True}},
    }
    world.bgpd.answer_json(NEIGHBORS, {"default": {"eth1": up}})
    world.bgpd.start()
    writer = await world.live(route(1), route(2))
    await world.until(lambda: world.runtime.frr.belief.known == {"eth1"})
    world.bgpd.answers[NEIGHBORS] = None
    await world.until(lambda: world.state is State.HELD)
    assert "does not answer" in world.runtime.bridge.reason
    world.bgpd.answer_json(NEIGHBORS, {"default": {"eth1": {"bgpState": "Active"}}})
    world.bgpd.cut()  # the question that it never answers times out
    writer.write(withdrawal(1) + withdrawal(2))
    await world.until(lambda: "BGP session with eth1" in world.runtime.bridge.reason)
    await world.until(lambda: world.runtime.bridge.stale == 2)
    assert len(world.prefixes) == 2
    writer.write(route(2))
    world.bgpd.answer_json(NEIGHBORS, {"default": {"eth1": up}})
    await world.until(lambda: world.state is State.LIVE)
    await world.until(lambda: world.prefixes == {"20.0.2.0/24"})


async def test_operator_may_end_the_hold_and_it_does_not_start_again(world: World) -> None:
    world.bgpd.start()
    writer = await world.live(route(1), route(2))
    await world.bgpd.die()
    writer.write(withdrawal(1))
    await world.until(lambda: world.runtime.bridge.stale == 1)
    world.controller.send(events.Release())
    await world.until(lambda: world.prefixes == {"20.0.2.0/24"})
    writer.write(withdrawal(2))
    await world.until(lambda: world.prefixes == set())
    assert world.state is State.LIVE


async def test_patience_with_a_dead_bgpd_ends(world: World) -> None:
    world.bgpd.start()
    writer = await world.live(route(1), route(2))
    await world.bgpd.die()
    writer.write(withdrawal(1))
    await world.until(lambda: world.runtime.bridge.stale == 1)
    world.runtime.frr.belief.deadline = 0.001  # long ago
    await world.until(lambda: world.prefixes == {"20.0.2.0/24"})
    writer.write(withdrawal(2))
    await world.until(lambda: world.prefixes == set())
    world.bgpd.start()  # and its next death counts again
    writer.write(route(3))
    await world.until(lambda: world.runtime._bgpd.alive() and len(world.prefixes) == 1)
    await world.bgpd.die()
    await world.until(lambda: world.state is State.HELD)


def ticks() -> bytes:
    """Return the present as a process's start in /proc: ticks since boot."""
    return b"%d" % int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


@pytest.mark.parametrize("was_live", [True, False], ids=["was live", "bridge just started"])
async def test_a_lone_new_zebra_is_not_believed(
    world: World, monkeypatch: pytest.MonkeyPatch, was_live: bool
) -> None:
    """Invariant 1: bgpd never repeats itself to a zebra that was restarted alone."""
    lives = {"zebra.vty": b"1", "bgpd.vty": b"1"}
    monkeypatch.setattr(Vty, "_started", lambda vty: (1, lives[vty.path.name]))
    zebra = FakeDaemon(world.bgpd.path.parent / "zebra.vty").start()
    world.bgpd.start()
    if was_live:
        writer = await world.live(route(1), route(2))
        writer.close()
        await zebra.die()
        await world.until(lambda: world.state is State.IDLE)
        zebra.start()
    lives["zebra.vty"] = ticks()
    up = {"bgpState": "Established", "bgpTimerUpMsec": 60_000}
    world.bgpd.answer_json(NEIGHBORS, {"default": {"eth1": up}})
    await world.zebra(route(2))
    await world.until(lambda: world.state is State.HELD)
    assert "restart FRR as a whole" in world.runtime.bridge.reason
    assert world.received.count(events.Synced) == was_live
    if was_live:
        assert len(world.prefixes) == 2
    up["bgpTimerUpMsec"] = 100  # it started over
    up["gracefulRestartInfo"] = {"endOfRibRecv": {"ipv4Unicast": True}}
    world.bgpd.answer_json(NEIGHBORS, {"default": {"eth1": up}})
    await world.until(lambda: world.state is State.LIVE)
    await world.until(lambda: world.prefixes == {"20.0.2.0/24"})
    await zebra.die()


async def test_peers_that_were_up_are_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convergence, "START_S", 0.0)
    monkeypatch.setattr(frrwatch, "_PEERS_S", 0.0)
    up = {"bgpState": "Established", "bgpTimerUpMsec": 60_000}
    world.bgpd.answer_json(NEIGHBORS, {"default": {"eth1": up}})
    world.bgpd.start()
    writer = await world.live(route(1))
    await world.until(lambda: world.runtime.frr.belief.known == {"eth1"})
    writer.close()
    await world.until(lambda: world.state is State.IDLE)
    world.bgpd.answer_json(NEIGHBORS, {"default": {"eth1": {"bgpState": "Active"}}})
    await world.zebra(route(1))
    await world.until(lambda: "BGP session with eth1" in world.runtime.bridge.reason)
    assert world.state is State.CONVERGING


async def test_frr_is_not_believed_before_its_namespace_was_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going live sweeps what was not repeated: without a whole dump that is all of layer 2."""
    watch = world.runtime._watch
    await world.until(lambda: watch.whole)
    readable = watch._dump_one

    async def refuse(what: str, wanted: bytes) -> None:
        raise IncompleteDump(errno.ENOMEM, f"{what}: the kernel refused the dump: ENOMEM")

    monkeypatch.setattr(watch, "_dump_one", refuse)
    watch._lost("a test")
    await world.zebra(route(1))
    await world.until(lambda: world.runtime.bridge.trouble != "")
    await world.until(lambda: world.state is State.CONVERGING)
    world.runtime.frr.belief.deadline = 0.001  # long ago
    await world.until(lambda: "a complete dump" in world.runtime.bridge.reason)
    assert world.state is State.CONVERGING
    assert world.received.count(events.Synced) == 0
    monkeypatch.setattr(watch, "_dump_one", readable)
    await world.until(lambda: world.state is State.LIVE)
    assert world.runtime.bridge.trouble == ""


async def test_frr_is_not_believed_before_its_devices_are_there(world: World) -> None:
    world.controller._provisions = True
    world.controller.subscribe()
    await world.until(lambda: world.runtime.frr._subscriber.provisioning)
    await world.zebra(route(1))
    await world.until(lambda: "devices" in world.runtime.bridge.reason)
    assert world.state is State.CONVERGING
    world.controller.send(events.Provisioned())
    await world.until(lambda: world.state is State.LIVE)


async def test_bgpd_is_waited_for_until_it_has_converged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Vty, "_started", lambda _: (1, ticks()))  # it is young
    world.bgpd.answer_json(NEIGHBORS, {"default": {"eth1": {"bgpState": "Active"}}})
    world.bgpd.start()
    await world.zebra(route(1))
    await world.until(lambda: "BGP session with eth1" in world.runtime.bridge.reason)
    assert world.state is State.CONVERGING
    world.converged()
    await world.until(lambda: world.state is State.LIVE)


async def test_frr_is_not_believed_before_bgpd_knows_the_vnis(world: World) -> None:
    await world.until(lambda: world.runtime._watch.whole)
    for message in shadow.LINKS:
        world.runtime.bridge.receive_netlink(message)
    world.bgpd.start()
    await world.zebra(route(1))
    await world.until(lambda: "bgpd to know VNI 100, 110" in world.runtime.bridge.reason)
    assert world.state is State.CONVERGING
    world.bgpd.answer_json("show bgp l2vpn evpn vni json", {"100": {}, "110": {}})
    await world.until(lambda: world.state is State.LIVE)


async def test_rows_that_the_controller_keeps_are_at_stake(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FRR may still repeat them: it must be silent for longer."""
    monkeypatch.setattr(convergence, "SILENCE_S", 1e9)
    world.controller._kept = lambda: 7
    world.controller.subscribe()
    await world.until(lambda: world.runtime.frr.at_stake)
    await world.zebra(route(1))
    await world.until(lambda: "finish its updates" in world.runtime.bridge.reason)
    assert world.state is State.CONVERGING


async def test_new_subscriber_gets_the_report_again(world: World) -> None:
    world.bgpd.answer_json(NEIGHBORS, {"default": {"eth1": {"bgpState": "Active"}}})
    world.bgpd.start()
    await world.zebra(route(1))
    await world.until(lambda: world.received.count(events.FrrReport) == 1)
    world.controller.subscribe()
    await world.until(lambda: world.received.count(events.FrrReport) == 2)


async def test_routes_without_a_nexthop_do_not_prolong_the_hold(
    world: World,
) -> None:
    world.bgpd.start()
    writer = await world.live(route(1))
    await world.bgpd.die()
    writer.write(withdrawal(1))
    await world.until(lambda: world.state is State.HELD)
    writer.write(build.frames(build.route(bytes([20, 0, 9, 0]), 24, build.by_id(99))))
    await world.until(lambda: world.runtime.bridge.rib.owed == 1)
    world.bgpd.start()
    await world.until(lambda: world.state is State.LIVE)


async def test_netlink_is_read_before_later_fpm_frames(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, bridge = world.runtime._watch, world.runtime.bridge
    await world.until(lambda: watch.whole)
    routes: list[int] = []

    def drain() -> bool:
        routes.append(len(bridge.rib))
        return True

    monkeypatch.setattr(watch, "drain", drain)
    await world.live(route(1))
    assert routes[:1] == [0]


async def test_new_subscriber_gets_everything(world: World) -> None:
    await world.live(route(1))
    await world.until(lambda: world.received.count(events.Synced) == 1)
    world.received.routes.clear()
    world.controller.subscribe()
    await world.until(lambda: world.prefixes == {"20.0.1.0/24"})
    await world.until(lambda: world.received.count(events.Synced) == 2)


async def test_the_namespace_is_dumped_at_the_start(world: World) -> None:
    await world.until(lambda: world.runtime._watch.dumps >= 1)
    await world.until(lambda: bool(world.runtime.bridge.overlay.devices.links))
    names = {link.name for link in world.runtime.bridge.overlay.devices.links.values()}
    assert "lo" in names


async def test_port_in_use_leaves_the_bus_to_its_owner(tmp_path: Path) -> None:
    """ZeroMQ would take the path from a bridge that is at work."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(
            "127.0.0.1", taken.getsockname()[1], f"ipc://{tmp_path}/bus.sock", tmp_path, HOLD_S
        )
        with pytest.raises(OSError, match="in use"):
            await Runtime(settings, FrrApply(FrrPaths.named(""))).run()
    assert not (tmp_path / "bus.sock").exists()


async def test_an_end_closes_all_that_was_open(tmp_path: Path) -> None:
    world = World(tmp_path, HOLD_S)
    await world.subscribe()
    await world.close()
    ended = world.runtime
    assert ended._watch._notifications is not None
    assert (ended._watch._notifications.fileno(), ended._mirror._requests.closed) == (-1, True)
    assert ended._bgpd._socket is None
    ended._send_alive()
    assert not world.failures
