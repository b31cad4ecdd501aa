"""Manifests that change while the controller runs: what is applied, kept and reported."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import pytest

from controller.intent.documents import ManifestError
from controller.intent.layout import Intent
from controller.manifests import source as manifests
from controller.manifests import store
from controller.manifests.files import Traces
from controller.manifests.source import Manifests
from controller.node.namespaces import NamespacePair
from controller.settings import parse
from dualpath.model.view import ResourceStatus
from tests.fakes.waiting import until
from tests.unit.controller.intent.build import Yaml, manifest, neighbor, session, underlay
from tests.unit.controller.intent.rulebook import rule

SPACES = NamespacePair("fwd", "frr", True, True)
RED = manifest("L3VNI", "red")
BLUE = manifest(
    "L3VNI", "blue", vrf="blue", vni=200, hostSession=session(localCIDR={"ipv4": "10.101.0.0/24"})
)
RAW = manifest("RawFRRConfig", "mine")


class World:
    """A directory of manifests, one file each."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.secrets = directory / "secrets"
        self.state = directory / "state"
        self.state.mkdir()
        arguments = ["--datapath=kernel", "--config", str(directory), "--secrets"]
        self.settings = parse(
            [
                *(*arguments, str(self.secrets), "--fpm", "127.0.0.1:2621"),
                *("--state-dir", str(self.state)),
            ]
        )
        self.manifests = Manifests(self.settings)

    def start(self, *resources: Yaml) -> Intent:
        self.write(*resources)
        self.manifests.read()
        return self.manifests.compile(SPACES)

    def restart(self) -> Intent:
        """Start another controller with the same state directory."""
        self.manifests = Manifests(self.settings)
        self.manifests.read()
        return self.manifests.compile(SPACES)

    def write(self, *resources: Yaml) -> None:
        for file in self.directory.glob("*.yaml"):
            file.unlink()
        for number, resource in enumerate(resources):
            (self.directory / f"{number}.yaml").write_text(json.dumps(resource))

    def edit(self, *resources: Yaml) -> Intent:
        self.write(*resources)
        return self.manifests._reload()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def status(intent: Intent, name: str) -> ResourceStatus:
    (found,) = (s for s in intent.statuses if s.name == name)
    return found


def vrfs(intent: Intent) -> list[str]:
    return [vrf.name for vrf in intent.vrfs]


def test_intent_has_the_namespaces_and_fpm_port_of_the_controller(world: World) -> None:
    intent = world.start(underlay())
    assert intent.frr.fpm_port == 2621
    assert (intent.namespaces.forwarding, intent.namespaces.control) == ("fwd", "frr")


def test_adding_and_removing_a_resource_changes_no_other(world: World) -> None:
    first = world.start(underlay(), RED)
    both = world.edit(underlay(), RED, BLUE)
    assert vrfs(both) == ["red", "blue"]
    assert set(first.devices) < set(both.devices)
    assert world.edit(underlay(), RED).devices == first.devices


def test_each_edit_of_a_resource_increases_its_generation(world: World) -> None:
    assert status(world.start(underlay(), RED), "red").generation == 1
    assert status(world.edit(underlay(), RED, BLUE), "red").generation == 1
    intent = world.edit(underlay(), manifest("L3VNI", "red", vxlanPort=4790))
    assert (status(intent, "red").generation, status(intent, "underlay").generation) == (2, 1)
    broken = world.edit(underlay(), manifest("L3VNI", "red", vni=0))
    assert status(broken, "red").generation == 3
    world.edit(underlay())
    assert status(world.edit(underlay(), RED), "red").generation == 1


@rule("Manifest.lastGood")
@pytest.mark.parametrize(
    ("spoilt", "complaint"),
    [
        (manifest("L3VNI", "red", vni=0), "must be greater"),
        (manifest("L3VNI", "red", vni=200), "VNI 200 is already used by L3VNI blue"),
    ],
)
def test_rejected_edit_keeps_the_earlier_version(
    world: World, spoilt: Yaml, complaint: str
) -> None:
    first = world.start(underlay(), BLUE, RED)
    second = world.edit(underlay(), BLUE, spoilt)
    assert set(second.devices) == set(first.devices)
    assert status(second, "blue").ready
    assert (status(second, "red").ready, status(second, "red").reason) == (
        False,
        "ValidationFailed",
    )
    assert complaint in status(second, "red").message
    assert status(second, "red").message.endswith("its earlier version stays")
    assert world.edit(underlay(), BLUE, RED).devices == first.devices


def test_two_resources_may_swap_unique_values(world: World) -> None:
    world.start(underlay(), RED, BLUE)
    swapped = world.edit(
        underlay(),
        {**RED, "spec": {**RED["spec"], "vni": 200}},
        {**BLUE, "spec": {**BLUE["spec"], "vni": 100}},
    )
    assert all(s.ready for s in swapped.statuses)
    assert {v.vrf: v.vni for v in swapped.vnis} == {"red": 200, "blue": 100}


