"""The standard topology end to end: stock FRR decides, the kernel datapath forwards."""

import json

import pytest

from tests.lab.fabric import Fabric
from tests.lab.isolation import assert_no_way_in
from tests.lab.plan import TENANT_VRF
from tests.lab.scenario import Scenario

pytestmark = pytest.mark.lab


def test_hosts_reach_one_another_over_the_overlay(lab: Scenario) -> None:
    fabric = Fabric(lab)
    fabric.start()
    fabric.wait_for_overlay(90)
    pe1, pe2 = fabric.pes

    routes = pe1.dualpath_json("routes", "--vrf", TENANT_VRF)
    print(json.dumps(routes)[:2000])
    assert_no_way_in(pe1.router, pe1.forwarding)
