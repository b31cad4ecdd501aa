"""The rules of the resource models in CEL, which the API server evaluates at each write.

`RULES` has a row for each method of a model that is marked `@rule`. What CEL cannot express, or
only at a cost that the API server refuses, is in `NODE_ONLY` with the reason; the admission webhook
and the node check it. `FORMATS` has what a type of field requires, by the `format` of its model.

CEL sees one object. Rules that compare resources are in `controller.intent.validate`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import NamedTuple

from controller.intent.addresses import IMPOSSIBLE
from controller.intent.cni import MADE_BY_RUNTIME, MOST_PLUGINS, NETWORK, PLUGIN, VERSIONS

MAPPED = ipaddress.ip_network("::ffff:0:0/96")


class Cel(NamedTuple):
    """One entry of x-kubernetes-validations."""

    rule: str
    message: str


class Format(NamedTuple):
    """What the schema of a field requires, beside its type."""

    schema: Mapping[str, object]
    rules: tuple[Cel, ...] = ()


def _one_of(*names: str) -> str:
    return " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in names) + " == 1"


def _given(name: str) -> str:
    return f"has(self.{name}) && size(self.{name}) > 0"


def _distinct(items: str, value: str) -> str:
    return f"{items}.all(a, {items}.exists_one(b, {value.format('b')} == {value.format('a')}))"


_NAME = (
    "(has({0}.networkDevice) ? {0}.networkDevice.interfaceName : has({0}.cniDevice)"
    " && has({0}.cniDevice.interfaceName) ? {0}.cniDevice.interfaceName : 'net1')"
)
_INTERFACE_NAMES = (
    "self.interfaces.all(a, self.interfaces.exists_one(b, "
    f"{_NAME.format('b')} == {_NAME.format('a')}))"
)
# CEL's cidr() takes no IPv4-mapped IPv6; such addresses are none for isIP() and isCIDR().
_NETWORKS = "[" + ", ".join(f"'{n}'" for n, _ in IMPOSSIBLE if n != MAPPED) + "]"
_POWERS = "[" + ", ".join(str(1 << bits) for bits in range(33)) + "]"
_ADDRESS = "self.split('/')[0]"  # of a text such as 10.0.0.1/24, whose length has a bound
_IPV4_NUMBER = " + ".join(
    f"int({_ADDRESS}.split('.')[{index}]) * {1 << 8 * (3 - index)}" for index in range(4)
)

RULES: Mapping[tuple[str, str], tuple[Cel, ...]] = {
    ("Requirement", "_values_fit_the_operator"): (
        Cel(
            f"!(self.operator in ['In', 'NotIn']) || ({_given('values')})",
            "a node selector with `In` or `NotIn` needs `values`",
        ),
        Cel(
            f"self.operator in ['In', 'NotIn'] || !({_given('values')})",
            "a node selector with `Exists` or `DoesNotExist` takes no `values`",
        ),
    ),
    ("Neighbor", "_one_kind"): (
        Cel(_one_of("asn", "type"), "exactly one of asn, type must be given"),
    ),
    ("Neighbor", "_one_peer"): (
        Cel(
            "(has(self.address) && isIP(self.address) && ip(self.address).family() == 6"
            " && ip(self.address).isLinkLocalUnicast() && has(self.interface)"
            f" && !has(self.listenRange)) || ({_one_of('address', 'interface', 'listenRange')})",
            "exactly one of address, interface, listenRange must be given",
        ),
    ),
    ("Neighbor", "_families_are_distinct"): (
        Cel(
            f"!has(self.addressFamilies) || {_distinct('self.addressFamilies', '{}.type')}",
            "an address family is given twice",
        ),
    ),
    ("Neighbor", "_reflector_clients_are_internal"): (
        Cel(
            "(has(self.type) && self.type == 'Internal') || !has(self.addressFamilies)"
            " || self.addressFamilies.all(f, !has(f.properties) || size(f.properties) == 0)",
            "routeReflectorClient needs a neighbor of type Internal",
        ),
    ),
    ("SessionOptions", "_timers_agree"): (
        Cel(
            "has(self.holdTimeSeconds) == has(self.keepaliveTimeSeconds)",
            "holdTimeSeconds and keepaliveTimeSeconds must be given together",
        ),
        Cel(
            "!has(self.holdTimeSeconds) || !(self.holdTimeSeconds in [1, 2])",
            "holdTimeSeconds must be 0 or at least 3",
        ),
        Cel(
            "!has(self.holdTimeSeconds) || !has(self.keepaliveTimeSeconds)"
            " || self.keepaliveTimeSeconds <= self.holdTimeSeconds",
            "keepaliveTimeSeconds exceeds holdTimeSeconds",
        ),
    ),
    ("PrefixRule", "_lengths_agree"): (
        *(
            Cel(
                f"!has(self.{name}) || !isCIDR(self.prefix)"
                f" || (self.{name} >= cidr(self.prefix).prefixLength()"
                f" && (self.{name} <= 32 || cidr(self.prefix).ip().family() == 6))",
                f"{name} lies between the length of the prefix and that of an address",
            )
            for name in ("ge", "le")
        ),
        Cel("!has(self.ge) || !has(self.le) || self.ge <= self.le", "ge exceeds le"),
    ),
    ("Dpdk", "_owned_is_told_where"): (
        Cel(
            "(has(self.wiring) && self.wiring != 'owned')"
            " || (has(self.devargs) && self.devargs != '')",
            "dpdk.wiring `owned` needs dpdk.devargs, such as 0000:01:00.0",
        ),
    ),
    ("TunnelEndpoint", "_one_per_family"): (
        Cel(
            "size(self.cidrs) < 2 || !self.cidrs.all(c, isCIDR(c))"
            " || cidr(self.cidrs[0]).ip().family() != cidr(self.cidrs[1]).ip().family()",
            "tunnelEndpoint.cidrs takes one CIDR per address family",
        ),
    ),
    ("RouteReflector", "_it_is_ipv4"): (
        Cel(
            "!has(self.clusterID) || !isIP(self.clusterID) || ip(self.clusterID).family() == 4",
            "clusterID is not IPv4",
        ),
    ),
    ("Underlay", "_neighbors_are_distinct"): (
        Cel(
            "self.neighbors.all(a, !has(a.address) || !isIP(a.address)"
            " || self.neighbors.exists_one(b, has(b.address) && isIP(b.address)"
            " && ip(b.address) == ip(a.address)))",
            "two neighbors have the same address",
        ),
        Cel(
            "self.neighbors.all(a, !has(a.interface) || has(a.address)"
            " || self.neighbors.exists_one(b, has(b.interface) && !has(b.address)"
            " && b.interface == a.interface))",
            "two neighbors have the same interface",
        ),
    ),
    ("UnderlayInterface", "_its_device_is_of_its_type"): (
        Cel(
            "has(self.networkDevice) == (self.type == 'NetworkDevice')",
            "`networkDevice` is valid with type NetworkDevice only",
        ),
        Cel(
            "has(self.cniDevice) == (self.type == 'CNIDevice')",
            "`cniDevice` is valid with type CNIDevice only",
        ),
    ),
    ("Underlay", "_interfaces_are_of_one_type"): (
        Cel(
            "self.interfaces.all(i, i.type == self.interfaces[0].type)",
            "all interfaces must be of one type, NetworkDevice or CNIDevice",
        ),
    ),
    ("Underlay", "_interfaces_are_distinct"): (
        Cel(_INTERFACE_NAMES, "an interface is given twice"),
    ),
    ("Underlay", "_link_local_neighbors_are_on_one_link"): (
        Cel(
            "size(self.interfaces) == 1 || self.neighbors.all(n, !has(n.address)"
            " || has(n.interface) || !isIP(n.address) || ip(n.address).family() == 4"
            " || !ip(n.address).isLinkLocalUnicast())",
            "a neighbor is IPv6 link-local, and `interfaces` has several links:"
            " give its `interface` as well",
        ),
    ),
    ("Underlay", "_router_ids_are_ipv4"): (
        Cel(
            "!has(self.routerIDCIDR) || !isCIDR(self.routerIDCIDR)"
            " || cidr(self.routerIDCIDR).ip().family() == 4",
            "routerIDCIDR is not IPv4",
        ),
    ),
    ("Underlay", "_the_cluster_is_no_router"): (
        Cel(
            "!has(self.routeReflector) || !has(self.routeReflector.clusterID)"
            " || !isIP(self.routeReflector.clusterID) || !isCIDR(self.routerIDCIDR)"
            " || !cidr(self.routerIDCIDR).containsIP(ip(self.routeReflector.clusterID))",
            "clusterID lies in routerIDCIDR",
        ),
    ),
    ("Isis", "_interfaces_are_distinct"): (
        Cel(
            f"!has(self.interfaces) || {_distinct('self.interfaces', '{}.name')}",
            "an interface is given twice",
        ),
    ),
    ("LocalCidr", "_families_are_what_they_say"): (
        Cel(
            "!has(self.ipv4) || !isCIDR(self.ipv4) || cidr(self.ipv4).ip().family() == 4",
            "localCIDR.ipv4 is not IPv4",
        ),
        Cel(
            "!has(self.ipv6) || !isCIDR(self.ipv6) || cidr(self.ipv6).ip().family() == 6",
            "localCIDR.ipv6 is not IPv6",
        ),
    ),
    ("LocalCidr", "_one_family_is_there"): (
        Cel("has(self.ipv4) || has(self.ipv6)", "localCIDR needs ipv4, ipv6 or both"),
    ),
    ("HostSession", "_one_kind_of_host"): (
        Cel(_one_of("hostASN", "hostType"), "exactly one of hostASN, hostType must be given"),
    ),
    ("L3Vni", "_internal_host_says_so"): (
        Cel(
            "!has(self.hostSession) || !has(self.hostSession.hostASN)"
            " || self.hostSession.hostASN != self.hostSession.asn",
            "hostASN equals asn: for an internal session give hostType Internal",
        ),
    ),
    ("HostBridge", "_named_if_external"): (
        Cel(
            "(self.lifecycle == 'External') == (has(self.name) && self.name != '')",
            "an External bridge has a `name`, and a Managed one has none",
        ),
    ),
    ("HostMaster", "_the_bridge_is_of_the_type"): (
        Cel(
            _one_of("linuxBridge", "ovsBridge"),
            "exactly one of linuxBridge, ovsBridge must be given",
        ),
        Cel(
            "(self.type == 'OVSBridge') == has(self.ovsBridge)",
            "hostMaster has another kind of bridge than its type",
        ),
    ),
    ("L2Vni", "_gateways_have_a_home"): (
        Cel(
            "!has(self.routingDomain) || !has(self.vrf)",
            "`vrf` is the older form of `routingDomain`; give one of them",
        ),
        Cel(
            f"!({_given('gatewayIPs')}) || has(self.routingDomain) || has(self.vrf)",
            "gatewayIPs need a routingDomain",
        ),
    ),
    ("L2Vni", "_one_gateway_per_family"): (
        Cel(
            "!has(self.gatewayIPs) || size(self.gatewayIPs) < 2"
            " || !self.gatewayIPs.all(g, isCIDR(g))"
            " || cidr(self.gatewayIPs[0]).ip().family() != cidr(self.gatewayIPs[1]).ip().family()",
            "gatewayIPs takes one address per family",
        ),
    ),
    ("L3Passthrough", "_restart_is_the_underlays"): (
        Cel(
            "!has(self.hostSession.gracefulRestart)",
            "gracefulRestart here is the Underlay's: its session is in that instance",
        ),
    ),
    ("RawFrrConfig", "_one_line_each"): (
        Cel(
            "!self.rawConfig.replace('\\r\\n', '\\n').matches('[\\\\x00-\\\\x08\\\\x0b-\\\\x1f]')",
            "rawConfig holds a control character",
        ),
    ),
    ("Underlay", "_listen_ranges_do_not_overlap"): (
        Cel(
            "self.neighbors.all(a, !has(a.listenRange) || !isCIDR(a.listenRange)"
            " || self.neighbors.filter(b, has(b.listenRange) && isCIDR(b.listenRange)"
            " && cidr(b.listenRange).containsCIDR(cidr(a.listenRange))).size() == 1)",
            "two listenRanges overlap",
        ),
    ),
}

NODE_ONLY: Mapping[tuple[str, str], str] = {
    ("CniDevice", "_arguments_have_a_plugin_that_takes_them"): "CEL does not see the names of "
    "fields that a schema does not have",
}

NODE_ONLY_FORMATS: Mapping[str, str] = {
    "gateway": "that an IPv6 gateway is not the address of its network: the API server knows no "
    "bound on the cost of comparing two addresses",
    "cni-list": "its length as JSON, and `disableCheck`, which is a boolean or a text",
    "cni-arguments": "its length as JSON",
}

_NO_CIDR = Cel("isCIDR(self)", "not a CIDR such as 10.0.0.0/24 or 2001:db8::/64")
_NO_IP = Cel("isIP(self)", "not an IP address")
_NO_HOST = Cel(
    f"!isIP(self) || !{_NETWORKS}.exists(n, cidr(n).containsIP(ip(self)))",
    "no host has this address",
)
_POOL = Cel(
    f"!isCIDR(self) || {_NETWORKS}.all(n, !cidr(n).containsCIDR(cidr(self))"
    " && !cidr(self).containsCIDR(cidr(n)))",
    "it has addresses that no host can have",
)
_CIDR_SCHEMA = {"type": "string", "minLength": 3, "maxLength": 43}
_IP_SCHEMA = {"type": "string", "minLength": 2, "maxLength": 39}

_ANY_OBJECT = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_PLUGIN_NAME = {"type": "string", "pattern": f"^{PLUGIN.pattern}$", "maxLength": 64}
_PLUGIN = {
    **_ANY_OBJECT,
    "required": ["type"],
    "properties": {
        "type": _PLUGIN_NAME,
        "ipam": {**_ANY_OBJECT, "properties": {"type": _PLUGIN_NAME}},
        "capabilities": {
            "type": "object",
            "maxProperties": 64,
            "additionalProperties": {"type": "boolean"},
        },
        **dict.fromkeys(MADE_BY_RUNTIME, _ANY_OBJECT),
    },
    "x-kubernetes-validations": [
        {
            "message": f"`{name}` is given to the plugin by the controller: leave it out",
            "rule": f"!has(self.{name})",
        }
        for name in MADE_BY_RUNTIME
    ],
}
_CNI_LIST = {
    **_ANY_OBJECT,
    "required": ["cniVersion", "name", "plugins"],
    "properties": {
        "cniVersion": {"type": "string", "enum": [*VERSIONS]},
        "name": {"type": "string", "pattern": f"^{NETWORK.pattern}$", "maxLength": 127},
        "plugins": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_PLUGINS,
            "items": _PLUGIN,
            "x-kubernetes-list-type": "atomic",
        },
    },
}

FORMATS: Mapping[str, Format] = {
    "int-or-percent": Format(
        {"x-kubernetes-int-or-string": True},
        (
            Cel(
                "type(self) == int ? self >= 1 : self.matches('^([1-9][0-9]?|100)%$')",
                "must be a number of nodes from 1, or a percentage such as 10%",
            ),
        ),
    ),
    "prefix": Format(_CIDR_SCHEMA, (_NO_CIDR,)),
    "pool": Format(_CIDR_SCHEMA, (_NO_CIDR, _POOL)),
    "peer-range": Format(
        _CIDR_SCHEMA,
        (
            _NO_CIDR,
            Cel(
                f"!isCIDR(self) || !{_NETWORKS}.exists(n, cidr(n).containsCIDR(cidr(self)))",
                "no peer can connect from this range",
            ),
        ),
    ),
    "gateway": Format(
        _CIDR_SCHEMA,
        (
            Cel("isCIDR(self)", "not an address with its prefix length, such as 10.0.0.1/24"),
            _POOL,
            Cel(
                "!isCIDR(self) || cidr(self).ip().family() == 6 || cidr(self).prefixLength() >= 31"
                f" || ({_IPV4_NUMBER}) % {_POWERS}[32 - cidr(self).prefixLength()] != 0",
                "the address of the network itself: give a host's",
            ),
            Cel(
                "!isCIDR(self) || cidr(self).ip().family() == 6 || cidr(self).prefixLength() >= 31"
                f" || ({_IPV4_NUMBER} + 1) % {_POWERS}[32 - cidr(self).prefixLength()] != 0",
                "the broadcast address of its network: give a host's",
            ),
        ),
    ),
    "host": Format(_IP_SCHEMA, (_NO_IP, _NO_HOST)),
    "peer": Format(
        _IP_SCHEMA,
        (
            _NO_IP,
            Cel(
                "!isIP(self) || (ip(self).family() == 6 && ip(self).isLinkLocalUnicast())"
                f" || !{_NETWORKS}.exists(n, cidr(n).containsIP(ip(self)))",
                "no host has this address",
            ),
        ),
    ),
    "interface": Format(
        {"type": "string", "maxLength": 15, "pattern": "^[!-,.0-9;-~][!-.0-9;-~]{0,14}$"},
        (Cel("!(self in ['.', '..'])", "not an interface name"),),
    ),
    "route-target": Format(
        {
            "type": "string",
            "maxLength": 21,
            "pattern": r"^[0-9]+(\.[0-9]+\.[0-9]+\.[0-9]+)?:[0-9]{1,10}$",
        },
        (
            Cel(
                "!self.matches('^[0-9.]+:[0-9]{1,10}$') || (self.contains('.')"
                " ? isIP(self.split(':')[0]) && int(self.split(':')[1]) <= 65535"
                " : int(self.split(':')[0]) <= 4294967295 && int(self.split(':')[1])"
                " <= (int(self.split(':')[0]) <= 65535 ? 4294967295 : 65535))",
                "not a route target: AS:number or address:number, six bytes in all",
            ),
        ),
    ),
    "password": Format(
        {"type": "string", "minLength": 1, "maxLength": 80, "pattern": r"^[^\p{C}\p{Z}]+$"},
        (Cel("size(bytes(self)) <= 80", "a password has at most 80 bytes"),),
    ),
    "cni-list": Format(_CNI_LIST),
    "cni-arguments": Format(_ANY_OBJECT),
    "net": Format({"type": "string", "pattern": r"^[0-9a-f]{2}\.([0-9a-f]{4}\.){4}00$"}),
}
