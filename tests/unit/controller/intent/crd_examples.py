"""Specs that use every field of OpenPERouter's schemas, and every enum value."""

from __future__ import annotations

from collections.abc import Mapping

from tests.unit.controller.intent.build import Yaml

SELECTOR = {
    "matchLabels": {"rack": "a"},
    "matchExpressions": [{"key": "role", "operator": "In", "values": ["edge"]}],
}
MACVLAN: Yaml = {
    "cniVersion": "1.0.0",
    "name": "fabric",
    "plugins": [
        {
            "type": "macvlan",
            "master": "eth0",
            "capabilities": {"mac": True},
            "ipam": {"type": "static", "addresses": [{"address": "192.168.11.10/24"}]},
        }
    ],
}
NICS = [{"type": "NetworkDevice", "networkDevice": {"interfaceName": n}} for n in ("eth1", "eth2")]
NEIGHBORS = [
    {
        "asn": 65000,
        "address": "192.168.1.0",
        "port": 179,
        "password": "example",
        "holdTimeSeconds": 9,
        "keepaliveTimeSeconds": 3,
        "connectTimeSeconds": 5,
        "properties": [{"type": "ebgpMultiHop", "ebgpMultiHop": {"ttl": 2}}],
        "bfd": {
            "receiveInterval": 100,
            "transmitInterval": 100,
            "detectMultiplier": 3,
            "sessionMode": "Active",
            "minimumTTL": 254,
        },
        "addressFamilies": [{"type": "ipv4unicast"}, {"type": "ipv6unicast"}],
    },
    {
        "type": "Internal",
        "address": "192.168.9.1",
        "addressFamilies": [{"type": "evpn", "properties": [{"type": "routeReflectorClient"}]}],
    },
    {"type": "External", "interface": "eth1", "bfd": {"sessionMode": "Passive"}},
    {"asn": 65010, "listenRange": "192.168.64.0/24"},
    {"asn": 65011, "address": "192.168.1.2", "passwordSecret": "fabric"},
]
ISIS = {
    "baseNet": "49.0001.0000.0000.0000.00",
    "level": 1,
    "features": ["advertisePassiveOnly"],
    "interfaces": [
        {"name": "eth1", "ipFamily": "IPv4", "features": ["passive"]},
        {"name": "eth2", "ipFamily": "IPv6"},
        {"name": "lo", "ipFamily": "DualStack"},
    ],
}
POOLS = {"ipv4": "10.1.0.0/24", "ipv6": "fd00:1::/64"}
EXTERNAL = {"asn": 65001, "hostASN": 65100, "localCIDR": POOLS}
INTERNAL = {"asn": 65001, "hostType": "Internal", "localCIDR": {"ipv4": "10.1.0.0/24"}}
UNDERLAY: Yaml = {
    "asn": 65001,
    "nodeSelector": SELECTOR,
    "routerIDCIDR": "10.0.0.0/24",
    "interfaces": NICS,
    "neighbors": NEIGHBORS,
    "tunnelEndpoint": {"cidrs": ["100.64.0.0/24", "fd00:64::/64"]},
    "gracefulRestart": {"restartTimeSeconds": 100, "stalePathTimeSeconds": 300},
    "isis": ISIS,
    "routeReflector": {"clusterID": "192.0.2.1"},
}
ROUTED: Yaml = {
    "nodeSelector": SELECTOR,
    "vrf": "red",
    "vni": 100,
    "vxlanPort": 4789,
    "underlayAddressFamily": "IPv4",
    "exportRTs": ["65000:100"],
    "importRTs": ["65000:100"],
    "hostSession": EXTERNAL,
}
BRIDGED: Yaml = {
    "nodeSelector": SELECTOR,
    "vni": 110,
    "vxlanPort": 4789,
    "underlayAddressFamily": "IPv4",
    "routingDomain": {"type": "L3VNI", "l3vni": {"name": "red"}},
    "gatewayIPs": ["10.110.0.1/24", "fd00:110::1/64"],
}


def mastered(kind: str, lifecycle: str, **name: str) -> Yaml:
    field = {"LinuxBridge": "linuxBridge", "OVSBridge": "ovsBridge"}[kind]
    return {**BRIDGED, "hostMaster": {"type": kind, field: {"lifecycle": lifecycle, **name}}}


def with_cni(**fields: object) -> Yaml:
    device = {"type": "RawConfig", "rawConfig": MACVLAN, **fields}
    return {**UNDERLAY, "interfaces": [{"type": "CNIDevice", "cniDevice": device}]}


ACCEPTED: Mapping[str, list[Yaml]] = {
    "Underlay": [
        UNDERLAY,
        {**UNDERLAY, "isis": {**ISIS, "level": 2}},
        with_cni(interfaceName="net1", runtimeConfig={"mac": "02:00:00:00:00:01"}),
    ],
    "L3VNI": [
        ROUTED,
        {**ROUTED, "underlayAddressFamily": "IPv6", "hostSession": INTERNAL},
        {**ROUTED, "hostSession": {**INTERNAL, "hostType": "External"}},
    ],
    "L2VNI": [
        mastered("LinuxBridge", "Managed"),
        mastered("LinuxBridge", "External", name="br0"),
        mastered("OVSBridge", "External", name="br-int"),
        mastered("OVSBridge", "Managed"),
        {**BRIDGED, "underlayAddressFamily": "IPv6"},
    ],
    "L3Passthrough": [
        {"nodeSelector": SELECTOR, "hostSession": EXTERNAL},
        {"hostSession": INTERNAL},
        {"hostSession": {**INTERNAL, "hostType": "External"}},
        {"hostSession": {**EXTERNAL, "hostASN": 65001}},
    ],
    "RawFRRConfig": [{"nodeSelector": SELECTOR, "priority": 10, "rawConfig": "ip forwarding\n"}],
}


def with_neighbor(**fields: object) -> Yaml:
    return {**UNDERLAY, "neighbors": [fields]}


def with_vpn(family: str) -> Yaml:
    return with_neighbor(asn=1, address="fd00::1", addressFamilies=[{"type": family}])


LOCATOR = {"basePrefix": "fd00:5::/32", "format": "usid-f3216"}
SRV6 = {"encapBehavior": "H.Encaps", "locator": LOCATOR}
NOT_ACCEPTED: Mapping[str, list[Yaml]] = {
    "Underlay": [
        {**UNDERLAY, "srv6": SRV6},
        {**UNDERLAY, "srv6": {**SRV6, "encapBehavior": "H.Encaps.Red"}},
        with_vpn("ipv4vpn"),
        with_vpn("ipv6vpn"),
    ],
    "L2VNI": [{**BRIDGED, "routingDomain": {"type": "L3VPN", "l3vpn": {"name": "blue"}}}],
}
"""What their schemas accept and Dualpath rejects by name."""
