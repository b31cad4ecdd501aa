"""FRR that is told to stop, rather than killed: what it withdraws then is obeyed.

So packaging/frr.service.d has systemd kill it; decision 0007. That killing loses nothing is
shown with the other deaths.
"""

import signal

import pytest

from tests.lab.fabric import Fabric
from tests.lab.test_deaths import comes_back, nothing_lost
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab


def test_a_bgpd_that_is_told_to_stop_takes_its_routes_along(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    prefix = f"{pe2.routed.v4}/32"
    assert pe1.view.has_route(pe2.routed.v4)
    pe1.router.kill("bgpd", number=signal.SIGINT)
    wait_until(lambda: not pe1.view.has_route(pe2.routed.v4), f"{prefix} is withdrawn", 10)
    pe1.router.start()
    comes_back(fabric, pe1)
    fabric.wait_for_overlay(90.0)


def test_all_of_frr_killed_as_systemd_is_told_to(fabric: Fabric) -> None:
    pe1, _ = fabric.pes
    with nothing_lost(fabric):
        pe1.router.kill(number=signal.SIGKILL)
        pe1.router.start()
        comes_back(fabric, pe1)
