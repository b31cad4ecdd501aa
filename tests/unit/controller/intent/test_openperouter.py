"""Forms that only OpenPERouter's schema has are accepted."""

from __future__ import annotations

import pytest

from tests.unit.controller.intent.build import manifest, neighbor, resources
from tests.unit.controller.intent.rulebook import cases
from tests.unit.controller.intent.test_rules import MANAGED, REFLECTED, families, l2vni

FORMS = {
    "Neighbor.ebgpMultiHop: without a body": neighbor(properties=[{"type": "ebgpMultiHop"}]),
    "Neighbor.ebgpMultiHop: without a ttl": neighbor(
        properties=[{"type": "ebgpMultiHop", "ebgpMultiHop": {}}]
    ),
    "Neighbor.asn-or-type: in lower case": neighbor(asn=None, type="internal"),
    "Neighbor.routeReflectorClient: twice": neighbor(
        asn=None, type="Internal", addressFamilies=families("evpn", properties=REFLECTED * 2)
    ),
    "L2VNI.hostMaster: managed with an empty name": l2vni(
        hostMaster={"type": "LinuxBridge", "linuxBridge": {**MANAGED, "name": ""}}
    ),
    "RawFRRConfig.rawConfig: CRLF": manifest("RawFRRConfig", "r", rawConfig="a\r\nb\r\n"),
}


@pytest.mark.parametrize("case", cases(FORMS))
def test_every_form_of_openperouters_api_is_accepted(case: str) -> None:
    found = resources(FORMS[case])
    assert not found.rejected
    assert len(found.items) == 1
