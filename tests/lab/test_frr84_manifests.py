"""Manifests on FRR 8.4, which Debian 12 and Ubuntu 24.04 ship: what of the overlay it can do."""

from collections.abc import Iterator

import pytest

from tests.lab.fabric import STANDARD, Fabric, Options
from tests.lab.frr import Settings, Version
from tests.lab.frr_programs import installed
from tests.lab.ping import flows
from tests.lab.scenario import Scenario

pytestmark = pytest.mark.lab

OPTIONS = Options(frr=Settings(version=Version.BOOKWORM, zebra=("-K20",)))


@pytest.fixture
def bookworm(lab: Scenario) -> Iterator[Fabric]:
    fabric = Fabric(lab, STANDARD, OPTIONS)
    for spine in fabric.spines:
        spine.start()
    with installed(Version.BOOKWORM):
        for pe in fabric.pes:
            pe.start()
        for pe in fabric.pes:
            pe.attach_hosts()
        fabric.wait_for_overlay(240.0)
        fabric.wait_until_live()
        yield fabric


def test_frr_84_forwards_and_comes_back(bookworm: Fabric) -> None:
    pe1, pe2 = bookworm.pes
    assert "8.4" in pe1.router.vtysh("show version")

    targets = (pe2.routed.v4, pe2.routed.v6, pe2.bridged.v4, pe2.bridged.v6)
    sources = (pe1.routed.namespace,) * 2 + (pe1.bridged.namespace,) * 2
    with flows(*zip(sources, targets, strict=True)) as results:
        pe1.router.kill()
        pe1.router.start()
        bookworm.wait_for_bgp()
        bookworm.wait_until_live(240.0)

    assert max(result.longest_gap_s for result in results) < 5.0, results
