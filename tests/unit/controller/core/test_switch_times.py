"""What metrics say of switches: how long they took, and that convergence is counted on."""

from __future__ import annotations

import pytest

from datapaths.base import Unavailable
from dualpath.model import events
from dualpath.model.switch import Step, SwitchFailed
from tests.fakes.batches import batch
from tests.fakes.waiting import until
from tests.unit.controller.core.test_switch import DPDK, KERNEL, started


async def test_a_switch_is_measured_by_its_outcome() -> None:
    async with started() as bed:

        def fail(step: str) -> None:
            bed.time += 4.0
            if step == Step.VERIFY:
                raise Unavailable("gone")

        bed.at = fail
        with pytest.raises(SwitchFailed):
            await bed.switch(DPDK)
        bed.at = lambda _: None
        await bed.switch(DPDK)
        found = dict(bed.switcher.durations())
        assert (found["done"].counts[-1], found["rolled_back"].counts[-1]) == (1, 1)
        assert found["rolled_back"].total_s >= 4.0


async def test_the_time_to_converge_is_counted_on_across_switches() -> None:
    """To Prometheus, a counter that goes back, and forth again, has grown."""
    async with started() as bed:
        planes = bed.core.planes
        seen = [planes.active.reconciler.episodes.histogram().counts[-1]]
        for order in (DPDK, KERNEL):
            await bed.switch(order)
            planes.learn(events.Changed(batch(f"+ 10.{len(seen)}.0.0/16 1")))
            await until(lambda: planes.active.reconciler.episodes.histogram().counts[-1] > seen[-1])
            seen.append(planes.active.reconciler.episodes.histogram().counts[-1])
