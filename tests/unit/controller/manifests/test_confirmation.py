"""The controller's side of a change on trial: only a confirmation keeps it, whatever fails."""

from __future__ import annotations

import asyncio
import re
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from controller.intent.layout import Intent
from controller.manifests import confirmation, store, trial, watchdog
from controller.manifests.confirmation import Before, Confirmation
from controller.manifests.source import Manifests
from dualpath.process.lock import alone, is_held
from tests.fakes.waiting import until
from tests.unit.controller.intent.build import underlay
from tests.unit.controller.manifests.test_source import BLUE, RED, World


class Quiet(Confirmation):
    """Keeps no TCP sessions: the fake namespace has none."""

    def keep_sessions(self) -> None:
        pass


class Site:
    """Manifests with RED, confirmed; each edit of them is put on trial."""

    def __init__(self, directory: Path) -> None:
        self.world = World(directory)
        self.world.settings = replace(self.world.settings, confirm_s=1000)
        self.world.manifests = Manifests(self.world.settings)
        self.state = self.world.state
        self.world.start(underlay(), RED)
        self.world.manifests.confirm()
        self.replaced: list[Intent] = []
        self.nics: set[str] = set()
        before = Before(first=False, nics=())
        self.confirmation: Confirmation = Quiet(
            self.world.settings, self.world.manifests, "fwd", before
        )
        self.confirmation.begin()

    def edit(self, *extra: object) -> trial.Trial:
        self.world.edit(underlay(), RED, *extra)  # type: ignore[arg-type]  # manifests
        self.confirmation.changed(())
        return self.written()

    def written(self) -> trial.Trial:
        found = trial.read(self.state)
        assert found is not None
        return found

    def expire(self) -> None:
        trial.begin(self.state, replace(self.written(), deadline=0.0))

    def good(self) -> list[str]:
        return [
            r.name for r in store.restore(self.state, self.world.manifests.files.overrides).items
        ]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(confirmation, "LOOK_S", 0.0)
    monkeypatch.setattr(watchdog, "runs", lambda _state_dir: True)
    return Site(tmp_path)


async def follow(site: Site) -> asyncio.Task[None]:
    return asyncio.create_task(site.confirmation.run(site.replaced.append, lambda: site.nics))


async def stop(work: asyncio.Task[None]) -> None:
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


@pytest.mark.parametrize("what", ["the file", "the directory", "its content"])
async def test_lost_trial_file_confirms_nothing(site: Site, what: str) -> None:
    before = site.edit(BLUE)
    work = await follow(site)
    match what:
        case "the file":
            (site.state / trial.NAME).unlink()
        case "the directory":
            shutil.rmtree(site.state)
            await asyncio.sleep(0)
            site.state.mkdir()
        case _:
            (site.state / trial.NAME).write_text("{")
    await until(lambda: trial.read(site.state) is not None)
    assert site.written() == before
    assert site.world.manifests.versions.changed
    site.expire()
    await until(lambda: bool(site.replaced))
    assert not site.world.manifests.versions.changed
    await stop(work)


async def test_trial_without_a_state_directory_is_rolled_back_on_time(site: Site) -> None:
    site.edit(BLUE)
    site.expire()
    site.confirmation._on_trial = site.written()
    shutil.rmtree(site.state)
    work = await follow(site)
    await until(lambda: bool(site.replaced))
    await stop(work)


async def test_edit_during_a_rollback_is_on_trial(site: Site) -> None:
    site.edit(BLUE)
    site.nics = {"eth9"}  # being given back
    work = await follow(site)
    site.expire()
    await until(lambda: bool(site.replaced))
    again = site.edit({**BLUE, "metadata": {"name": "green"}})
    assert not again.claimed
    site.nics = set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert site.written() == again
    await stop(work)


def test_edit_after_a_confirmation_is_not_confirmed(site: Site) -> None:
    site.edit(BLUE)
    trial.confirm(site.state, trial.now())
    site.edit()  # the controller has not noticed yet
    assert site.good() == ["underlay", "red", "blue"]
    assert site.world.manifests.versions.changed
    assert not site.written().confirmed


def test_changed_mtu_does_not_extend_the_deadline(site: Site) -> None:
    before = site.edit(BLUE)
    site.confirmation.changed(())  # as for the MTU of a NIC
    assert site.written() == before


async def test_confirmed_change_is_kept(site: Site) -> None:
    site.edit(BLUE)
    work = await follow(site)
    trial.confirm(site.state, trial.now())
    await until(lambda: trial.read(site.state) is None)
    assert site.good() == ["underlay", "red", "blue"]
    assert not site.world.manifests.versions.changed
    assert not site.replaced
    await stop(work)


async def test_change_on_trial_is_pending_until_confirmed(site: Site) -> None:
    assert site.confirmation.pending() == ""
    site.edit(BLUE)
    command = f"dualpath confirm --state-dir {site.state}"
    sentence = rf"run `{command}` within (999|1000) s, or the former manifests are put back"
    assert re.fullmatch(sentence, site.confirmation.pending())
    work = await follow(site)
    trial.confirm(site.state, trial.now())
    await until(lambda: site.confirmation.pending() == "")
    await stop(work)


def test_confirmation_ends_the_watchdog(site: Site) -> None:
    site.edit(BLUE)
    trial.confirm(site.state, trial.now())
    with alone(site.state / watchdog.LOCK):
        watchdog.watch(site.state)
    assert site.written().confirmed


async def test_edit_without_a_state_directory_is_on_trial(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "runs", lambda state_dir: is_held(state_dir / watchdog.LOCK))
    work = await follow(site)
    await asyncio.sleep(0)
    shutil.rmtree(site.state)
    site.state.write_text("a file in its place")
    site.world.edit(underlay(), RED, BLUE)
    site.confirmation.changed(())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not work.done()
    assert site.confirmation._on_trial is not None
    site.confirmation._on_trial = replace(site.confirmation._on_trial, deadline=0.0)
    await until(lambda: bool(site.replaced))
    assert not site.world.manifests.versions.changed
    await stop(work)


@pytest.mark.parametrize("first", [True, False])
async def test_edit_during_a_first_trial_is_confirmed_with_it(site: Site, first: bool) -> None:
    """A first start; or a change of an earlier controller, while this one has no trial option."""
    one = replace(site.edit(BLUE), first=first)
    settings = replace(site.world.settings, confirm_s=1000 if first else 0)
    before = Before(first=first, nics=())
    site.confirmation = Quiet(settings, site.world.manifests, "fwd", before)
    trial.begin(site.state, one)
    site.confirmation.begin()
    site.edit()
    work = await follow(site)
    trial.confirm(site.state, trial.now())
    await until(lambda: trial.read(site.state) is None)
    assert site.good() == ["underlay", "red"]
    assert not site.world.manifests.versions.changed
    await stop(work)


async def test_deleted_namespace_ends_neither_trial_nor_controller(site: Site) -> None:
    before = Before(first=False, nics=())
    gone = "dp-none"
    site.confirmation = Confirmation(site.world.settings, site.world.manifests, gone, before)
    site.edit(BLUE)
    work = await follow(site)
    trial.confirm(site.state, trial.now())
    await until(lambda: trial.read(site.state) is None or work.done())
    await asyncio.sleep(0)
    assert not work.done()
    assert site.good() == ["underlay", "red", "blue"]
    await stop(work)
