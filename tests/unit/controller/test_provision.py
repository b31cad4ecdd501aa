"""How intent reaches FRR, as far as that needs no namespaces."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from controller import provision
from controller.intent.layout import Intent
from controller.model.events import Configure, Configured, Provisioned
from controller.model.view import ResourceStatus
from controller.provision import Provisioner, Spaces, underlay_mtu
from tests.fakes.core import Core
from tests.fakes.twins import NoTwins
from tests.fakes.waiting import until

STATUSES = (
    ResourceStatus("L3VNI", "red", ready=True),
    ResourceStatus("L3VNI", "bad", ready=False, reason="ValidationFailed", message="no vni"),
)


class World:
    def __init__(self, directory: Path, *, there: bool = True) -> None:
        self.told: list[Configure | Provisioned] = []
        self.renewed = 0
        self.control = directory / "frr"
        self.control.touch()
        self._there = there
        core = Core()
        self.provisioner = Provisioner(
            Spaces(str(directory / "fwd"), str(self.control), False, False),
            Intent(statuses=STATUSES),
            NoTwins(),
            core.state,
            core.reconciler,
            tell=self._tell,
            renewed=self._renewed,
        )

    def _tell(self, event: Configure | Provisioned) -> bool:
        self.told.append(event)
        return self._there

    def _renewed(self) -> None:
        self.renewed += 1

    def configure(self) -> asyncio.Task[str]:
        return asyncio.create_task(self.provisioner._frr_is_configured())

    async def asked(self) -> int:
        """Return the number of the request that is under way."""
        await until(lambda: bool(self.told))
        request = self.told[-1]
        assert isinstance(request, Configure)
        return request.request


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_frr_is_configured_once_for_each_bridge(world: World) -> None:
    work = world.configure()
    request = await world.asked()
    world.provisioner.answered(Configured(request - 1, False, False, "an old one"))
    world.provisioner.answered(Configured(request, True, True))
    world.provisioner.answered(Configured(request, True, True))
    assert await work == ""
    assert await world.configure() == ""
    world.provisioner.subscribed(same_bridge=True)
    assert await world.configure() == ""
    assert len(world.told) == 1
    world.provisioner.subscribed(same_bridge=False)
    again = world.configure()
    await until(lambda: len(world.told) == 2)
    world.provisioner.answered(Configured(await world.asked(), True, False))
    assert await again == ""


async def test_why_frr_is_not_configured_is_said(world: World, tmp_path: Path) -> None:
    work = world.configure()
    world.provisioner.answered(Configured(await world.asked(), False, False, "line 7: no"))
    assert await work == "FRR's configuration: line 7: no"
    alone = World(tmp_path, there=False)
    assert await alone.configure() == "frr-bridge is not there to configure FRR"


async def test_another_bridge_is_asked_anew(world: World) -> None:
    work = world.configure()
    await world.asked()
    world.provisioner.subscribed(same_bridge=False)
    assert "started again" in await work


async def test_a_bridge_that_does_not_answer_is_not_waited_for_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provision, "_CONFIGURE_S", 0.01)
    assert await world.configure() == "frr-bridge did not answer"


async def test_the_end_of_the_daemon_is_not_mistaken_for_an_answer(world: World) -> None:
    work = world.configure()
    await world.asked()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


def test_no_resource_is_ready_while_there_is_a_problem(world: World) -> None:
    ready, bad = world.provisioner.statuses()
    assert (ready.ready, ready.reason) == (False, "NotInForce")
    assert bad == STATUSES[1]
    world.provisioner.problem = ""
    assert tuple(world.provisioner.statuses()) == STATUSES


async def test_a_namespace_that_was_made_anew_is_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provision, "_NAMESPACE_S", 0.001)
    work = asyncio.create_task(world.provisioner._watch_namespace())
    other = world.control.with_name("other")
    other.touch()
    os.replace(other, world.control)
    await until(lambda: world.renewed == 1)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


def test_a_host_without_nics_has_no_underlay_mtu() -> None:
    assert underlay_mtu((), ("",)) == 0