def test_unparsable_file_changes_nothing_and_is_named(world: World) -> None:
    first = world.start(underlay(), RED)
    (world.directory / "z.yaml").write_text("a: [b\n")
    second = world.manifests._reload()
    assert second.devices == first.devices
    (bad,) = (s for s in second.statuses if not s.ready)
    assert bad.kind == "Manifests"
    assert "z.yaml:2:1: not valid YAML" in bad.message
    (world.directory / "z.yaml").unlink()
    assert all(s.ready for s in world.manifests._reload().statuses)


def test_removing_every_resource_is_refused_as_a_mistake(world: World) -> None:
    first = world.start(underlay(), RED)
    second = world.edit()
    assert second.devices == first.devices
    assert "no resource left" in second.statuses[-1].message
    node = {"apiVersion": "dualpath.io/v1alpha1", "kind": "Node", "metadata": {"name": "pe1"}}
    assert not world.edit(node).devices


def test_namespaces_cannot_change_at_run_time(world: World) -> None:
    first = world.start(underlay(), RED)
    node = {
        "apiVersion": "dualpath.io/v1alpha1",
        "kind": "Node",
        "metadata": {"name": "pe1"},
        "spec": {"namespaces": {"host": "elsewhere"}},
    }
    second = world.edit(node, underlay(), RED)
    assert second.devices == first.devices
    assert "restart the controller" in second.statuses[-1].message


# -- what FRR refuses ------------------------------------------------------------------------


async def test_snippet_refused_by_frr_is_left_out_until_edited(world: World) -> None:
    first = world.start(underlay(), RED, RAW)
    without = await world.manifests.refuse(first, ("RawFRRConfig", "mine"), "unknown command")
    assert without is not None
    assert without.frr.raw == ()
    assert vrfs(without) == ["red"]
    assert status(without, "mine").reason == "FrrConfigurationFailed"
    assert world.edit(underlay(), BLUE, RAW).frr.raw == ()
    edited = world.edit(underlay(), RED, manifest("RawFRRConfig", "mine", rawConfig="hostname x"))
    assert [snippet.text for snippet in edited.frr.raw] == ["hostname x"]
    assert status(edited, "mine").ready


async def test_edit_refused_by_frr_returns_to_the_accepted_version(world: World) -> None:
    first = world.start(underlay(), RAW)
    world.manifests.accepted(first)
    edited = world.edit(underlay(), manifest("RawFRRConfig", "mine", rawConfig="nonsense"))
    back = await world.manifests.refuse(edited, ("RawFRRConfig", "mine"), "unknown command")
    assert back is not None
    assert back.frr == first.frr
    assert status(back, "mine").message == "unknown command; its earlier version stays"
    gone = await world.manifests.refuse(back, ("RawFRRConfig", "mine"), "unknown command")
    assert gone is not None
    assert gone.frr.raw == ()


async def test_refusal_of_a_replaced_intent_is_ignored(world: World) -> None:
    first = world.start(underlay(), RAW)
    edited = world.edit(underlay(), manifest("RawFRRConfig", "mine", rawConfig="better"))
    assert await world.manifests.refuse(first, ("RawFRRConfig", "mine"), "no") is None
    world.manifests.accepted(first)
    gone = await world.manifests.refuse(edited, ("RawFRRConfig", "mine"), "no")
    assert gone is not None
    assert gone.frr.raw == ()


async def test_the_underlay_cannot_be_left_out(world: World) -> None:
    intent = world.start(underlay())
    assert await world.manifests.refuse(intent, ("Underlay", "underlay"), "no") is None


# -- watching --------------------------------------------------------------------------------


def test_restart_with_a_broken_resource_uses_its_earlier_version(world: World) -> None:
    before = world.start(underlay(), RED, BLUE)
    world.manifests.accepted(before)
    world.write(underlay(), manifest("L3VNI", "red", vrf="1red"))
    after = world.restart()
    assert vrfs(after) == ["red"]  # blue was deleted
    assert status(after, "red").message.endswith("its earlier version stays")
    world.manifests.accepted(after)
    assert vrfs(world.restart()) == ["red"]  # and again


def test_restart_with_an_unparsable_file_uses_the_stored_manifests(world: World) -> None:
    before = world.start(underlay(), RED)
    world.manifests.accepted(before)
    (world.directory / "0.yaml").write_text("kind: [\n")
    after = world.restart()
    assert (after.vrfs, after.vnis, after.frr) == (before.vrfs, before.vnis, before.frr)
    assert "before the start stays" in status(after, str(world.directory)).message


def test_manifests_that_frr_has_not_accepted_are_not_stored(world: World) -> None:
    world.start(underlay(), RED)
    (world.directory / "0.yaml").write_text("kind: [\n")
    with pytest.raises(ManifestError):
        world.restart()


def test_stored_manifests_include_passwords_and_are_readable_by_root_only(world: World) -> None:
    world.secrets.mkdir()
    (world.secrets / "fabric").write_text("secret\n")
    (world.secrets / "fabric").chmod(0o600)
    told = neighbor(passwordSecret="fabric")
    world.manifests.accepted(world.start(told))
    (world.secrets / "fabric").unlink()
    after = world.restart()
    assert after.frr.instances[0].neighbors[0].password == "secret"
    assert stat.S_IMODE((world.state / "last-good").stat().st_mode) == 0o600


