"""How intent reaches FRR, without real namespaces."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from controller.intent.layout import Intent
from controller.intent.schema import Owner
from controller.intent.verdicts import Outcome
from controller.node import provision
from controller.node.mtu import underlay_mtu
from controller.node.namespaces import NamespacePair
from controller.node.provision import Provisioner
from dualpath.model.events import Configure, Configured, Provisioned
from dualpath.model.frr import FrrSettings
from dualpath.model.links import Port
from dualpath.model.view import ResourceStatus
from tests.fakes.core import Core
from tests.fakes.twins import NoTwins
from tests.fakes.waiting import PATIENCE_S, until
from tests.unit.controller.intent.rulebook import rule

STATUSES = (
    ResourceStatus("L3VNI", "red", ready=True),
    ResourceStatus("L3VNI", "bad", ready=False, reason="ValidationFailed", message="no vni"),
)


@dataclass
class FakeJudge:
    instead: Intent | None = None
    refused: list[tuple[Owner, str]] = field(default_factory=list)
    applications: int = 0

    async def refuse(self, intent: Intent, owner: Owner, why: str) -> Intent | None:
        self.refused.append((owner, why))
        return self.instead

    def accepted(self, intent: Intent) -> None:
        self.applications += 1


class World:
    def __init__(self, directory: Path) -> None:
        self.told: list[Configure | Provisioned] = []
        self.judge = FakeJudge()
        self.outcome = Outcome()
        self.control = directory / "frr"
        self.control.touch()
        core = Core()
        self.provisioner = Provisioner(
            NamespacePair(str(directory / "fwd"), str(self.control), False, False),
            Intent(statuses=STATUSES),
            NoTwins(),
            core.planes,
            send=self._tell,
            judge=self.judge,
        )
        self.provisioner.subscribed(same_bridge=True)

    def _tell(self, event: Configure | Provisioned) -> bool:
        self.told.append(event)
        return True

    def configure(self) -> asyncio.Task[bool]:
        work = self.provisioner._steps.configure_frr(self.provisioner.intent, self.outcome)
        return asyncio.create_task(work)

    async def asked(self) -> int:
        """Return the number of the request that is under way."""
        await until(lambda: bool(self.told))
        request = self.told[-1]
        assert isinstance(request, Configure)
        return request.request


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_refusal_names_its_resource_and_another_intent_follows(world: World) -> None:
    world.judge.instead = Intent(frr=FrrSettings(hostname="other"))
    work = world.configure()
    section = "RawFRRConfig red"
    world.provisioner.answered(Configured(await world.asked(), False, False, "line 7: no", section))
    assert await work is False
    assert world.outcome.problem == "FRR's configuration: line 7: no"
    assert world.outcome.frr == {("RawFRRConfig", "red"): "line 7: no"}
    assert world.judge.refused == [(("RawFRRConfig", "red"), "line 7: no")]
    assert world.provisioner.intent is world.judge.instead


async def test_warning_of_frr_becomes_a_remark(world: World) -> None:
    work = world.configure()
    section = "RawFRRConfig red"
    world.provisioner.answered(Configured(await world.asked(), True, True, "odd", section))
    assert await work is True
    assert world.outcome.remarks == {("RawFRRConfig", "red"): "odd"}
    assert world.judge.applications == 1


def test_no_resource_is_ready_before_intent_is_in_force(world: World) -> None:
    ready, bad = world.provisioner.statuses()
    assert (ready.ready, ready.reason) == (False, "NotInForce")
    assert (bad.ready, bad.reason) == (False, "ValidationFailed")


@rule("Status.generation")
def test_generation_is_in_force_once_every_part_of_the_resource_is(world: World) -> None:
    numbered = Intent(statuses=(ResourceStatus("L3VNI", "red", ready=True, generation=2),))
    world.provisioner.replace(numbered)
    world.provisioner._conclude(numbered, Outcome("a"), Outcome("no FRR"))
    assert world.provisioner.statuses()[0].applied_generation == 0
    world.provisioner._conclude(numbered, Outcome("a"), Outcome())
    assert world.provisioner.statuses()[0].applied_generation == 2


def test_statuses_are_made_once_until_something_changes(world: World) -> None:
    """The health service asks each second, and there may be thousands."""
    provisioner = world.provisioner
    first = provisioner.statuses()
    assert provisioner.statuses() is first
    provisioner.switching = lambda: "switching to dpdk: begins"
    switching = provisioner.statuses()
    assert switching is not first
    provisioner.replace(Intent())
    assert provisioner.statuses() is not switching
    before = provisioner.statuses()
    provisioner._conclude(Intent(), Outcome(), Outcome("it failed"))
    assert provisioner.statuses() is not before


async def test_replaced_control_namespace_gets_the_configuration_again(world: World) -> None:
    work = world.configure()
    world.provisioner.answered(Configured(await world.asked(), True, True))
    assert await work is True
    world.provisioner.namespace_renewed(of_frr=True)
    assert not world.provisioner._frr.configured(world.provisioner.intent.frr)
    assert world.provisioner._wake.is_set()


async def test_edits_do_not_postpone_the_look_at_all_devices(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    monkeypatch.setattr(provision, "_ROUND_S", 0.05)
    monkeypatch.setattr(world.provisioner._devices, "look_at_all", lambda: looks.append(0))
    monkeypatch.setattr(world.provisioner._devices, "watch_where_they_are", _nothing)
    monkeypatch.setattr(world.provisioner._steps, "run", _nothing)
    rounds = asyncio.create_task(world.provisioner._rounds())

    def edited_and_looked() -> bool:
        world.provisioner.replace(Intent())  # at every turn: no pause ever ends by itself
        return len(looks) > 5

    try:
        await until(edited_and_looked)
    finally:
        rounds.cancel()


async def test_a_failure_is_retried_less_often_where_a_look_at_all_takes_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 1,000 VNIs a round after each 2 s took more than half a core."""
    rounds: list[float] = []

    async def fail(_: object, outcome: Outcome) -> None:
        rounds.append(asyncio.get_running_loop().time())
        world.provisioner._devices._looks_s = {"ensure_base": 0.02}
        outcome.problem = "it failed"

    monkeypatch.setattr(provision, "_RETRY_S", 0.001)
    monkeypatch.setattr(world.provisioner._devices, "watch_where_they_are", _nothing)
    monkeypatch.setattr(world.provisioner._steps, "run", fail)
    running = asyncio.create_task(world.provisioner._rounds())
    await until(lambda: len(rounds) == 3)
    running.cancel()
    assert min(later - earlier for earlier, later in pairwise(rounds)) >= 0.1


