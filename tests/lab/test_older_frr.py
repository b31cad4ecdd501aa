"""The standard topology with Debian 13's FRR on the PEs: FRR 10.3 works as 10.7 does.

The spine runs 10.7. As a helper (RFC 4724) FRR 10.3 keeps no EVPN routes of a peer that restarts:
its FOREACH_AFI_SAFI_NSF in lib/zebra.h ends before SAFI_EVPN.
"""

import pytest

from tests.lab.frr import Version
from tests.lab.older_frr import longest_gap_s, started
from tests.lab.scenario import Scenario

pytestmark = pytest.mark.lab


def test_frr_103_forwards_and_its_restart_interrupts_at_most_five_seconds(lab: Scenario) -> None:
    with started(lab, Version.TRIXIE, 90.0) as fabric:
        assert "10.3" in fabric.pes[0].router.vtysh("show version")
        # With FRR 10.7 nothing is lost. FRR 10.3 lost 1.5 s of packets, as its sessions came back.
        assert longest_gap_s(fabric) < 5.0
