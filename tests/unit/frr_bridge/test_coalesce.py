"""The value of `coalesce-time` in FRR, and its difference from frr.conf."""

from __future__ import annotations

import pytest

from dualpath.model.frr import BgpInstance, FrrSettings, GracefulRestart
from frr_bridge.coalesce import STEADY_S, CoalesceTime, as_written, shorter
from frr_bridge.frr_apply import FrrApply
from frr_bridge.frr_config import render
from tests.unit.frr_bridge import test_frr_apply
from tests.unit.frr_bridge.test_frr_apply import FakeFrr, reloads

frr = test_frr_apply.frr

LONG = """\
hostname pe1
router bgp 65001
 coalesce-time 6000
 bgp graceful-restart
exit
router bgp 65001 vrf red
 coalesce-time 6000
exit
router bgp 65001 vrf blue
exit
"""
SHORT = LONG.replace("6000", "1000")
ONE = "router bgp 65001\n coalesce-time 6000\nexit\n"  # the fake FRR knows no contexts


def test_each_instance_with_the_long_value_gets_the_short_one() -> None:
    assert shorter(LONG) == (
        "router bgp 65001\n coalesce-time 1000\nexit\n"
        "router bgp 65001 vrf red\n coalesce-time 1000\nexit\n"
    )
    assert shorter(SHORT) == ""


def test_only_lines_of_bgp_count() -> None:
    assert shorter("router other\n coalesce-time 6000\nexit\n") == ""


def test_short_value_is_no_difference() -> None:
    assert as_written(SHORT, LONG) == LONG
    assert as_written(LONG, LONG) == LONG


def test_other_values_and_the_users_own_short_one_are_compared() -> None:
    by_hand = LONG.replace("6000", "1001")
    assert as_written(by_hand, LONG) == by_hand
    assert as_written(SHORT, SHORT) == SHORT


def test_the_rendered_value_is_the_one_that_is_shortened() -> None:
    instance = BgpInstance(65001, "10.0.0.1", graceful_restart=GracefulRestart())
    assert shorter(render(FrrSettings(hostname="pe1", instances=(instance,))))


async def test_shortened_configuration_is_in_force(frr: FakeFrr) -> None:
    apply = FrrApply(frr.paths, frr)
    assert (await apply.apply(ONE)).changed
    changes = apply.changes
    assert await apply.shorten()
    assert " coalesce-time 1000" in frr.running
    before = len(frr.commands)
    assert (await apply.apply(ONE)).changed is False
    assert await apply.shorten()
    assert apply.changes == changes
    assert reloads(frr) == 0
    assert "coalesce" not in "".join(text for text, _ in frr.files_seen[before:])
    assert frr.paths.file.read_text() == ONE  # FRR starts with the long value


async def test_value_that_frr_does_not_take_is_tried_again(frr: FakeFrr) -> None:
    apply = FrrApply(frr.paths, frr)
    assert (await apply.apply(ONE)).changed
    frr.takes = lambda _: []
    assert not await apply.shorten()
    frr.takes = list
    assert await apply.shorten()


async def test_configuration_that_frr_does_not_show_is_tried_again(frr: FakeFrr) -> None:
    frr.shows = 1
    assert not await FrrApply(frr.paths, frr).shorten()


class Clocked:
    """The state that a test sets, and how often FRR was told."""

    def __init__(self) -> None:
        self.state: int | None = None
        self.answers = True
        self.told = 0
        self.time = CoalesceTime(lambda: self.state, self._shorten)

    async def _shorten(self) -> bool:
        self.told += 1
        return self.answers

    async def look(self, *times: float) -> int:
        for now in times:
            await self.time.look(now)
        return self.told


async def test_value_is_shortened_once_after_frr_has_caught_up() -> None:
    clocked = Clocked()
    assert await clocked.look(0.0, STEADY_S, 2 * STEADY_S) == 0  # routes are held
    clocked.state = 1
    assert await clocked.look(100.0, 99.0 + STEADY_S) == 0
    assert await clocked.look(100.0 + STEADY_S, 200.0 + STEADY_S) == 1


@pytest.mark.parametrize("between", [2, None])
async def test_restart_of_frr_and_a_new_configuration_count_again(between: int | None) -> None:
    clocked = Clocked()
    clocked.state = 1
    assert await clocked.look(0.0, STEADY_S) == 1
    clocked.state = between
    assert await clocked.look(100.0) == 1
    clocked.state = 2
    assert await clocked.look(101.0, 100.0 + STEADY_S, 101.0 + STEADY_S) == 2


async def test_frr_that_does_not_answer_is_told_again() -> None:
    clocked = Clocked()
    clocked.state, clocked.answers = 1, False
    assert await clocked.look(0.0, STEADY_S, 1.0 + STEADY_S) == 1
    assert await clocked.look(2 * STEADY_S) == 2
    clocked.answers = True
    assert await clocked.look(3 * STEADY_S, 4 * STEADY_S, 5 * STEADY_S) == 3
