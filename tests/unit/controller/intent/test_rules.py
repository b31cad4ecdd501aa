"""Each rule of the resource model: a manifest that violates it, and the error the user sees."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.controller.intent import sessions
from tests.unit.controller.intent.build import (
    GOOD,
    Yaml,
    manifest,
    neighbor,
    resources,
    session,
    underlay,
)
from tests.unit.controller.intent.rulebook import cases, rule


def l3vni(**changes: Any) -> Yaml:  # noqa: ANN401
    return manifest("L3VNI", "red", **changes)


def l2vni(**changes: Any) -> Yaml:  # noqa: ANN401
    return manifest("L2VNI", "segment", **changes)


def device(name: str) -> Yaml:
    return {"type": "NetworkDevice", "networkDevice": {"interfaceName": name}}


def families(*types: str, **changes: Any) -> list[Yaml]:  # noqa: ANN401
    return [{"type": t, **changes} for t in types]


def dpdk(**settings: Any) -> Yaml:  # noqa: ANN401
    return underlay(
        interfaces=[
            {
                "type": "NetworkDevice",
                "networkDevice": {"interfaceName": "eth1", "dpdk": settings},
            }
        ]
    )


MANAGED = {"lifecycle": "Managed"}
REFLECTED = [{"type": "routeReflectorClient"}]
LINK_LOCAL = {"asn": 1, "address": "fe80::1"}
ONE = GOOD["Underlay"]["neighbors"][0]

BROKEN = {
    # Underlay
    "Underlay.asn: missing": (underlay(asn=None), "spec.asn: required, but missing"),
    "Underlay.asn: zero": (underlay(asn=0), "spec.asn: must be greater than or equal to 1"),
    "Underlay.asn: too high": (
        underlay(asn=2**32),
        "spec.asn: must be less than or equal to 4294967295",
    ),
    "Underlay.asn: text": (underlay(asn="65001"), "spec.asn: must be a valid integer"),
    "Underlay.neighbors: a bad one": (
        neighbor(port=-1),
        "spec.neighbors[0].port: must be greater than or equal to 0 (pe.yaml:1:184)",
    ),
    "Underlay.neighbors: none, and more": (
        underlay(neighbors=[], asn=None),
        "missing (pe.yaml:1:106); spec.neighbors: must have at least 1 item, not 0 (pe.yaml:1:115)",
    ),
    "Underlay.interfaces: a bad one": (
        underlay(interfaces=[{"type": "NetworkDevice"}]),
        "spec.interfaces[0].networkDevice: `networkDevice` is valid with type "
        "NetworkDevice only (pe.yaml:1:201)",
    ),
    "Manifest.unknown: field": (underlay(colour="red"), "spec.colour: unknown field"),
    "Manifest.null: an unknown field": (
        {**underlay(), "spec": {**GOOD["Underlay"], "colour": None}},
        "spec.colour: unknown field",
    ),
    "Manifest.null: a required field": (
        {**underlay(), "spec": {**GOOD["Underlay"], "asn": None}},
        "spec.asn: required, but missing",
    ),
    "Underlay.neighbors: none": (
        underlay(neighbors=[]),
        "spec.neighbors: must have at least 1 item, not 0",
    ),
    "Underlay.neighbors: 129": (underlay(neighbors=[ONE] * 129), "spec.neighbors: "),
    "Underlay.neighbors.unique: address": (
        underlay(neighbors=[ONE, ONE]),
        "two neighbors have address",
    ),
    "Underlay.neighbors.unique: interface": (
        underlay(neighbors=[{"asn": 1, "interface": "eth1"}] * 2),
        "two neighbors have interface eth1",
    ),
    "Underlay.listenRanges: overlap": (
        underlay(neighbors=[{"asn": 1, "listenRange": r} for r in ("10.0.0.0/8", "10.1.0.0/16")]),
        "listenRange 10.0.0.0/8 overlaps 10.1.0.0/16",
    ),
    "Underlay.interfaces: none": (underlay(interfaces=[]), "spec.interfaces: "),
    "Underlay.interfaces.unique: twice": (
        underlay(interfaces=[device("eth1"), device("eth1")]),
        "interface eth1 is given twice",
    ),
    "Underlay.interfaceName: long": (underlay(interfaces=[device("e" * 16)]), "interfaceName: "),
    "Underlay.interfaceName: odd": (underlay(interfaces=[device("1eth")]), "interfaceName: "),
    "Underlay.dpdk: owned without devargs": (dpdk(), "dpdk.wiring `owned` needs dpdk.devargs"),
    "Underlay.dpdk: wiring": (dpdk(wiring="loose"), "wiring: must be 'owned' or 'shared'"),
    "Underlay.dpdk: devargs long": (dpdk(devargs="x" * 128), "devargs: "),
    "Underlay.dpdk: devargs blank": (dpdk(devargs="a b"), "devargs: "),
    "Underlay.routerIDCIDR: no cidr": (
        underlay(routerIDCIDR="10.0.0.1"),
        "'10.0.0.1' is not a CIDR",
    ),
    "Underlay.routerIDCIDR: ipv6": (
        underlay(routerIDCIDR="fd00::/64"),
        "routerIDCIDR fd00::/64 is not IPv4",
    ),
    "Underlay.tunnelEndpoint: none": (
        underlay(tunnelEndpoint={"cidrs": []}),
        "tunnelEndpoint.cidrs: ",
    ),
    "Underlay.tunnelEndpoint: three": (
        underlay(tunnelEndpoint={"cidrs": ["10.0.0.0/24", "fd00::/64", "10.1.0.0/24"]}),
        "tunnelEndpoint.cidrs: ",
    ),
    "Underlay.tunnelEndpoint: one per family": (
        underlay(tunnelEndpoint={"cidrs": ["10.0.0.0/24", "10.1.0.0/24"]}),
        "one CIDR per address family",
    ),
    "Underlay.gracefulRestart: restart time": (
        underlay(gracefulRestart={"restartTimeSeconds": 4096}),
        "4095",
    ),
    "Underlay.gracefulRestart: stale time": (
        underlay(gracefulRestart={"stalePathTimeSeconds": 0}),
        "equal to 1",
    ),
    "Underlay.suppressFIBPending: a word": (
        underlay(suppressFIBPending="yes"),
        "spec.suppressFIBPending: must be a valid boolean",
    ),
    "Underlay.datapath: another": (underlay(datapath="ebpf"), "spec.datapath: must be"),
    "Underlay.srv6: given": (underlay(srv6={}), "`srv6` is not supported yet"),
    "Underlay.clusterID: a number": (
        underlay(routeReflector={"clusterID": 5}),
        "5 is not an IP address",
    ),
    "Underlay.clusterID: ipv6": (
        underlay(routeReflector={"clusterID": "fd00::1"}),
        "clusterID fd00::1 is not IPv4",
    ),
    "Underlay.tunnelEndpoint: an interface in it": (
        underlay(tunnelEndpoint={"cidrs": ["fd00::%eth1/64"]}),
        "is not a CIDR",
    ),
    "L2VNI.gatewayIPs: an interface in it": (
        l2vni(gatewayIPs=["fd00::1%eth1/64"]),
        "an address with its prefix length",
    ),
    "Underlay.clusterID: inside": (
        underlay(routeReflector={"clusterID": "10.0.0.9"}),
        "clusterID 10.0.0.9 lies in routerIDCIDR 10.0.0.0/24",
    ),
    # Neighbor
    "Neighbor.asn-or-type: both": (
        neighbor(type="External"),
        "exactly one of asn, type must be given, not 2",
    ),
    "Neighbor.asn-or-type: none": (
        neighbor(asn=None),
        "exactly one of asn, type must be given, not 0",
    ),
    "Neighbor.asn-or-type: unknown": (
        neighbor(asn=None, type="Odd"),
        "type: must be 'External' or 'Internal'",
    ),
    "Neighbor.peer: none": (
        neighbor(address=None),
        "exactly one of address, interface, listenRange",
    ),
    "Neighbor.peer: two": (
        neighbor(interface="eth1"),
        "exactly one of address, interface, listenRange",
    ),
    "Neighbor.address: odd": (neighbor(address="10.0.0.256"), "'10.0.0.256' is not an IP address"),
    "Neighbor.address: link-local on several links": (
        underlay(neighbors=[LINK_LOCAL], interfaces=[device("eth1"), device("eth2")]),
        "spec.neighbors[0].address: neighbor fe80::1 is IPv6 link-local, and `interfaces` has",
    ),
    "Neighbor.peer: link-local, and two more": (
        neighbor(address="fe80::1", interface="eth1", listenRange="10.0.0.0/8"),
        "exactly one of address, interface, listenRange",
    ),
    "Neighbor.interface: slash": (
        neighbor(address=None, interface="a/b"),
        "is not an interface name",
    ),
    "Neighbor.interface: dots": (
        neighbor(address=None, interface=".."),
        "is not an interface name",
    ),
    "Neighbor.interface: dash": (neighbor(address=None, interface="-x"), "begins with -"),
    "Neighbor.listenRange: link-local": (
        neighbor(address=None, listenRange="fe80::/64"),
        "no peer can connect from fe80::/64: fe80::/10 is IPv6 link-local",
    ),
    "Neighbor.listenRange: no cidr": (
        neighbor(address=None, listenRange="10.0.0.0"),
        "is not a CIDR",
    ),
    "Neighbor.port: high": (neighbor(port=16385), "port: must be less than or equal to 16384"),
    "Neighbor.ebgpMultiHop: ttl": (
        neighbor(properties=[{"type": "ebgpMultiHop", "ebgpMultiHop": {"ttl": 256}}]),
        "ttl: must be less than or equal to 255",
    ),
    "Neighbor.ebgpMultiHop: twice": (
        neighbor(properties=[{"type": "ebgpMultiHop", "ebgpMultiHop": {"ttl": 2}}] * 2),
        "properties: ",
    ),
    "Neighbor.addressFamilies: twice": (
        neighbor(addressFamilies=families("evpn", "evpn")),
        "an address family is given twice",
    ),
    "Neighbor.vpn: ipv4vpn": (
        neighbor(addressFamilies=families("ipv4vpn")),
        "address family ipv4vpn (L3VPN over SRv6) is not supported yet",
    ),
    "Neighbor.addressFamilies: unknown": (
        neighbor(addressFamilies=families("ipv9")),
        "type: must be",
    ),
    "Neighbor.routeReflectorClient: external": (
        neighbor(addressFamilies=families("evpn", properties=REFLECTED)),
        "routeReflectorClient needs a neighbor of type Internal",
    ),
    **sessions.BROKEN,
    # L3VNI
    "L3VNI.vrf: missing": (l3vni(vrf=None), "spec.vrf: required, but missing"),
    "L3VNI.vrf: pattern": (l3vni(vrf="1red"), "spec.vrf: must match"),
    "L3VNI.vrf: long": (l3vni(vrf="r" * 16), "spec.vrf: must have at most 15"),
    "VNI.vni: missing": (l3vni(vni=None), "spec.vni: required, but missing"),
    "VNI.vni: zero": (l3vni(vni=0), "spec.vni: must be greater"),
    "VNI.vni: high": (l3vni(vni=2**24), "spec.vni: must be less than or equal to 16777215"),
    "VNI.vxlanPort: high": (l3vni(vxlanPort=65536), "spec.vxlanPort: must be"),
    "VNI.underlayAddressFamily: unknown": (
        l3vni(underlayAddressFamily="IPX"),
        "must be 'IPv4' or 'IPv6'",
    ),
    "VNI.routeTargets: as4": (l3vni(exportRTs=["70000:65536"]), "is not a route target"),
    "VNI.routeTargets: as2": (l3vni(exportRTs=["65000:4294967296"]), "is not a route target"),
    "VNI.routeTargets: address": (l3vni(importRTs=["10.0.0.1:65536"]), "is not a route target"),
    "VNI.routeTargets: bad address": (l3vni(importRTs=["10.0.0.256:1"]), "is not a route target"),
    "VNI.routeTargets: text": (l3vni(importRTs=["red"]), "is not a route target"),
    "VNI.routeTargets: other digits": (
        l3vni(importRTs=["\u0661:1"]),
        "is not a route target",
    ),
    "VNI.hostNetns: control character": (l3vni(hostNetns="a\0b"), "spec.hostNetns: must match"),
    "VNI.routeTargets: 101": (l3vni(importRTs=["65000:1"] * 101), "spec.importRTs: "),
    "HostSession.hostASN-or-hostType: none": (
        l3vni(hostSession=session(hostASN=None)),
        "exactly one of hostASN",
    ),
    "HostSession.hostASN-or-hostType: both": (
        l3vni(hostSession=session(hostType="External")),
        "exactly one of hostASN, hostType must be given, not 2",
    ),
    "L3VNI.hostASN: equal": (
        l3vni(hostSession=session(hostASN=65001)),
        "hostASN equals asn 65001: for an internal session give hostType Internal",
    ),
    "HostSession.localCIDR: missing": (
        l3vni(hostSession=session(localCIDR=None)),
        "localCIDR: required",
    ),
    "HostSession.localCIDR: empty": (
        l3vni(hostSession=session(localCIDR={})),
        "needs ipv4, ipv6 or both",
    ),
    "HostSession.localCIDR: ipv6 as ipv4": (
        l3vni(hostSession=session(localCIDR={"ipv4": "fd00::/64"})),
        "localCIDR.ipv4 fd00::/64 is not IPv4",
    ),
    "HostSession.localCIDR: ipv4 as ipv6": (
        l3vni(hostSession=session(localCIDR={"ipv6": "10.0.0.0/24"})),
        "localCIDR.ipv6 10.0.0.0/24 is not IPv6",
    ),
    "HostSession.options: restart time": (
        l3vni(hostSession=session(gracefulRestart={"restartTimeSeconds": 0})),
        "restartTimeSeconds: must be",
    ),
    "HostSession.options: timers": (
        l3vni(hostSession=session(holdTimeSeconds=9)),
        "must be given together",
    ),
    # L2VNI
    "L2VNI.routingDomain.l3vpn: type": (
        l2vni(routingDomain={"type": "L3VPN", "l3vpn": {"name": "x"}}),
        "routingDomain of type L3VPN is not supported yet",
    ),
    "L2VNI.routingDomain: and vrf": (
        l2vni(vrf="red"),
        "`vrf` is the older form of `routingDomain`",
    ),
    "L2VNI.gatewayIPs.home: none": (l2vni(routingDomain=None), "gatewayIPs need a routingDomain"),
    "L2VNI.gatewayIPs: three": (l2vni(gatewayIPs=["10.0.0.1/24"] * 3), "spec.gatewayIPs: "),
    "L2VNI.gatewayIPs: same family": (
        l2vni(gatewayIPs=["10.0.0.1/24", "10.1.0.1/24"]),
        "gatewayIPs takes one address per family",
    ),
    "L2VNI.gatewayIPs: bare": (l2vni(gatewayIPs=["10.0.0.1"]), "an address with its prefix length"),
    "L2VNI.hostMaster: another kind": (
        l2vni(hostMaster={"type": "OVSBridge", "linuxBridge": {"lifecycle": "Managed"}}),
        "hostMaster of type OVSBridge has another kind of bridge",
    ),
    "L2VNI.hostMaster: both kinds": (
        l2vni(hostMaster={"type": "OVSBridge", "linuxBridge": MANAGED, "ovsBridge": MANAGED}),
        "exactly one of linuxBridge, ovsBridge must be given, not 2",
    ),
    "L2VNI.hostMaster: ovs unnamed": (
        l2vni(hostMaster={"type": "OVSBridge", "ovsBridge": {"lifecycle": "External"}}),
        "an External bridge has a `name`",
    ),
    "L2VNI.hostMaster: unnamed": (
        l2vni(hostMaster={"type": "LinuxBridge", "linuxBridge": {"lifecycle": "External"}}),
        "an External bridge has a `name`",
    ),
    "L2VNI.hostMaster: named": (
        l2vni(
            hostMaster={
                "type": "LinuxBridge",
                "linuxBridge": {"lifecycle": "Managed", "name": "br0"},
            }
        ),
        "a Managed one has none",
    ),
    "L2VNI.hostMaster: name long": (
        l2vni(
            hostMaster={
                "type": "LinuxBridge",
                "linuxBridge": {"lifecycle": "External", "name": "b" * 16},
            }
        ),
        "is not an interface name",
    ),
    # L3Passthrough, RawFRRConfig, node selectors
    "L3Passthrough.gracefulRestart: given": (
        manifest("L3Passthrough", "p", hostSession=session(gracefulRestart={})),
        "gracefulRestart here is the Underlay's",
    ),
    "L3Passthrough.hostSession: missing": (
        manifest("L3Passthrough", "p", hostSession=None),
        "spec.hostSession: required, but missing",
    ),
    "RawFRRConfig.rawConfig: empty": (
        manifest("RawFRRConfig", "r", rawConfig=""),
        "spec.rawConfig: ",
    ),
    "RawFRRConfig.priority: negative": (
        manifest("RawFRRConfig", "r", priority=-1),
        "spec.priority: must be",
    ),
    "RawFRRConfig.rawConfig: control character": (
        manifest("RawFRRConfig", "r", rawConfig="a\0"),
        "control character",
    ),
    "Manifest.nodeSelector: operator": (
        l3vni(nodeSelector={"matchExpressions": [{"key": "a", "operator": "Like"}]}),
        "operator: must be",
    ),
    "Manifest.nodeSelector: no values": (
        l3vni(nodeSelector={"matchExpressions": [{"key": "a", "operator": "In"}]}),
        "a node selector with `In` needs `values`",
    ),
    "Manifest.nodeSelector: values": (
        l3vni(
            nodeSelector={"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}
        ),
        "a node selector with `Exists` takes no `values`",
    ),
}


@pytest.mark.parametrize("case", cases(BROKEN))
def test_violated_rule_rejects_the_resource_by_name_with_a_reason(case: str) -> None:
    bad, complaint = BROKEN[case]
    found = resources(bad)
    assert not found.items
    (status,) = found.rejected
    assert (status.kind, status.name) == (bad["kind"], bad["metadata"]["name"])
    assert not status.ready
    assert status.reason == "ValidationFailed"
    assert complaint in status.message
    assert "\n" not in status.message
    assert "(pe.yaml:" in status.message


ALLOWED = {
    "Manifest.kinds: Underlay": underlay(),
    "Manifest.kinds: L3VNI": l3vni(),
    "Manifest.kinds: L2VNI": l2vni(),
    "Manifest.kinds: L3Passthrough": manifest("L3Passthrough", "good"),
    "Manifest.kinds: RawFRRConfig": manifest("RawFRRConfig", "good"),
    "Manifest.null: fields with a default": {
        **underlay(),
        "spec": {
            **GOOD["Underlay"],
            "nodeSelector": None,
            "routerIDCIDR": None,
            "neighbors": [{**ONE, "properties": None, "addressFamilies": None, "bfd": None}],
        },
    },
    "Manifest.null: what others replace": {
        **underlay(),
        "spec": {
            **GOOD["Underlay"],
            "neighbors": [{**ONE, "password": "x", "passwordSecret": None, "holdTime": None}],
        },
    },
    "Underlay.tunnelEndpoint: both families": underlay(
        tunnelEndpoint={"cidrs": ["100.64.0.0/24", "fd00::/64"]}
    ),
    "Underlay.gracefulRestart: defaults": underlay(gracefulRestart={}),
    "Underlay.clusterID: default": underlay(routeReflector={}),
    "Underlay.interfaceName: a VLAN device": underlay(interfaces=[device("eth1.100")]),
    "Underlay.dpdk: owned": dpdk(devargs="0000:01:00.0"),
    "Underlay.dpdk: shared": dpdk(wiring="shared"),
    "Session.timers: off": neighbor(holdTimeSeconds=0, keepaliveTimeSeconds=0),
    "Neighbor.port: zero": neighbor(port=0),
    "Neighbor.routeReflectorClient: internal": neighbor(
        asn=None, type="Internal", addressFamilies=families("evpn", properties=REFLECTED)
    ),
    "Session.filter: a good one": neighbor(
        importFilter=[{"action": "Deny", "prefix": "10.1.0.0/16", "ge": 16, "le": 32}],
        exportFilter=[],
    ),
    "VNI.routeTargets: limits": l3vni(
        exportRTs=["65535:4294967295", "4294967295:65535", "255.255.255.255:65535"]
    ),
    "HostSession.hostASN-or-hostType: type": l3vni(
        hostSession=session(hostASN=None, hostType="Internal")
    ),
    "HostSession.options: restart": l3vni(hostSession=session(gracefulRestart={})),
    "Manifest.nodeSelector: empty": l3vni(hostSession=None, nodeSelector={}),
    "L2VNI.gatewayIPs.home: neither": l2vni(routingDomain=None, gatewayIPs=None),
    "VNI.routeTargets: on an L2VNI": l2vni(exportRTs=["65000:110"], hostNetns="/run/netns/pod"),
    "L2VNI.hostMaster: ovs managed": l2vni(
        hostMaster={"type": "OVSBridge", "ovsBridge": {"lifecycle": "Managed"}}
    ),
    "L2VNI.hostMaster: ovs external": l2vni(
        hostMaster={"type": "OVSBridge", "ovsBridge": {"lifecycle": "External", "name": "br0"}}
    ),
    "L3Passthrough.hostASN: equal": manifest(
        "L3Passthrough", "p", hostSession=session(hostASN=65001)
    ),
}


@pytest.mark.parametrize("case", cases(ALLOWED))
def test_valid_edge_cases_are_accepted(case: str) -> None:
    found = resources(ALLOWED[case])
    assert not found.rejected
    assert len(found.items) == 1


@rule("Manifest.kinds")
@pytest.mark.parametrize("kind", ["L3VPN", "OpenPERouter", "RouterNodeConfigurationStatus"])
def test_unsupported_kind_is_rejected_by_name(kind: str) -> None:
    bad = {**underlay(), "kind": kind}
    (status,) = resources(bad).rejected
    assert status.kind == kind
    assert kind in status.message


@rule("Session.password.secrecy")
def test_password_is_in_no_message_and_no_repr() -> None:
    assert "hunter" not in repr(resources(neighbor(password="hunter2")))
    assert "hunter" not in repr(resources(neighbor(password="hunter 3")))
