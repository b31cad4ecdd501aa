"""The datapath that the manifests name is switched to; a failure is told, and tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import cast

import pytest

from controller.core import switchfollower
from controller.core.switch import Switcher
from controller.core.switchcontracts import SwitchState
from controller.core.switchfollower import FIRST_S, Follower
from datapaths.base import Unavailable
from dualpath.model.switch import Order, SwitchRefused, Tell
from tests.fakes.waiting import until
from tests.unit.controller.core.test_switch import Bed, started


class Manifests:
    """What the manifests name, and the follower of it."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.named = ""
        self.follower = Follower(bed.switcher, lambda: self.named, lambda: bed.time, self._rest)

    async def _rest(self, _: float) -> None:
        await asyncio.sleep(0)

    async def until(self, named: str, problem: str) -> None:
        self.named = named
        await until(lambda: problem in self.follower.problem if problem else self.is_there)

    @property
    def is_there(self) -> bool:
        return not self.follower.problem


@pytest.fixture
async def manifests(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Manifests]:
    monkeypatch.setattr(switchfollower, "LOOK_S", 0.001)
    async with started() as bed:
        made = Manifests(bed)
        work = asyncio.create_task(made.follower.run())
        yield made
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


async def test_named_datapath_is_switched_to_and_back(manifests: Manifests) -> None:
    bed = manifests.bed
    assert manifests.is_there
    manifests.named = "dpdk"
    assert manifests.follower.problem == "switching to dpdk: begins"
    await manifests.until("dpdk", "")
    assert bed.is_whole(dpdk=True)
    await manifests.until("memory", "")
    assert bed.is_whole(dpdk=False)
    assert bed.core.planes.second is None


async def test_without_a_name_the_operator_decides(manifests: Manifests) -> None:
    await manifests.follower.switch(Order("dpdk"), manifests.bed.tell)
    for _ in range(20):
        await asyncio.sleep(0)
    assert manifests.bed.is_whole(dpdk=True)
    assert manifests.is_there


async def test_order_that_contradicts_the_manifests_is_refused(manifests: Manifests) -> None:
    await manifests.until("dpdk", "")
    tell = manifests.bed.tell
    with pytest.raises(SwitchRefused, match="the manifests name the datapath dpdk: change"):
        await manifests.follower.switch(Order("memory"), tell)
    await manifests.follower.switch(Order("memory", dry_run=True), tell)
    await manifests.follower.switch(Order("dpdk"), tell)
    assert manifests.bed.is_whole(dpdk=True)


async def test_failed_switch_is_rolled_back_told_and_tried_again_later(
    manifests: Manifests, caplog: pytest.LogCaptureFixture
) -> None:
    bed = manifests.bed

    def fail(step: str) -> None:
        if step == "start":
            raise Unavailable("no hugepages")

    bed.at = fail
    await manifests.until("dpdk", "rolled back: no hugepages; retrying in 30 s")
    assert bed.is_whole(dpdk=False)
    assert "cannot switch to dpdk, which the manifests name: no hugepages" in caplog.text
    bed.time += FIRST_S
    await manifests.until("dpdk", "retrying in 60 s")
    bed.at = lambda _: None
    bed.time += 2 * FIRST_S
    await manifests.until("dpdk", "")
    assert bed.is_whole(dpdk=True)


async def test_another_name_cancels_a_switch_between_two_ports(manifests: Manifests) -> None:
    bed = manifests.bed
    at_move(bed, lambda: setattr(manifests, "named", "memory"))
    manifests.named = "dpdk"
    await until(lambda: manifests.named == "memory")
    await manifests.until("memory", "")
    assert bed.is_whole(dpdk=False)
    assert bed.core.planes.second is None
    at_move(bed, lambda: None)
    await manifests.until("dpdk", "")


async def test_refusal_is_told_and_asked_again_soon(manifests: Manifests) -> None:
    bed = manifests.bed
    bed.not_ready = "FRR has not converged"
    await manifests.until("dpdk", "switching to dpdk: not ready: FRR has not converged")
    bed.not_ready = ""
    bed.time += switchfollower.SOON_S
    await manifests.until("dpdk", "")


async def test_unconfirmed_switch_is_waited_for(manifests: Manifests) -> None:
    await manifests.follower.switch(Order("dpdk", back_after_s=60), manifests.bed.tell)
    await manifests.until("dpdk", "the last switch is not confirmed")
    assert await manifests.follower.confirm()
    manifests.bed.time += switchfollower.SOON_S
    await manifests.until("dpdk", "")


async def test_end_of_the_controller_rolls_back(manifests: Manifests) -> None:
    bed = manifests.bed
    follower = Follower(bed.switcher, lambda: "dpdk", lambda: bed.time, manifests._rest)
    work = asyncio.create_task(follower.run())
    at_move(bed, work.cancel)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(work, 5)
    assert bed.is_whole(dpdk=False)
    assert bed.saved == SwitchState("memory")


class Ending:
    """Cancels the follower some turns of the event loop after the end of a switch."""

    def __init__(self, turns: int) -> None:
        self.turns = turns
        self.work: asyncio.Task[None] | None = None

    def forwards_by(self) -> str:
        return ""

    async def switch(self, _: Order, __: Tell) -> None:
        self._later(self.turns)

    def _later(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._later, turns - 1)
        elif self.work:
            self.work.cancel()


@pytest.mark.parametrize("turns", range(1, 8))
async def test_end_of_the_controller_at_the_end_of_a_switch_is_not_lost(turns: int) -> None:
    switcher = Ending(turns)
    follower = Follower(cast("Switcher", switcher), lambda: "dpdk", lambda: 0.0, asyncio.sleep)
    switcher.work = asyncio.create_task(follower.run())
    await asyncio.wait([switcher.work], timeout=5)
    assert switcher.work.cancelled()


def at_move(bed: Bed, call: Callable[[], object]) -> None:
    """Call this in the event loop when the first part of the ports is about to move."""
    loop = asyncio.get_running_loop()

    def seed() -> int:
        loop.call_soon_threadsafe(call)
        return 3

    bed.seed = seed  # type: ignore[method-assign]
