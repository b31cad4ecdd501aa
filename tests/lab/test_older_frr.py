"""The standard topology with Debian 13's FRR on the PEs: FRR 10.3 does there what 10.7 does.

The spine runs 10.7. As a helper (RFC 4724) FRR 10.3 keeps no EVPN routes of a peer that restarts:
its FOREACH_AFI_SAFI_NSF in lib/zebra.h ends before SAFI_EVPN.
"""

from collections.abc import Iterator

import pytest

from tests.lab.fabric import STANDARD, Fabric, Options
from tests.lab.frr import Settings, Version
from tests.lab.frr_programs import installed
from tests.lab.ping import flows
from tests.lab.scenario import Scenario

pytestmark = pytest.mark.lab

# No --asic-offload: zebra 10.3 drops every acknowledgement, so its routes would stay queued.
OPTIONS = Options(frr=Settings(version=Version.TRIXIE, zebra=("-K20",)))


@pytest.fixture
def trixie(lab: Scenario) -> Iterator[Fabric]:
    fabric = Fabric(lab, STANDARD, OPTIONS)
    for spine in fabric.spines:
        spine.start()
    with installed(Version.TRIXIE):
        for pe in fabric.pes:
            pe.start()
        for pe in fabric.pes:
            pe.attach_hosts()
        fabric.wait_for_overlay(90.0)
        fabric.wait_until_live()
        yield fabric


def test_frr_103_forwards_and_its_return_interrupts_for_five_seconds_at_most(
    trixie: Fabric,
) -> None:
    pe1, pe2 = trixie.pes
    assert "10.3" in pe1.router.vtysh("show version")

    targets = (pe2.routed.v4, pe2.routed.v6, pe2.bridged.v4, pe2.bridged.v6)
    sources = (pe1.routed.namespace,) * 2 + (pe1.bridged.namespace,) * 2
    with flows(*zip(sources, targets, strict=True)) as results:
        pe1.router.kill()
        pe1.router.start()
        trixie.wait_for_bgp()
        trixie.wait_until_live(240.0)

    # With FRR 10.7 nothing is lost. FRR 10.3 lost 1.5 s of packets, as its sessions came back.
    assert max(result.longest_gap_s for result in results) < 5.0, results