def test_malformed_stored_file_is_ignored(world: World) -> None:
    (world.state / "last-good").write_text("kind: [\n")
    assert vrfs(world.start(underlay(), RED)) == ["red"]


@rule("Manifest.merge", "Static.layout")
def test_several_paths_are_one_watched_set_of_manifests(tmp_path: Path) -> None:
    below = tmp_path / "configs"
    below.mkdir()
    (tmp_path / "node-config.yaml").write_text("nodeIndex: {index: 7}\n")
    spec = json.dumps(underlay()["spec"])
    (below / "openpe_a.yaml").write_text(f"underlays: [{spec}]\n")
    arguments = ["--datapath=kernel", f"--state-dir={tmp_path}", "--config", str(tmp_path)]
    several = Manifests(parse([*arguments, "--config", str(below), "--config", str(below)]))
    several.read()
    intent = several.compile(SPACES)
    assert (intent.node.index, len(intent.ports), len(intent.statuses)) == (7, 2, 1)
    before = several._look()
    (below / "openpe_b.yaml").write_text("rawfrrconfigs: [{name: mine, rawConfig: x}]\n")
    assert several._look() != before
    assert len(several._reload().frr.raw) == 1
    (below / "openpe_b.yaml").write_text("a: [\n")
    broken = several._reload().statuses[-1]
    assert broken.name == f"{tmp_path}, {below}, {below}"
    assert "openpe_b.yaml:2:1: not valid YAML" in broken.message


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "POLL_S", 0.001)


@rule("Manifest.watched")
async def test_changed_files_are_read_once_they_are_stable(
    world: World, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.start(underlay())
    heard: list[Intent] = []
    looks = 0
    look = world.manifests._look

    def counted() -> tuple[tuple[Traces, Traces], bool]:
        nonlocal looks
        looks += 1
        return look()

    monkeypatch.setattr(world.manifests, "_look", counted)
    work = asyncio.create_task(world.manifests.watch(heard.append))
    await until(lambda: looks > 3)
    assert not heard
    world.write(underlay(), RED)
    await until(lambda: bool(heard))
    assert vrfs(heard[-1]) == ["red"]
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


@rule("Manifest.watched")
async def test_changed_password_file_is_noticed(world: World, quick: None) -> None:
    world.secrets.mkdir()
    secret = world.secrets / "fabric"
    secret.write_text("one")
    secret.chmod(0o600)
    world.start(neighbor(passwordSecret="fabric"))
    heard: list[Intent] = []
    work = asyncio.create_task(world.manifests.watch(heard.append))
    secret.write_text("another")
    await until(lambda: bool(heard))
    assert heard[-1].frr.instances[0].neighbors[0].password == "another"
    assert status(heard[-1], "underlay").generation == 2
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


def test_unconfirmed_change_is_rolled_back_until_the_files_change(world: World) -> None:
    world.manifests.confirming = True
    first = world.start(underlay(), RED)
    assert world.manifests.versions.changed  # nothing was confirmed yet
    assert not world.manifests.versions.good.items
    world.manifests.confirm()
    assert not world.manifests.versions.changed
    edited = world.edit(underlay(), RED, BLUE)
    world.manifests.accepted(edited)  # FRR accepted it, which is no confirmation
    assert world.manifests.versions.changed
    back = world.manifests.roll_back()
    assert back.devices == first.devices
    assert any("not confirmed in time" in s.message for s in back.statuses)
    again = world.manifests._reload()  # as when a secret or an MTU changes
    assert again.devices == first.devices
    assert vrfs(world.edit(underlay(), BLUE, RED)) == ["blue", "red"]


def test_start_rolls_back_to_the_confirmed_manifests(world: World) -> None:
    world.manifests.confirming = True
    first = world.start(underlay(), RED)
    world.manifests.confirm()
    world.write(underlay(), RED, BLUE)
    assert vrfs(world.restart()) == ["red", "blue"]
    assert world.manifests.versions.changed
    assert world.manifests.versions.good.items
    assert world.manifests.roll_back().devices == first.devices


def test_confirming_promotes_the_pending_manifests(world: World) -> None:
    world.start(underlay(), RED)
    world.manifests.save_pending()
    store.promote(world.state)
    store.promote(world.state)  # a second call does nothing
    world.restart()
    assert not world.manifests.versions.changed


def test_a_rejected_resource_of_another_node_is_not_this_node_s_failure(world: World) -> None:
    elsewhere = {"matchLabels": {"rack": "z"}}
    broken = manifest("L3VNI", "blue", vrf="blue", vni=0, nodeSelector=elsewhere)
    unknown = manifest("L3VNI", "green", vrf="green", vni=0, nodeSelector={"rack": "z"})
    intent = world.start(underlay(), RED, broken, unknown)
    assert {s.name: s.ready for s in intent.statuses} == {
        "underlay": True,
        "red": True,
        "green": False,
    }
    moved = manifest("L3VNI", "red", vni=0, nodeSelector=elsewhere)
    assert not status(world.edit(underlay(), moved), "red").ready  # its earlier version is here
