"""FRR dies while IS-IS runs in the underlay."""

import time

import pytest

from tests.lab.fabric import Fabric
from tests.lab.outliving import comes_back, nothing_lost
from tests.lab.plan import Topology
from tests.lab.test_isis import OPTIONS

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.datapaths("kernel", "dpdk")]

FABRIC = (Topology(isis=True), OPTIONS)

LSP_S = 35.0  # isisd tells a change at once, unless it has told one within half a minute
SWEPT_S = 65.0  # zebra's -K60


def test_packets_are_forwarded_while_frr_is_dead(fabric: Fabric) -> None:
    """BGP has the VTEPs too: isisd has no graceful restart, so the spine drops its routes."""
    pe1, pe2 = fabric.pes
    time.sleep(LSP_S)
    with nothing_lost(fabric):
        pe1.router.kill()
        time.sleep(3)
        pe1.router.start()
        comes_back(fabric, pe1)
        time.sleep(SWEPT_S)
        assert pe1.view.uplinks_to(pe2.plan.vtep) == {"eth1"}
