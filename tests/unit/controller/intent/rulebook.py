"""The book of rules: of the resources and of what comes of them, each by an id. And the mark that
ties a test to one.

A test says `@rule("L3VNI.vrf.unique")`; a table of cases has keys such as `L3VNI.vrf.unique: two
of them` and goes through `cases`. From both comes docs/RULES.md, see test_rulebook.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from tests.unit.controller.intent.rulebook_differences import DIFFERENCES
from tests.unit.controller.intent.rulebook_outputs import FRR_CONF, LAYOUT, TOLD

RESOURCES: Mapping[str, str] = {
    # What holds for every resource
    "Manifest.group": "both API groups are accepted, and no other",
    "Manifest.kinds": "kinds: Underlay, L3VNI, L2VNI, L3Passthrough, RawFRRConfig; others are "
    "refused by name (L3VPN, OpenPERouter, RouterNodeConfigurationStatus)",
    "Manifest.unknown": "nothing is ignored: a field that does not exist rejects the resource",
    "Manifest.all": "every error of a manifest is told, with its file, line and column, and what "
    "was probably meant",
    "Manifest.addresses": "no field takes an address that cannot be there: unspecified, loopback, "
    "multicast, class E, IPv4-mapped, IPv6 link-local, a network or a broadcast as a host, a /0; "
    "a neighbor may be IPv6 link-local, and a listenRange /0",
    "Manifest.null": "a field that is null is left out",
    "Manifest.older": "older field names and forms mean the same as today's",
    "Manifest.older.conflict": "an older name beside the new one is a contradiction",
    "Manifest.name": "names are unique per kind and Kubernetes namespace; the first of two stays. "
    "One of an unusual namespace is called namespace/name",
    "Manifest.nodeSelector": "labels and expressions with In, NotIn, Exists, DoesNotExist; empty "
    "is every node",
    "Manifest.isolation": "a rejected resource says why and leaves the others as they are",
    "Manifest.merge": "several files and directories are one set of resources",
    "Manifest.lastGood": "a spoilt edit leaves what was there; a deletion is one",
    "Static.layout": "static files: underlays[], l3vnis[], l2vnis[], l3vpns[], rawfrrconfigs[], "
    "bgppassthrough, each a spec with an optional name",
    "Node.index": "the node's number, from a file or the command line, which wins",
    "Node.name": "a name on the command line is that of a node in the files, unless an index is "
    "given too",
    "Node.index.interface": "or the host part of an interface's address: the first of IPv4, "
    "else of IPv6, or the first within `cidr`",
    "Node.settings": "nodeName, which selectors see, and logLevel, from `Node` or node-config.yaml",
    # Underlay
    "Underlay.one": "one per node",
    "Underlay.asn": "required, 1 to 4294967295",
    "Underlay.routerIDCIDR": "an IPv4 CIDR, 10.0.0.0/24 by default",
    "Underlay.routerID": "the router id is address nodeIndex + 1 of routerIDCIDR",
    "Underlay.routerIDCIDR.size": "routerIDCIDR has an address for the node",
    "Underlay.neighbors": "1 to 128",
    "Underlay.neighbors.unique": "no address and no interface is given twice",
    "Underlay.listenRanges": "listen ranges do not overlap",
    "Underlay.interfaces": "at least one",
    "Underlay.interfaces.unique": "no interface is given twice",
    "Underlay.interfaceName": "^[a-zA-Z][a-zA-Z0-9._-]*$, up to 15 characters; a VLAN device does",
    "Underlay.interfaceName.free": "no name that another device of the router has",
    "Underlay.dpdk": "ours: device arguments, and a wiring `owned` (which needs them) or `shared`",
    "Underlay.cniDevice": "interfaces of type CNIDevice are refused by name",
    "Underlay.tunnelEndpoint": "one or two CIDRs, one per family",
    "Underlay.tunnelEndpoint.size": "each CIDR has an address for the node",
    "Underlay.vtep": "the VTEP is address nodeIndex of each CIDR, /32 or /128 on lo",
    "Underlay.gracefulRestart": "on when given; restart time and stale path time are 1 to 4095 "
    "seconds, 120 and 360 by default",
    "Underlay.clusterID": "an IPv4 address outside routerIDCIDR, 192.0.2.1 by default",
    "Underlay.suppressFIBPending": "ours: true or false; in the tenants' instances too",
    "Underlay.isis": "on lo, passive, and on every interface; both families unless ipFamily says "
    "IPv4, IPv6 or DualStack",
    "Underlay.isis.baseNet": "^[0-9a-f]{2}\\.([0-9a-f]{4}\\.){4}00$; nodeIndex is added "
    "to the system ID",
    "Underlay.isis.level": "1 or 2, both by default",
    "Underlay.isis.features": "advertisePassiveOnly, and passive on an interface; no others",
    "Underlay.isis.interfaces": "up to 128, each once; one that is neither lo nor one of "
    "the Underlay's is taken, and remarked",
    "Underlay.srv6": "srv6 is refused by name",
    # Neighbor
    "Neighbor.asn-or-type": "exactly one of asn and type (External, Internal)",
    "Neighbor.peer": "exactly one of address, interface and listenRange; ours: an IPv6 link-local "
    "address may have an interface",
    "Neighbor.address": "an IP address; IPv6 link-local with the interface, or on the only one",
    "Neighbor.address.own": "ours: not this node's own VTEP",
    "Neighbor.interface": "up to 15 characters, no `/`, `:` or blank, not `.` or `..`",
    "Neighbor.interface.known": "one that is none of the Underlay's is taken, and remarked",
    "Neighbor.listenRange": "a CIDR, 0.0.0.0/0 too; not one from which nobody can connect, as "
    "IPv6 link-local",
    "Neighbor.port": "0 to 16384",
    "Neighbor.ebgpMultiHop": "one property at most, with a ttl of 1 to 255; left out, and "
    "remarked, of a session that is internal or on a link",
    "Neighbor.addressFamilies": "ipv4unicast, ipv6unicast, evpn, each once; they replace the "
    "defaults",
    "Neighbor.addressFamilies.default": "the session's own family; those of the tunnel "
    "endpoint and of a passthrough; with a tunnel endpoint ipv4unicast and evpn",
    "Neighbor.routeReflectorClient": "needs a neighbour of type Internal",
    "Neighbor.vpn": "ipv4vpn and ipv6vpn are refused by name",
    # Any BGP session
    "Session.password": "1 to 80 bytes of printable characters, no blank: TCP MD5 and FRR take "
    "no more, though OpenPERouter takes 128",
    "Session.password.one": "password, passwordFile and passwordSecret exclude one another",
    "Session.password.secrecy": "in no message, log, command line or `render`",
    "Session.passwordFile": "ours: a file, relative to the manifest, closed to others",
    "Session.passwordSecret": "a Secret of the secrets directory, closed to others; in "
    "OpenPERouter the field does nothing",
    "Session.timers": "hold and keepalive go together; hold is 0 or at least 3, and not below "
    "keepalive",
    "Session.connectTime": "1 to 65535 seconds",
    "Session.bfd": "intervals 10 to 60000 ms, multiplier 2 to 255, mode Active or Passive, TTL 1 "
    "to 254; echo is refused by name",
    "Session.filter": "ours: importFilter and exportFilter, rules with prefix, ge and le in order",
    # VNIs
    "VNI.underlay": "a VNI needs an Underlay",
    "VNI.tunnelEndpoint": "a VNI needs a tunnel endpoint of its family",
    "VNI.vni": "required, 1 to 16777215",
    "VNI.vni.unique": "unique among the L3VNIs and L2VNIs of a node",
    "VNI.vxlanPort": "1 to 65535, 4789 by default",
    "VNI.underlayAddressFamily": "IPv4 or IPv6; IPv4 if there is one by default",
    "VNI.routeTargets": "AS:number or address:number of six bytes in all, up to 100 a list; on "
    "L3VNIs and, ours, on L2VNIs",
    "VNI.hostNetns": "ours: the namespace where the leg ends, by name or path, without blanks",
    "VNI.mtu": "the underlay's less 50 bytes, less 70 with an IPv6 VTEP; too little is remarked",
    "L3VNI.vrf": "required, ^[a-zA-Z][a-zA-Z0-9_-]*$, up to 15 characters",
    "L3VNI.vrf.unique": "one L3VNI per VRF",
    "L3VNI.vrf.free": "ours: no name that another device of the router has, or that means all or "
    "the default VRF",
    "L3VNI.hostASN": "hostASN differs from asn: an internal session says hostType Internal",
    "VRF.subnets.distinct": "gateways and host legs of one VRF do not overlap",
    # Host sessions
    "HostSession.asn": "required, 1 to 4294967295",
    "HostSession.hostASN-or-hostType": "exactly one of hostASN and hostType",
    "HostSession.localCIDR": "ipv4, ipv6 or both, each of its family",
    "HostSession.localCIDR.distinct": "those of L3VNIs and of the passthrough do not overlap",
    "HostSession.localCIDR.fabric": "ours: that of a passthrough has no address of the tunnel "
    "endpoint's, and no neighbor's",
    "HostSession.localCIDR.size": "there is an address for this node's host",
    "HostSession.addresses": "the router has the first usable address, the host the one 1 + "
    "nodeIndex after it, with the pool's length",
    "HostSession.options": "ours: password, timers, BFD, filters, gracefulRestart",
    "HostSession.announced": "the host's addresses and the gateways' subnets are advertised",
    # L2VNI
    "L2VNI.routingDomain": "by the name of an L3VNI, first of the same namespace, or by the older "
    "`vrf`, not both",
    "L2VNI.vrf": "a VRF that no L3VNI makes is made by its first L2VNI, and remarked",
    "L2VNI.routingDomain.l3vpn": "a routing domain of type L3VPN is refused by name",
    "L2VNI.routingDomain.missing": "a domain that is missing or failed is reported as "
    "DependencyFailed",
    "L2VNI.gatewayIPs": "with their length, one of each family at most",
    "L2VNI.gatewayIPs.home": "gateways need a routing domain",
    "L2VNI.gatewayMAC": "00:f3 and VNI + 1, the same on every node",
    "L2VNI.hostMaster": "a Linux or Open vSwitch bridge; External has a name of up to 15 "
    "characters, Managed none",
    "L2VNI.hostMaster.device": "Managed makes br-hs-<vni>; without a master the leg is detached",
    # L3Passthrough and RawFRRConfig
    "L3Passthrough.one": "one per node",
    "L3Passthrough.underlay": "needs an Underlay, but no tunnel endpoint",
    "L3Passthrough.hostSession": "required",
    "L3Passthrough.asn": "asn is the Underlay's, in whose instance the session is",
    "L3Passthrough.hostASN": "hostASN may equal asn",
    "L3Passthrough.gracefulRestart": "is the Underlay's, and refused here",
    "RawFRRConfig.rawConfig": "required, without control characters",
    "RawFRRConfig.priority": "0 or more, 0 by default; low comes first",
    "RawFRRConfig.experiment": "its status always says that it is for experimentation only",
    "RawFRRConfig.alone": "works without an Underlay",
}

BOOK: Mapping[str, Mapping[str, str]] = {
    "The resources": RESOURCES,
    "What comes of them: frr.conf": FRR_CONF,
    "What comes of them: the host": LAYOUT,
    "What is said of them": TOLD,
    "Where Dualpath differs": DIFFERENCES,
}
RULES = {identity: says for part in BOOK.values() for identity, says in part.items()}


def rule(*identities: str) -> pytest.MarkDecorator:
    """Say which rules a test enforces. Raises KeyError for one that is not in the book."""
    for identity in identities:
        RULES[identity]
    return pytest.mark.rule(*identities)


def cases(table: Mapping[str, Any]) -> Iterable[Any]:
    """Return the keys of a table as parameters, each with the mark of its rule."""
    return [pytest.param(key, id=key, marks=rule(key.partition(":")[0])) for key in table]
