"""The moves of `test_mobility.py` with an L2VNI alone, which needs no VRF devices.

So they run straight in namespaces, where one CPU of a VM is not the limit: `python -m tests.lab run
--mode straight tests/lab/test_mobility_bridged.py -m "lab and long"`. Without gateways the routers
learn a host's addresses from its announcements only.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.lab import bridged
from tests.lab.crowds import COUNT, PROBED, Crowd, check_moves, crowds
from tests.lab.fabric import Fabric
from tests.lab.plan import Topology
from tests.lab.scenario import Scenario

pytestmark = [pytest.mark.lab, pytest.mark.long]

GROUT = pytest.mark.grout
ANNOUNCED_S, SILENT_S = 10.0, 10.0


@pytest.fixture(params=[pytest.param(0, id="kernel"), pytest.param(1, id="dpdk", marks=[GROUT])])
def fabric(request: pytest.FixtureRequest, lab: Scenario) -> Fabric:
    return bridged.started(lab, Topology(pes=3, dpdk=request.param))


@pytest.fixture
def pair(fabric: Fabric) -> Iterator[tuple[Crowd, Crowd]]:
    with crowds(fabric) as made:
        yield made


def test_hosts_that_announce_themselves_are_reached_at_once(
    fabric: Fabric, pair: tuple[Crowd, Crowd], say: Callable[[str], None]
) -> None:
    check_moves(fabric, pair, "announce", say, COUNT // PROBED, ANNOUNCED_S)


def test_silent_hosts_are_reached(
    fabric: Fabric, pair: tuple[Crowd, Crowd], say: Callable[[str], None]
) -> None:
    """Their port at the old PE lost its carrier; at the new one they only answer."""
    check_moves(fabric, pair, "appear", say, 3, SILENT_S)
