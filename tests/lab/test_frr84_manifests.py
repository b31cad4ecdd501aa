"""Manifests on FRR 8.4, which Debian 12 and Ubuntu 24.04 ship: which parts of the overlay work."""

import pytest

from tests.lab.frr import Version
from tests.lab.older_frr import longest_gap_s, started
from tests.lab.scenario import Scenario

pytestmark = pytest.mark.lab


def test_frr_84_forwards_and_recovers_from_a_restart(lab: Scenario) -> None:
    with started(lab, Version.BOOKWORM, 240.0) as fabric:
        assert "8.4" in fabric.pes[0].router.vtysh("show version")
        assert longest_gap_s(fabric) < 5.0
