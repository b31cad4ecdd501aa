"""For every CEL rule of OpenPERouter's schemas, a spec that violates only that rule."""

from __future__ import annotations

from tests.unit.controller.intent.build import Yaml
from tests.unit.controller.intent.crd_examples import (
    BRIDGED,
    EXTERNAL,
    INTERNAL,
    ISIS,
    LOCATOR,
    NICS,
    ROUTED,
    SRV6,
    UNDERLAY,
    with_neighbor,
)

REFLECTED = [{"type": "evpn", "properties": [{"type": "routeReflectorClient"}]}]
VPN = [{"type": "ipv4vpn"}]
CNI = {"type": "RawConfig", "rawConfig": {}}


def with_device(*devices: object) -> Yaml:
    return {**UNDERLAY, "interfaces": [*devices]}


def with_isis(**fields: object) -> Yaml:
    return {**UNDERLAY, "isis": {**ISIS, **fields}}


def with_vteps(*cidrs: str) -> Yaml:
    return {**UNDERLAY, "tunnelEndpoint": {"cidrs": [*cidrs]}}


def with_session(**fields: object) -> Yaml:
    return {**ROUTED, "hostSession": fields}


def with_bridge(**fields: object) -> Yaml:
    return {**BRIDGED, "hostMaster": fields}


def with_domain(**fields: object) -> Yaml:
    return {**BRIDGED, "routingDomain": fields}


def without(spec: Yaml, *names: str) -> Yaml:
    return {name: value for name, value in spec.items() if name not in names}


BREAKING: list[tuple[str, Yaml]] = [
    # interfaces
    ("Underlay", with_device({"type": "CNIDevice", "cniDevice": {"type": "RawConfig"}})),
    ("Underlay", with_device({"type": "CNIDevice"})),
    ("Underlay", with_device({"type": "NetworkDevice"})),
    ("Underlay", with_device({**NICS[0], "cniDevice": CNI})),
    ("Underlay", with_device(NICS[0], {"type": "CNIDevice", "cniDevice": CNI})),
    ("Underlay", with_isis(interfaces=[{"name": "a/b"}])),
    ("Underlay", with_isis(interfaces=[{"name": ".."}])),
    ("Underlay", with_neighbor(asn=1, interface="a b")),
    ("Underlay", with_neighbor(asn=1, interface=".")),
    # IS-IS and SRv6
    ("Underlay", with_isis(baseNet="49.0001.0000.0000.000G.00")),
    (
        "Underlay",
        {**UNDERLAY, "srv6": {"locator": {**LOCATOR, "basePrefix": "10.0.0.0/8"}}},
    ),
    ("Underlay", without({**UNDERLAY, "srv6": SRV6}, "isis")),
    ("Underlay", {**with_vteps("100.64.0.0/24"), "srv6": SRV6}),
    # a neighbor
    ("Underlay", with_neighbor(asn=1, address="10.0.0.256")),
    ("Underlay", with_neighbor(asn=1, listenRange="10.0.0.0")),
    ("Underlay", with_neighbor(asn=1, listenRange="fe80::/64")),
    ("Underlay", with_neighbor(asn=1, address="fd00::1", addressFamilies=[{"type": "evpn"}, *VPN])),
    ("Underlay", with_neighbor(address="10.0.0.1")),
    ("Underlay", with_neighbor(asn=1, type="External", address="10.0.0.1")),
    ("Underlay", with_neighbor(asn=1, address="10.0.0.1", holdTimeSeconds=9)),
    (
        "Underlay",
        with_neighbor(asn=1, address="10.0.0.1", holdTimeSeconds=2, keepaliveTimeSeconds=1),
    ),
    (
        "Underlay",
        with_neighbor(asn=1, address="10.0.0.1", holdTimeSeconds=3, keepaliveTimeSeconds=4),
    ),
    ("Underlay", with_neighbor(asn=1)),
    ("Underlay", with_neighbor(asn=1, address="10.0.0.1", interface="eth1")),
    ("Underlay", with_neighbor(asn=1, address="10.0.0.1", listenRange="10.0.0.0/8")),
    ("Underlay", with_neighbor(asn=1, interface="eth1", listenRange="10.0.0.0/8")),
    ("Underlay", with_neighbor(asn=1, interface="eth1", addressFamilies=VPN)),
    ("Underlay", with_neighbor(asn=1, address="10.0.0.1", addressFamilies=VPN)),
    ("Underlay", with_neighbor(asn=1, address="10.0.0.1", addressFamilies=REFLECTED)),
    # the rest of an Underlay
    ("Underlay", {**UNDERLAY, "routeReflector": {"clusterID": "fd00:1:2::1"}}),
    ("Underlay", {**UNDERLAY, "routeReflector": {"clusterID": "10.0.0.7"}}),
    ("Underlay", with_vteps("100.64.0.0")),
    ("Underlay", with_vteps("100.64.0.0/24", "100.65.0.0/24")),
    ("Underlay", with_vteps("fd00:1::/64", "fd00:2::/64")),
    # host sessions
    ("L3VNI", with_session(**{**EXTERNAL, "localCIDR": {}})),
    ("L3VNI", with_session(**without(EXTERNAL, "hostASN"))),
    ("L3VNI", with_session(**EXTERNAL, hostType="External")),
    ("L3VNI", with_session(**{**EXTERNAL, "hostASN": EXTERNAL["asn"]})),
    ("L3Passthrough", {"hostSession": {**INTERNAL, "localCIDR": {}}}),
    ("L3Passthrough", {"hostSession": without(EXTERNAL, "hostASN")}),
    ("L3Passthrough", {"hostSession": {**EXTERNAL, "hostType": "External"}}),
    # an L2VNI
    ("L2VNI", with_bridge(type="LinuxBridge", linuxBridge={"lifecycle": "External"})),
    ("L2VNI", with_bridge(type="OVSBridge", ovsBridge={"lifecycle": "Managed", "name": "br0"})),
    ("L2VNI", with_bridge(type="LinuxBridge", ovsBridge={"lifecycle": "Managed"})),
    ("L2VNI", with_bridge(type="OVSBridge")),
    ("L2VNI", with_domain(type="L3VNI")),
    ("L2VNI", with_domain(type="L3VPN", l3vni={"name": "red"})),
    ("L2VNI", without(BRIDGED, "routingDomain")),
]
