"""Seeds of the chaos runner, whole ones; tests/lab/test_deaths.py has a short one."""

from collections.abc import Callable

import pytest

from tests.lab.chaos import faults, plan
from tests.lab.chaos.run import Runner
from tests.lab.chaos.world import World
from tests.lab.fabric import Fabric
from tests.lab.plan import Datapath

pytestmark = [pytest.mark.lab, pytest.mark.long]

STEPS = 20


@pytest.mark.datapaths("kernel", "dpdk")
@pytest.mark.parametrize("seed", [1, 2])
def test_faults_cost_no_more_packets_than_is_allowed(
    fabric: Fabric, say: Callable[[str], None], seed: int
) -> None:
    datapath = Datapath(fabric.pes[0].plan.datapath)
    known = faults.every(datapath)
    steps = plan.from_seed(seed, STEPS, list(known))
    world = World(fabric.scenario, datapath, fabric)
    outcomes = Runner(world, known, say).run(steps, lambda _: None)
    assert not [str(outcome) for outcome in outcomes if outcome.problems]
