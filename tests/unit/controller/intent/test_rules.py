"""Each rule of the resource model, by a manifest that breaks it and what the user is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.controller.intent.build import (
    GOOD,
    Yaml,
    manifest,
    neighbor,
    resources,
    session,
    underlay,
)


def l3vni(**changes: Any) -> Yaml:  # noqa: ANN401
    return manifest("L3VNI", "red", **changes)


def l2vni(**changes: Any) -> Yaml:  # noqa: ANN401
    return manifest("L2VNI", "segment", **changes)


def device(name: str) -> Yaml:
    return {"type": "NetworkDevice", "networkDevice": {"interfaceName": name}}


def families(*types: str, **changes: Any) -> list[Yaml]:  # noqa: ANN401
    return [{"type": t, **changes} for t in types]


REFLECTED = [{"type": "routeReflectorClient"}]
ONE = GOOD["Underlay"]["neighbors"][0]

BROKEN = {
    # Underlay
    "asn-required": (underlay(asn=None), "spec.asn: required, but missing"),
    "asn-zero": (underlay(asn=0), "spec.asn: must be greater than or equal to 1"),
    "asn-too-high": (underlay(asn=2**32), "spec.asn: must be less than or equal to 4294967295"),
    "asn-text": (underlay(asn="65001"), "spec.asn: must be a valid integer"),
    "unknown-field": (underlay(colour="red"), "spec.colour: no such field"),
    "neighbors-required": (underlay(neighbors=[]), "spec.neighbors: "),
    "neighbors-too-many": (underlay(neighbors=[ONE] * 129), "spec.neighbors: "),
    "neighbors-same-address": (underlay(neighbors=[ONE, ONE]), "two neighbors have address"),
    "neighbors-same-interface": (
        underlay(neighbors=[{"asn": 1, "interface": "eth1"}] * 2),
        "two neighbors have interface eth1",
    ),
    "neighbor-interface-foreign": (
        underlay(neighbors=[{"asn": 1, "interface": "eth7"}]),
        "neighbor interface eth7 is not among `interfaces`",
    ),
    "ranges-overlap": (
        underlay(neighbors=[{"asn": 1, "listenRange": r} for r in ("10.0.0.0/8", "10.1.0.0/16")]),
        "listenRange 10.0.0.0/8 overlaps 10.1.0.0/16",
    ),
    "interfaces-required": (underlay(interfaces=[]), "spec.interfaces: "),
    "interfaces-twice": (
        underlay(interfaces=[device("eth1"), device("eth1")]),
        "interface eth1 is given twice",
    ),
    "interface-name-long": (underlay(interfaces=[device("e" * 16)]), "interfaceName: "),
    "interface-name-odd": (underlay(interfaces=[device("1eth")]), "interfaceName: "),
    "interface-cni": (
        underlay(interfaces=[{"type": "CNIDevice", "cniDevice": {}}]),
        "interface type CNIDevice is not supported yet",
    ),
    "router-id-not-a-cidr": (underlay(routerIDCIDR="10.0.0.1"), "'10.0.0.1' is not a CIDR"),
    "router-id-ipv6": (underlay(routerIDCIDR="fd00::/64"), "routerIDCIDR fd00::/64 is not IPv4"),
    "tunnel-none": (underlay(tunnelEndpoint={"cidrs": []}), "tunnelEndpoint.cidrs: "),
    "tunnel-three": (
        underlay(tunnelEndpoint={"cidrs": ["10.0.0.0/24", "fd00::/64", "10.1.0.0/24"]}),
        "tunnelEndpoint.cidrs: ",
    ),
    "tunnel-one-per-family": (
        underlay(tunnelEndpoint={"cidrs": ["10.0.0.0/24", "10.1.0.0/24"]}),
        "one CIDR per address family",
    ),
    "restart-time": (underlay(gracefulRestart={"restartTimeSeconds": 4096}), "4095"),
    "stale-time": (underlay(gracefulRestart={"stalePathTimeSeconds": 0}), "equal to 1"),
    "isis": (underlay(isis={}), "`isis` is not supported yet"),
    "srv6": (underlay(srv6={}), "`srv6` is not supported yet"),
    "cluster-id-inside": (
        underlay(routeReflector={"clusterID": "10.0.0.9"}),
        "clusterID 10.0.0.9 lies in routerIDCIDR 10.0.0.0/24",
    ),
    # Neighbor
    "asn-and-type": (neighbor(type="External"), "exactly one of asn, type must be given, not 2"),
    "no-asn-no-type": (neighbor(asn=None), "exactly one of asn, type must be given, not 0"),
    "type-unknown": (neighbor(asn=None, type="Odd"), "type: must be 'External' or 'Internal'"),
    "no-peer": (neighbor(address=None), "exactly one of address, interface, listenRange"),
    "two-peers": (neighbor(interface="eth1"), "exactly one of address, interface, listenRange"),
    "address-odd": (neighbor(address="10.0.0.256"), "'10.0.0.256' is not an IP address"),
    "address-link-local": (neighbor(address="fe80::1"), "give `interface` instead"),
    "interface-slash": (neighbor(address=None, interface="a/b"), "is not an interface name"),
    "interface-dots": (neighbor(address=None, interface=".."), "is not an interface name"),
    "range-link-local": (neighbor(address=None, listenRange="fe80::/64"), "IPv6 link-local"),
    "range-not-a-cidr": (neighbor(address=None, listenRange="10.0.0.0"), "is not a CIDR"),
    "port": (neighbor(port=16385), "port: must be less than or equal to 16384"),
    "password-space": (neighbor(password="a b"), "no white space"),
    "password-long": (neighbor(password="x" * 129), "1 to 128"),
    "password-newline": (neighbor(password="a\nb"), "no white space"),
    "password-secret": (neighbor(passwordSecret="x"), "`passwordSecret` needs a Kubernetes"),
    "hold-alone": (neighbor(holdTimeSeconds=9), "must be given together"),
    "keepalive-alone": (neighbor(keepaliveTimeSeconds=3), "must be given together"),
    "hold-short": (
        neighbor(holdTimeSeconds=2, keepaliveTimeSeconds=1),
        "holdTimeSeconds must be 0 or at least 3, not 2",
    ),
    "keepalive-long": (
        neighbor(holdTimeSeconds=9, keepaliveTimeSeconds=10),
        "keepaliveTimeSeconds 10 exceeds holdTimeSeconds 9",
    ),
    "connect-zero": (neighbor(connectTimeSeconds=0), "connectTimeSeconds: must be"),
    "multihop-ttl": (
        neighbor(properties=[{"type": "ebgpMultiHop", "ebgpMultiHop": {"ttl": 256}}]),
        "ttl: must be less than or equal to 255",
    ),
    "properties-two": (
        neighbor(properties=[{"type": "ebgpMultiHop", "ebgpMultiHop": {"ttl": 2}}] * 2),
        "properties: ",
    ),
    "bfd-interval": (neighbor(bfd={"receiveInterval": 9}), "receiveInterval: must be"),
    "bfd-transmit": (neighbor(bfd={"transmitInterval": 60001}), "transmitInterval: must be"),
    "bfd-multiplier": (neighbor(bfd={"detectMultiplier": 1}), "detectMultiplier: must be"),
    "bfd-ttl": (neighbor(bfd={"minimumTTL": 255}), "minimumTTL: must be"),
    "bfd-mode": (neighbor(bfd={"sessionMode": "Idle"}), "sessionMode: must be"),
    "bfd-echo": (neighbor(bfd={"echoMode": True}), "`echoMode` is not supported"),
    "families-twice": (
        neighbor(addressFamilies=families("evpn", "evpn")),
        "an address family is given twice",
    ),
    "families-vpn": (
        neighbor(addressFamilies=families("ipv4vpn")),
        "address family ipv4vpn (L3VPN over SRv6) is not supported yet",
    ),
    "families-unknown": (neighbor(addressFamilies=families("ipv9")), "type: must be"),
    "reflector-external": (
        neighbor(addressFamilies=families("evpn", properties=REFLECTED)),
        "routeReflectorClient needs a neighbor of type Internal",
    ),
    # L3VNI
    "vrf-required": (l3vni(vrf=None), "spec.vrf: required, but missing"),
    "vrf-pattern": (l3vni(vrf="1red"), "spec.vrf: must match"),
    "vrf-long": (l3vni(vrf="r" * 16), "spec.vrf: must have at most 15"),
    "vni-required": (l3vni(vni=None), "spec.vni: required, but missing"),
    "vni-zero": (l3vni(vni=0), "spec.vni: must be greater"),
    "vni-high": (l3vni(vni=2**24), "spec.vni: must be less than or equal to 16777215"),
    "port-high": (l3vni(vxlanPort=65536), "spec.vxlanPort: must be"),
    "family-unknown": (l3vni(underlayAddressFamily="IPX"), "must be 'IPv4' or 'IPv6'"),
    "target-as4": (l3vni(exportRTs=["70000:65536"]), "is not a route target"),
    "target-as2": (l3vni(exportRTs=["65000:4294967296"]), "is not a route target"),
    "target-address": (l3vni(importRTs=["10.0.0.1:65536"]), "is not a route target"),
    "target-bad-address": (l3vni(importRTs=["10.0.0.256:1"]), "is not a route target"),
    "target-text": (l3vni(importRTs=["red"]), "is not a route target"),
    "targets-too-many": (l3vni(importRTs=["65000:1"] * 101), "spec.importRTs: "),
    "host-asn-required": (l3vni(hostSession=session(hostASN=None)), "exactly one of hostASN"),
    "host-asn-and-type": (
        l3vni(hostSession=session(hostType="External")),
        "exactly one of hostASN, hostType must be given, not 2",
    ),
    "host-asn-equal": (
        l3vni(hostSession=session(hostASN=65001)),
        "hostASN equals asn 65001: for an internal session give hostType Internal",
    ),
    "local-cidr-required": (l3vni(hostSession=session(localCIDR=None)), "localCIDR: required"),
    "local-cidr-empty": (l3vni(hostSession=session(localCIDR={})), "needs ipv4, ipv6 or both"),
    "local-cidr-family": (
        l3vni(hostSession=session(localCIDR={"ipv4": "fd00::/64"})),
        "localCIDR.ipv4 fd00::/64 is not IPv4",
    ),
    "local-cidr-family-6": (
        l3vni(hostSession=session(localCIDR={"ipv6": "10.0.0.0/24"})),
        "localCIDR.ipv6 10.0.0.0/24 is not IPv6",
    ),
    # L2VNI
    "domain-l3vpn": (
        l2vni(routingDomain={"type": "L3VPN", "l3vpn": {"name": "x"}}),
        "routingDomain of type L3VPN is not supported yet",
    ),
    "domain-and-vrf": (l2vni(vrf="red"), "`vrf` is the older form of `routingDomain`"),
    "gateways-homeless": (l2vni(routingDomain=None), "gatewayIPs need a routingDomain"),
    "gateways-three": (l2vni(gatewayIPs=["10.0.0.1/24"] * 3), "spec.gatewayIPs: "),
    "gateways-same-family": (
        l2vni(gatewayIPs=["10.0.0.1/24", "10.1.0.1/24"]),
        "gatewayIPs takes one address per family",
    ),
    "gateway-bare": (l2vni(gatewayIPs=["10.0.0.1"]), "an address with its prefix length"),
    "bridge-ovs": (
        l2vni(hostMaster={"type": "OVSBridge", "ovsBridge": {"lifecycle": "Managed"}}),
        "hostMaster of type OVSBridge is not supported yet",
    ),
    "bridge-unnamed": (
        l2vni(hostMaster={"type": "LinuxBridge", "linuxBridge": {"lifecycle": "External"}}),
        "an External linuxBridge has a `name`",
    ),
    "bridge-named": (
        l2vni(
            hostMaster={
                "type": "LinuxBridge",
                "linuxBridge": {"lifecycle": "Managed", "name": "br0"},
            }
        ),
        "a Managed one has none",
    ),
    "bridge-name-long": (
        l2vni(
            hostMaster={
                "type": "LinuxBridge",
                "linuxBridge": {"lifecycle": "External", "name": "b" * 16},
            }
        ),
        "is not an interface name",
    ),
    # L3Passthrough, RawFRRConfig, node selectors
    "passthrough-session": (
        manifest("L3Passthrough", "p", hostSession=None),
        "spec.hostSession: required, but missing",
    ),
    "raw-empty": (manifest("RawFRRConfig", "r", rawConfig=""), "spec.rawConfig: "),
    "raw-priority": (manifest("RawFRRConfig", "r", priority=-1), "spec.priority: must be"),
    "raw-control": (manifest("RawFRRConfig", "r", rawConfig="a\0"), "control character"),
    "selector-operator": (
        l3vni(nodeSelector={"matchExpressions": [{"key": "a", "operator": "Like"}]}),
        "operator: must be",
    ),
    "selector-values": (
        l3vni(nodeSelector={"matchExpressions": [{"key": "a", "operator": "In"}]}),
        "a node selector with `In` needs `values`",
    ),
    "selector-no-values": (
        l3vni(
            nodeSelector={"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}
        ),
        "a node selector with `Exists` takes no `values`",
    ),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_rejects_the_resource_by_name_and_says_why(rule: str) -> None:
    bad, complaint = BROKEN[rule]
    found = resources(bad)
    assert not found.items
    (status,) = found.rejected
    assert (status.kind, status.name) == (bad["kind"], bad["metadata"]["name"])
    assert not status.ready
    assert status.reason == "ValidationFailed"
    assert complaint in status.message
    assert "\n" not in status.message
    assert "(pe.yaml:" in status.message


@pytest.mark.parametrize(
    "good",
    [
        *(manifest(kind, "good") for kind in GOOD),
        underlay(tunnelEndpoint={"cidrs": ["100.64.0.0/24", "fd00::/64"]}, gracefulRestart={}),
        underlay(routeReflector={}),
        neighbor(holdTimeSeconds=0, keepaliveTimeSeconds=0, port=0),
        neighbor(asn=None, type="Internal", addressFamilies=families("evpn", properties=REFLECTED)),
        l3vni(exportRTs=["65535:4294967295", "4294967295:65535", "255.255.255.255:65535"]),
        l3vni(hostSession=session(hostASN=None, hostType="Internal")),
        l3vni(hostSession=None, nodeSelector={}),
        l2vni(routingDomain=None, gatewayIPs=None),
        l2vni(exportRTs=["65000:110"], hostNetns="/run/netns/pod"),
        # An L3Passthrough may be internal by number, unlike an L3VNI.
        manifest("L3Passthrough", "p", hostSession=session(hostASN=65001)),
    ],
)
def test_what_the_rules_allow_is_accepted(good: Yaml) -> None:
    found = resources(good)
    assert not found.rejected
    assert len(found.items) == 1


@pytest.mark.parametrize("kind", ["L3VPN", "OpenPERouter", "RouterNodeConfigurationStatus"])
def test_a_kind_that_is_not_supported_is_refused_by_name(kind: str) -> None:
    bad = {**underlay(), "kind": kind}
    (status,) = resources(bad).rejected
    assert status.kind == kind
    assert kind in status.message


def test_a_password_is_in_no_message_and_no_repr() -> None:
    assert "hunter" not in repr(resources(neighbor(password="hunter2")))
    assert "hunter" not in repr(resources(neighbor(password="hunter 3")))
