"""How often FRR is configured, and how a failure is reported."""

from __future__ import annotations

import asyncio
import errno

import pytest

from controller.node import configure
from controller.node.configure import FrrConfiguration
from dualpath.model.events import Configure, Configured
from dualpath.model.frr import FrrSettings, to_json
from tests.fakes.waiting import until

ONE, OTHER = FrrSettings(hostname="one"), FrrSettings(hostname="other")


class World:
    def __init__(self, *, there: bool = True) -> None:
        self.asked: list[Configure] = []
        self._there = there
        self.wanted: list[bytes] = []
        self.read_only = False  # the state directory
        self.frr = FrrConfiguration(self._tell, self._forget_other)

    def _forget_other(self, wanted: bytes) -> None:
        if self.read_only:
            raise OSError(errno.EROFS, "Read-only file system")
        self.wanted.append(wanted)

    def _tell(self, event: Configure) -> bool:
        self.asked.append(event)
        return self._there

    async def ensure(self, settings: FrrSettings, *, ok: bool = True) -> Configured:
        """Configure, reply if there is a request, and return the outcome."""
        count = len(self.asked)
        work = asyncio.create_task(self.frr.ensure(settings))
        await until(lambda: work.done() or len(self.asked) > count)
        if not work.done():
            self.frr.answered(Configured(self.asked[-1].request, ok, ok, "" if ok else "no"))
        return await work


@pytest.fixture
def world() -> World:
    return World()


async def test_frr_is_configured_once_per_configuration_and_bridge(
    world: World,
) -> None:
    assert (await world.ensure(ONE)).ok
    assert (await world.ensure(ONE)).ok
    assert len(world.asked) == 1
    assert (await world.ensure(OTHER)).ok
    assert len(world.asked) == 2
    assert world.frr.configured(OTHER)
    assert not world.frr.configured(ONE)
    world.frr.forget("another bridge")
    assert (await world.ensure(OTHER)).ok
    assert len(world.asked) == 3


async def test_no_other_configuration_is_left_for_a_router_alone(world: World) -> None:
    """Also while there is no router: the next one may start when no controller runs."""
    world.frr.intend(ONE)
    assert world.wanted == [to_json(ONE)]
    await world.ensure(ONE)
    await world.ensure(OTHER)
    world.frr.forget("another bridge")
    await world.ensure(OTHER)
    assert world.wanted == [to_json(ONE), to_json(OTHER)]


async def test_file_of_another_configuration_is_removed_later_if_it_cannot_be_now(
    world: World,
) -> None:
    world.read_only = True
    world.frr.intend(ONE)
    world.read_only = False
    world.frr.intend(ONE)
    assert world.wanted == [to_json(ONE)]


async def test_each_refusal_removes_what_an_earlier_request_left(world: World) -> None:
    """frr-bridge may have answered the earlier request, and stored it, after the removal."""
    await world.ensure(ONE)
    for refusals in (1, 2):
        await world.ensure(OTHER, ok=False)
        assert world.wanted == [to_json(ONE), to_json(OTHER), *[to_json(OTHER)] * refusals]


async def test_reply_to_an_earlier_request_is_ignored(world: World) -> None:
    await world.ensure(ONE)
    work = asyncio.create_task(world.frr.ensure(OTHER))
    await until(lambda: len(world.asked) == 2)
    world.frr.answered(Configured(world.asked[0].request, False, False, "an old one"))
    world.frr.answered(Configured(world.asked[1].request, True, True))
    world.frr.answered(Configured(world.asked[1].request, True, True))
    assert (await work).ok


async def test_refused_configuration_is_retried(world: World) -> None:
    assert (await world.ensure(ONE, ok=False)).message == "no"
    assert (await world.ensure(ONE)).ok


async def test_missing_bridge_is_reported() -> None:
    answer = await World(there=False).frr.ensure(ONE)
    assert answer.message == "frr-bridge is not connected, so FRR cannot be configured"


async def test_new_bridge_is_given_the_configuration_again(world: World) -> None:
    work = asyncio.create_task(world.frr.ensure(ONE))
    await until(lambda: bool(world.asked))
    world.frr.forget("frr-bridge was started again")
    assert (await work).message == "frr-bridge was started again"


async def test_wait_for_a_silent_bridge_has_a_limit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configure, "_ANSWER_S", 0.01)
    assert (await world.frr.ensure(ONE)).message == "frr-bridge did not answer"


async def test_shutdown_is_not_mistaken_for_a_reply(world: World) -> None:
    work = asyncio.create_task(world.frr.ensure(ONE))
    await until(lambda: bool(world.asked))
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
