"""Two hundred hosts move from one PE to another at once; a third PE sends to them."""

from collections.abc import Callable, Iterator

import pytest

from tests.lab.crowds import COUNT, PROBED, Crowd, check_moves, crowds
from tests.lab.fabric import DEFAULT, Fabric
from tests.lab.plan import Topology

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.datapaths("kernel", "dpdk")]

FABRIC = (Topology(pes=3), DEFAULT)
ANNOUNCED_S, SILENT_S = 10.0, 90.0  # far from the goals: see docs/BENCH.md


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