async def _nothing(*_: object) -> None: ...


def test_host_without_nics_has_no_underlay_mtu() -> None:
    assert underlay_mtu((), ("",)) == 0


def test_absent_namespace_has_no_nics(tmp_path: Path) -> None:
    (tmp_path / "dead").touch()
    where = (str(tmp_path / "none"), str(tmp_path / "dead"))
    assert underlay_mtu((Port("eth1"),), where) == 0


class SlowTwins(NoTwins):
    """Loses a carrier only once the test allows it; gains it at once."""

    def __init__(self) -> None:
        super().__init__()
        self.losing, self.may_lose = threading.Event(), threading.Event()

    def set_carrier(self, name: str, up: bool) -> None:
        if not up:
            self.losing.set()
            assert self.may_lose.wait(PATIENCE_S)
        super().set_carrier(name, up)


async def test_last_carrier_state_of_a_flapping_port_wins(world: World) -> None:
    world.provisioner._devices._twins = twins = SlowTwins()
    for up in (False, True):
        world.provisioner.port_changed("eth1", up)
    await until(twins.losing.is_set)
    await asyncio.to_thread(int)  # time for the second change to overtake in another thread
    twins.may_lose.set()
    await until(lambda: len(twins.carriers) == 2)
    assert twins.carriers == [("eth1", False), ("eth1", True)]


async def test_unanswered_request_is_repeated_to_the_same_bridge(world: World) -> None:
    work = world.configure()
    request = await world.asked()
    world.provisioner.subscribed(same_bridge=True)
    first, again = world.told
    assert again == first
    world.provisioner.answered(Configured(request, True, False))
    assert await work is True
    world.provisioner.subscribed(same_bridge=True)
    assert len(world.told) == 2


async def test_an_audit_says_that_it_could_not_look_at_frr_s_devices(tmp_path: Path) -> None:
    """An audit without a namespace to look at found nothing, and must not pass for a clean one."""
    world = World(tmp_path)
    audited = await world.provisioner.audit()
    assert audited.differed == 0
    assert audited.unchecked.startswith("FRR's devices (")
