"""The running bridge is asked to configure FRR."""

from __future__ import annotations

import pytest

from dualpath.model import events
from dualpath.model.frr import FrrSettings, to_json
from frr_bridge.frr_apply import Applied, FrrApply
from frr_bridge.frr_version import Version
from frr_bridge.vty import Vty
from tests.fakes.vty import FakeDaemon
from tests.unit.frr_bridge import test_runtime
from tests.unit.frr_bridge.test_runtime import World

world = test_runtime.world


async def test_settings_that_make_no_sense_are_answered(world: World) -> None:
    world.controller.send(events.Configure(7, b"{"))
    await world.until(lambda: world.received.count(events.Configured) == 1)
    (answer,) = (e for e in world.received.events if isinstance(e, events.Configured))
    assert (answer.request, answer.ok) == (7, False)
    assert answer.message


@pytest.mark.parametrize("ok", [True, False])
async def test_what_frr_accepted_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch, *, ok: bool
) -> None:
    given: list[str] = []

    async def apply(_: FrrApply, text: str, __: object) -> Applied:
        given.append(text)
        return Applied(ok, True)

    monkeypatch.setattr(FrrApply, "apply", apply)
    settings = to_json(FrrSettings(hostname="pe1"))
    world.controller.send(events.Configure(7, settings))
    await world.until(lambda: world.received.count(events.Configured) == 1)
    assert world.kept == [(settings, text) for text in given if ok]


async def test_zebra_that_could_never_complete_a_route_is_not_configured(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    zebra = FakeDaemon(world.bgpd.path.parent / "zebra.vty").start()
    monkeypatch.setattr(Vty, "arguments", lambda _: (b"--asic-offload=notify_on_offload",))
    monkeypatch.setattr(FrrApply, "version", _frr_10_3)
    await world.until(world.runtime._zebra.alive)
    world.controller.send(events.Configure(7, to_json(FrrSettings(hostname="pe1"))))
    await world.until(lambda: world.received.count(events.Configured) == 1)
    (answer,) = (e for e in world.received.events if isinstance(e, events.Configured))
    assert (answer.ok, answer.changed) == (False, False)
    assert "notify_on_offload" in answer.message
    await zebra.die()


async def _frr_10_3(_: FrrApply) -> Version:
    return Version(10, 3)
