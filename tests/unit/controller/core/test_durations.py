"""Convergence is measured from the first change until nothing but retries is left."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from controller.core.durations import Durations, Episodes
from datapaths.base import Batch, RowFailure, Unavailable
from dualpath.model.kinds import Kind
from dualpath.model.links import Vrf
from tests.fakes.clock import ManualClock
from tests.fakes.core import Core, LoggingDatapath, running


class Silent(LoggingDatapath):
    """Answers unless told not to."""

    silent = False

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        if self.silent:
            raise Unavailable("gone")
        return await super().apply(batch)


def test_a_duration_counts_up_to_its_bound_and_to_all_above() -> None:
    durations = Durations((1.0, 2.0))
    for duration_s in (0.5, 1.0, 1.5, 9.0):
        durations.add(duration_s)
    found = durations.histogram()
    assert (found.counts, found.total_s) == ((2, 3, 4), 12.0)


def test_an_episode_lasts_from_the_first_wake_up_to_rest() -> None:
    clock = ManualClock()
    episodes = Episodes(clock)
    episodes.begin()
    clock.advance(2.0)
    episodes.begin()
    clock.advance(1.0)
    assert episodes.behind_s() == 3.0
    episodes.changed()
    episodes.end()
    assert (episodes.behind_s(), episodes.histogram().total_s) == (0.0, 3.0)


def test_an_episode_that_applied_nothing_is_not_counted() -> None:
    episodes = Episodes(ManualClock())
    episodes.begin()
    episodes.end()
    assert episodes.histogram().counts[-1] == 0


async def test_a_refused_row_ends_an_episode_as_only_its_retry_is_left() -> None:
    core = Core()
    core.datapath.refuse[Kind.VRF, "red"] = errno.EPERM
    async with running(core):
        core.state.want(Kind.VRF, [Vrf("red")])
        await core.settle()
        assert core.reconciler.episodes.behind_s() == 0.0
        assert core.reconciler.episodes.histogram().counts[-1] == 1


async def test_the_time_grows_while_the_datapath_does_not_answer() -> None:
    datapath = Silent()
    core = Core(datapath)
    async with running(core):
        await core.settle()
        datapath.silent = True
        core.state.want(Kind.VRF, [Vrf("red")])
        await core.settle()
        core.clock.advance(0.5)
        assert core.reconciler.episodes.behind_s() == 0.5
        datapath.silent = False
        await core.later(1.0)
        assert core.reconciler.episodes.behind_s() == 0.0
        assert core.reconciler.episodes.histogram().total_s >= 0.5
