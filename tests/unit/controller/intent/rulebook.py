"""The rules of the resources and of what Dualpath makes of them, each with an id.

`@rule("L3VNI.vrf.unique")` marks a test that enforces a rule. A table of cases has keys such as
`L3VNI.vrf.unique: two of them` and goes through `cases`. test_rulebook generates docs/RULES.md
from the rules and the marks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from tests.unit.controller.intent.rulebook_differences import DIFFERENCES
from tests.unit.controller.intent.rulebook_outputs import FRR_CONF, LAYOUT, STATUS

RESOURCES: Mapping[str, str] = {
    # Every resource
    "Manifest.group": "Both API groups are accepted, and no other.",
    "Manifest.kinds": "Underlay, L3VNI, L2VNI, L3Passthrough and RawFRRConfig are accepted. Other "
    "kinds are refused by name (L3VPN, OpenPERouter, RouterNodeConfigurationStatus).",
    "Manifest.unknown": "Nothing is ignored: an unknown field rejects the resource.",
    "Manifest.all": "Every error of a manifest is reported, with its file, line and column, and "
    "the name that was probably meant.",
    "Manifest.addresses": "No field accepts an address that is impossible there: unspecified, "
    "loopback, multicast, class E, IPv4-mapped, IPv6 link-local, a network or broadcast address as "
    "a host, a /0. A neighbor may be IPv6 link-local, and a listenRange may be a /0.",
    "Manifest.null": "A field that is null counts as absent.",
    "Manifest.older": "Older field names and forms mean the same as today's.",
    "Manifest.older.conflict": "An older name together with the new one is an error.",
    "Manifest.name": "Names are unique per kind and Kubernetes namespace; of two resources with "
    "one name, the first is accepted. A resource outside the usual namespaces is called "
    "namespace/name.",
    "Manifest.nodeSelector": "Selectors take labels and expressions with In, NotIn, Exists, "
    "DoesNotExist. An empty one selects every node.",
    "Manifest.isolation": "A rejected resource states why, and does not affect the others.",
    "Manifest.merge": "Several files and directories are one set of resources.",
    "Manifest.lastGood": "After a broken edit the earlier version stays in force; a deletion "
    "takes effect.",
    "Static.layout": "Static files: underlays[], l3vnis[], l2vnis[], l3vpns[], rawfrrconfigs[], "
    "bgppassthrough, each a spec with an optional name.",
    "Node.index": "The node's number comes from a file or the command line; the command line "
    "overrides the file.",
    "Node.name": "A name on the command line must be that of a node in the files, unless it comes "
    "with an index.",
    "Node.index.interface": "The number may also be the host part of an interface's address: of "
    "the first IPv4 address, else of the first IPv6 address, or of the first address within "
    "`cidr`.",
    "Node.datapath": "kernel or dpdk, as in the Underlay, for this node.",
    "Node.settings": "nodeName, which selectors see, and logLevel come from `Node` or "
    "node-config.yaml.",
    # Underlay
    "Underlay.one": "A node has at most one.",
    "Underlay.asn": "Required, 1 to 4294967295.",
    "Underlay.routerIDCIDR": "An IPv4 CIDR, 10.0.0.0/24 by default.",
    "Underlay.routerID": "The router ID is address nodeIndex + 1 of routerIDCIDR.",
    "Underlay.routerIDCIDR.size": "routerIDCIDR contains an address for the node.",
    "Underlay.neighbors": "1 to 128 neighbors.",
    "Underlay.neighbors.unique": "No address and no interface occurs twice.",
    "Underlay.listenRanges": "Listen ranges do not overlap.",
    "Underlay.interfaces": "At least one interface.",
    "Underlay.interfaces.unique": "No interface occurs twice.",
    "Underlay.interfaceName": "^[a-zA-Z][a-zA-Z0-9._-]*$, up to 15 characters. A VLAN device is "
    "accepted.",
    "Underlay.interfaceName.free": "Different from the names of all other devices of the router.",
    "Underlay.dpdk": "Dualpath only: device arguments, and a wiring `owned` (which needs them) or "
    "`shared`.",
    "Underlay.cniDevice": "An interface of type CNIDevice has a network configuration list of CNI "
    "1.0.0 or 1.1.0 (rawConfig), and is called net1 by default. Names of plugins have no slash. "
    "runtimeConfig has only what a plugin names in its `capabilities`.",
    "Underlay.interfaces.type": "All interfaces are of one type, and each has the device of its "
    "type.",
    "Underlay.tunnelEndpoint": "One or two CIDRs, one per family.",
    "Underlay.tunnelEndpoint.size": "Each CIDR contains an address for the node.",
    "Underlay.vtep": "The VTEP is address nodeIndex of each CIDR, as /32 or /128 on lo.",
    "Underlay.gracefulRestart": "Enabled if present. Restart time and stale path time are 1 to "
    "4095 seconds, 120 and 360 by default.",
    "Underlay.clusterID": "An IPv4 address outside routerIDCIDR, 192.0.2.1 by default.",
    "Underlay.suppressFIBPending": "Dualpath only: true or false. It applies to the tenants' "
    "instances too.",
    "Underlay.datapath": "Dualpath only: kernel or dpdk. The node switches to it, and the resource "
    "is in force once it forwards. That of `Node` wins.",
    "Underlay.isis": "IS-IS runs on lo, passive, and on every interface, for both families or as "
    "ipFamily says: IPv4, IPv6 or DualStack.",
    "Underlay.isis.baseNet": "^[0-9a-f]{2}\\.([0-9a-f]{4}\\.){4}00$; nodeIndex is added to the "
    "system ID.",
    "Underlay.isis.level": "1 or 2; both by default.",
    "Underlay.isis.features": "advertisePassiveOnly, and passive on an interface; no others.",
    "Underlay.isis.interfaces": "Up to 128, each once. An interface that is neither lo nor one "
    "of the Underlay's is accepted, with a remark.",
    "Underlay.srv6": "srv6 is refused by name.",
    # Neighbor
    "Neighbor.asn-or-type": "Exactly one of asn and type (External, Internal).",
    "Neighbor.peer": "Exactly one of address, interface and listenRange. Dualpath only: an IPv6 "
    "link-local address may have an interface.",
    "Neighbor.address": "An IP address. An IPv6 link-local address needs its interface, unless "
    "the Underlay has only one.",
    "Neighbor.address.own": "Dualpath only: not this node's own VTEP.",
    "Neighbor.interface": "Up to 15 characters, no `/`, `:` or blank, not `.` or `..`.",
    "Neighbor.interface.known": "An interface that is not one of the Underlay's is accepted, with "
    "a remark.",
    "Neighbor.listenRange": "A CIDR, 0.0.0.0/0 included; not one from which no peer can connect, "
    "such as IPv6 link-local.",
    "Neighbor.port": "0 to 16384.",
    "Neighbor.ebgpMultiHop": "At most one property, with a ttl of 1 to 255. A session that is "
    "internal or on a link ignores it, with a remark.",
    "Neighbor.addressFamilies": "ipv4unicast, ipv6unicast, evpn, each once. They replace the "
    "defaults.",
    "Neighbor.addressFamilies.default": "The session's own family, those of the tunnel endpoint "
    "and of a passthrough; with a tunnel endpoint also ipv4unicast and evpn.",
    "Neighbor.routeReflectorClient": "Needs a neighbor of type Internal.",
    "Neighbor.vpn": "ipv4vpn and ipv6vpn are refused by name.",
    # Any BGP session
    "Session.password": "1 to 80 bytes of printable characters without blanks: TCP MD5 and FRR "
    "accept no longer password, though OpenPERouter accepts 128.",
    "Session.password.one": "password, passwordFile and passwordSecret exclude one another.",
    "Session.password.secrecy": "A password appears in no message, log, command line or output "
    "of `render`.",
    "Session.passwordFile": "Dualpath only: a file, relative to the manifest, without access "
    "for other users.",
    "Session.passwordSecret": "A Secret of the secrets directory, without access for other "
    "users. In OpenPERouter the field has no effect.",
    "Session.timers": "Hold and keepalive time are given together. The hold time is 0 or at "
    "least 3, and not below the keepalive time.",
    "Session.connectTime": "1 to 65535 seconds.",
    "Session.bfd": "Intervals 10 to 60000 ms, multiplier 2 to 255, mode Active or Passive, TTL 1 "
    "to 254. Echo is refused by name.",
    "Session.filter": "Dualpath only: importFilter and exportFilter, ordered rules with prefix, "
    "ge and le.",
    # VNIs
    "VNI.underlay": "A VNI needs an Underlay.",
    "VNI.tunnelEndpoint": "A VNI needs a tunnel endpoint of its family.",
    "VNI.vni": "Required, 1 to 16777215.",
    "VNI.vni.unique": "Unique among the L3VNIs and L2VNIs of a node.",
    "VNI.vxlanPort": "1 to 65535, 4789 by default.",
    "VNI.underlayAddressFamily": "IPv4 or IPv6; by default IPv4 if the tunnel endpoint has it.",
    "VNI.routeTargets": "AS:number or address:number, six bytes in all, up to 100 per list. On "
    "L3VNIs and, Dualpath only, on L2VNIs.",
    "VNI.hostNetns": "Dualpath only: the namespace of the host end of the leg, by name or path, "
    "without blanks.",
    "VNI.mtu": "The underlay's MTU minus 50 bytes, minus 70 with an IPv6 VTEP. A result that is "
    "too small gets a remark.",
    "L3VNI.vrf": "Required, ^[a-zA-Z][a-zA-Z0-9_-]*$, up to 15 characters.",
    "L3VNI.vrf.unique": "One L3VNI per VRF.",
    "L3VNI.vrf.free": "Dualpath only: not the name of another device of the router, nor one that "
    "means all or the default VRF.",
    "L3VNI.hostASN": "hostASN differs from asn; an internal session has hostType Internal.",
    "VRF.subnets.distinct": "Gateways and host legs of one VRF do not overlap.",
    # Host sessions
    "HostSession.asn": "Required, 1 to 4294967295.",
    "HostSession.hostASN-or-hostType": "Exactly one of hostASN and hostType.",
    "HostSession.localCIDR": "ipv4, ipv6 or both, each of its family.",
    "HostSession.localCIDR.distinct": "Those of L3VNIs and of the passthrough do not overlap.",
    "HostSession.localCIDR.fabric": "Dualpath only: that of a passthrough contains no address of "
    "the tunnel endpoint, and no neighbor.",
    "HostSession.localCIDR.size": "It contains an address for this node's host.",
    "HostSession.addresses": "The router has the first usable address; the host's address is 1 "
    "+ nodeIndex after it, with the pool's length.",
    "HostSession.options": "Dualpath only: password, timers, BFD, filters, gracefulRestart.",
    "HostSession.announced": "The host's addresses and the gateways' subnets are advertised.",
    # L2VNI
    "L2VNI.routingDomain": "Given by the name of an L3VNI, preferably of the same namespace, or by "
    "the older `vrf`, but not both.",
    "L2VNI.vrf": "If no L3VNI creates the VRF, its first L2VNI does, with a remark.",
    "L2VNI.routingDomain.l3vpn": "A routing domain of type L3VPN is refused by name.",
    "L2VNI.routingDomain.missing": "A missing or failed routing domain is reported as "
    "DependencyFailed.",
    "L2VNI.gatewayIPs": "With their length, at most one of each family.",
    "L2VNI.gatewayIPs.home": "Gateways need a routing domain.",
    "L2VNI.gatewayMAC": "00:f3 and VNI + 1, the same on every node.",
    "L2VNI.hostMaster": "A Linux or Open vSwitch bridge. External has a name of up to 15 "
    "characters, Managed has none.",
    "L2VNI.hostMaster.device": "Managed creates br-hs-<vni>. Without a master the host leg is "
    "detached.",
    # L3Passthrough and RawFRRConfig
    "L3Passthrough.one": "A node has at most one.",
    "L3Passthrough.underlay": "Needs an Underlay, but no tunnel endpoint.",
    "L3Passthrough.hostSession": "Required.",
    "L3Passthrough.asn": "asn is that of the Underlay, because the session is in the Underlay's "
    "instance.",
    "L3Passthrough.hostASN": "hostASN may equal asn.",
    "L3Passthrough.gracefulRestart": "It is the Underlay's, and refused here.",
    "RawFRRConfig.rawConfig": "Required, without control characters.",
    "RawFRRConfig.priority": "0 or more, 0 by default; low comes first.",
    "RawFRRConfig.experiment": "Its status always remarks that it is for experimentation only.",
    "RawFRRConfig.alone": "Works without an Underlay.",
}

BOOK: Mapping[str, Mapping[str, str]] = {
    "Resources": RESOURCES,
    "Generated frr.conf": FRR_CONF,
    "Devices and settings": LAYOUT,
    "Status and commands": STATUS,
    "Differences from OpenPERouter": DIFFERENCES,
}
RULES = {identity: text for part in BOOK.values() for identity, text in part.items()}


def rule(*identities: str) -> pytest.MarkDecorator:
    """Mark a test with the rules that it enforces. Raises KeyError for an unknown rule."""
    for identity in identities:
        RULES[identity]
    return pytest.mark.rule(*identities)


def cases(table: Mapping[str, Any]) -> Iterable[Any]:
    """Return the keys of a table as parameters, each marked with its rule."""
    return [pytest.param(key, id=key, marks=rule(key.partition(":")[0])) for key in table]
