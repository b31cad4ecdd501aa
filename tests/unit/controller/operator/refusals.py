"""Objects that break a rule together with others: the webhook refuses each of them.

`test_refusals` proves that every rule between resources is among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tests.unit.controller.intent.build import GOOD, Yaml, manifest, session, underlay

OTHERS = (
    underlay(),
    manifest("L3VNI", "red"),
    manifest("L2VNI", "web"),
    manifest("L3Passthrough", "pt"),
)
NEXT = {"ipv4": "10.77.0.0/24"}
_NEW: Mapping[str, Yaml] = {
    "two Underlays": manifest("Underlay", "other"),
    "two L3Passthroughs": manifest(
        "L3Passthrough",
        "second",
        hostSession={**GOOD["L3Passthrough"]["hostSession"], "localCIDR": NEXT},
    ),
    "a VNI twice": manifest("L3VNI", "blue", vrf="blue", hostSession=None),
    "a VNI of an L2VNI": manifest("L3VNI", "blue", vrf="blue", vni=110, hostSession=None),
    "a VRF twice": manifest("L3VNI", "blue", vni=5, hostSession=None),
    "a VRF with a NIC's name": manifest("L3VNI", "blue", vrf="eth1", vni=5, hostSession=None),
    "a VRF with a reserved name": manifest("L3VNI", "blue", vrf="br5", vni=5, hostSession=None),
    "a local CIDR twice": manifest("L3VNI", "blue", vrf="blue", vni=5),
    "a local CIDR of the passthrough": manifest(
        "L3VNI", "blue", vrf="blue", vni=5, hostSession=session(localCIDR={"ipv4": "10.200.0.0/25"})
    ),
    "a gateway in another subnet's way": manifest(
        "L2VNI", "db", vni=5, gatewayIPs=["10.100.0.1/24"]
    ),
    "a gateway twice": manifest("L2VNI", "db", vni=5),
    "a bridge with a device's name": manifest(
        "L2VNI",
        "db",
        vni=5,
        gatewayIPs=["10.8.0.1/24"],
        hostMaster={
            "type": "LinuxBridge",
            "linuxBridge": {"name": "eth1", "lifecycle": "External"},
        },
    ),
    "an L3Passthrough of another AS": manifest(
        "L3Passthrough", "pt", hostSession={**GOOD["L3Passthrough"]["hostSession"], "asn": 5}
    ),
    "a NIC with a reserved name": underlay(
        interfaces=[{"type": "NetworkDevice", "networkDevice": {"interfaceName": "cp-eth1"}}]
    ),
    "a neighbor with the VTEP's address": underlay(
        neighbors=[{"asn": 65000, "address": "100.64.0.0"}]
    ),
    "an IPv6 gateway that is its network": manifest(
        "L2VNI", "db", vni=5, gatewayIPs=["fd00:8::/64"]
    ),
}


class Case(NamedTuple):
    """An object that is refused where others are."""

    new: Yaml
    others: tuple[Yaml, ...] = OTHERS
    number: int = 0  # of the only Node; 0: there is none


_WIDE = {"routerIDCIDR": "10.0.0.0/16", "tunnelEndpoint": {"cidrs": ["100.64.0.0/16"]}}
_HIGH = 300


def _passthrough(network: str) -> Yaml:
    given = {**GOOD["L3Passthrough"]["hostSession"], "localCIDR": {"ipv4": network}}
    return manifest("L3Passthrough", "pt", hostSession=given)


REFUSED: Mapping[str, Case] = {
    **{name: Case(new) for name, new in _NEW.items()},
    "networks that have no address for a node": Case(underlay(), (), _HIGH),
    "a host session that has no address for a node": Case(
        manifest("L3VNI", "red"), (underlay(**_WIDE),), _HIGH
    ),
    "an L3Passthrough whose session has no address for a node": Case(
        manifest("L3Passthrough", "pt"), (underlay(**_WIDE),), _HIGH
    ),
    "an L3Passthrough with the network of a neighbor": Case(_passthrough("192.168.1.0/24")),
    "an L3Passthrough with the network of a VTEP": Case(_passthrough("100.64.0.0/25")),
    "a NET that has no system ID for a node": Case(
        underlay(**_WIDE, isis={"baseNet": "49.0001.ffff.ffff.ffff.00", "level": 2}), (), _HIGH
    ),
    "an L2VNI with a VRF that is reserved": Case(
        manifest("L2VNI", "db", vni=5, routingDomain=None, vrf="br5", gatewayIPs=["10.8.0.1/24"])
    ),
}
