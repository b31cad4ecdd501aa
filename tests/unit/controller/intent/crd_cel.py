"""OpenPERouter's CEL rules in Python, by their text: each returns whether a value obeys it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

Value = Any
Rule = Callable[[Value], bool]

VPN = ("ipv4vpn", "ipv6vpn")


def is_ip(value: str) -> bool:
    try:
        return "%" not in value and ipaddress.ip_address(value) is not None
    except ValueError:
        return False


def is_cidr(value: str) -> bool:
    try:
        return "/" in value and "%" not in value and network(value) is not None
    except ValueError:
        return False


def network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(value, strict=False)


def version(value: str) -> int:
    return ipaddress.ip_address(value.partition("/")[0]).version


def families(neighbor: Value) -> list[str]:
    return [family["type"] for family in neighbor.get("addressFamilies", ())]


def reflects(neighbor: Value) -> bool:
    return any(family.get("properties") for family in neighbor.get("addressFamilies", ()))


def has_vpn(neighbor: Value) -> bool:
    return any(name in VPN for name in families(neighbor))


def both_or_none(value: Value, *names: str) -> bool:
    return len({name in value for name in names}) == 1


def not_both(value: Value, *names: str) -> bool:
    return not all(name in value for name in names)


def of_family(cidrs: list[str], wanted: int) -> list[str]:
    return [cidr for cidr in cidrs if is_cidr(cidr) and version(cidr) == wanted]


def bridge_name(value: Value) -> bool:
    return bool(value.get("name")) is not (value.get("lifecycle") == "Managed")


def is_master(value: Value) -> bool:
    linux, ovs = "linuxBridge" in value, "ovsBridge" in value
    return (linux, ovs) == (value["type"] == "LinuxBridge", value["type"] == "OVSBridge")


def cluster_is_outside(spec: Value) -> bool:
    """Defaults of the schema are filled in before the rule is evaluated."""
    if "routeReflector" not in spec:
        return True
    cluster = spec["routeReflector"].get("clusterID", "192.0.2.1")
    pool = spec.get("routerIDCIDR", "10.0.0.0/24")
    if not is_ip(cluster) or not is_cidr(pool):
        return True
    return ipaddress.ip_address(cluster) not in network(pool)


RULES: Mapping[str, Rule] = {
    # interfaces
    "has(self.rawConfig) == (self.type == 'RawConfig')": lambda v: (
        ("rawConfig" in v) == (v["type"] == "RawConfig")
    ),
    "has(self.networkDevice) == (self.type == 'NetworkDevice')": lambda v: (
        ("networkDevice" in v) == (v["type"] == "NetworkDevice")
    ),
    "has(self.cniDevice) == (self.type == 'CNIDevice')": lambda v: (
        ("cniDevice" in v) == (v["type"] == "CNIDevice")
    ),
    "self.all(i, i.type == self[0].type)": lambda v: len({i["type"] for i in v}) == 1,
    r"self.matches('^[^\\/:\\s]+$')": lambda v: re.fullmatch(r"[^/:\t\n\f\r ]+", v) is not None,
    "self != '.' && self != '..'": lambda v: v not in (".", ".."),
    # IS-IS and SRv6
    r"self.matches('^[0-9a-f]{2}\\.([0-9a-f]{4}\\.){4}[0-9a-f]{2}$')": lambda v: (
        re.fullmatch(r"[0-9a-f]{2}\.([0-9a-f]{4}\.){4}[0-9a-f]{2}", v) is not None
    ),
    "isCIDR(self) && cidr(self).ip().family() == 6": lambda v: is_cidr(v) and version(v) == 6,
    "!has(self.srv6) || has(self.isis)": lambda v: "srv6" not in v or "isis" in v,
    "!has(self.srv6) || (has(self.tunnelEndpoint) && has(self.tunnelEndpoint.cidrs) && "
    "self.tunnelEndpoint.cidrs.exists(c, cidr(c).ip().family() == 6))": lambda v: (
        "srv6" not in v or bool(of_family(v.get("tunnelEndpoint", {}).get("cidrs", []), 6))
    ),
    # a neighbor
    "isIP(self)": is_ip,
    "isCIDR(self)": is_cidr,
    "!isCIDR(self) || cidr(self).ip().family() != 6 || !cidr(self).ip().isLinkLocalUnicast()": (
        lambda v: (
            not is_cidr(v)
            or version(v) != 6
            or not ipaddress.ip_address(v.partition("/")[0]).is_link_local
        )
    ),
    "!(self.exists(f, f.type == 'evpn') && self.exists(f, f.type == 'ipv4vpn' || f.type == "
    "'ipv6vpn'))": lambda v: (
        not ({"evpn"} & {f["type"] for f in v} and {*VPN} & {f["type"] for f in v})
    ),
    "!has(self.ebgpMultiHop) || self.type == 'ebgpMultiHop'": lambda v: (
        "ebgpMultiHop" not in v or v["type"] == "ebgpMultiHop"
    ),
    "has(self.asn) || has(self.type)": lambda v: "asn" in v or "type" in v,
    "!has(self.asn) || !has(self.type)": lambda v: not_both(v, "asn", "type"),
    "has(self.holdTimeSeconds) == has(self.keepaliveTimeSeconds)": lambda v: both_or_none(
        v, "holdTimeSeconds", "keepaliveTimeSeconds"
    ),
    "!has(self.holdTimeSeconds) || self.holdTimeSeconds == 0 || self.holdTimeSeconds >= 3": (
        lambda v: v.get("holdTimeSeconds", 0) == 0 or v["holdTimeSeconds"] >= 3
    ),
    "!has(self.holdTimeSeconds) || !has(self.keepaliveTimeSeconds) || self.keepaliveTimeSeconds "
    "<= self.holdTimeSeconds": lambda v: (
        v.get("keepaliveTimeSeconds", 0) <= v.get("holdTimeSeconds", 2**63)
    ),
    "has(self.address) || has(self.interface) || has(self.listenRange)": lambda v: bool(
        {"address", "interface", "listenRange"} & v.keys()
    ),
    "!has(self.address) || !has(self.interface)": lambda v: not_both(v, "address", "interface"),
    "!has(self.listenRange) || !has(self.address)": lambda v: not_both(v, "listenRange", "address"),
    "!has(self.listenRange) || !has(self.interface)": lambda v: not_both(
        v, "listenRange", "interface"
    ),
    "!has(self.interface) || !has(self.addressFamilies) || !self.addressFamilies.exists(f, "
    "f.type == 'ipv4vpn' || f.type == 'ipv6vpn')": lambda v: "interface" not in v or not has_vpn(v),
    "!has(self.address) || !has(self.addressFamilies) || ip(self.address).family() != 4 || "
    "!self.addressFamilies.exists(f, f.type == 'ipv4vpn' || f.type == 'ipv6vpn')": lambda v: (
        not is_ip(v.get("address", "")) or version(v["address"]) != 4 or not has_vpn(v)
    ),
    "!(has(self.addressFamilies) && self.addressFamilies.exists(af, has(af.properties) && "
    "af.properties.exists(o, o.type == 'routeReflectorClient'))) || (has(self.type) && self.type "
    "== 'Internal')": lambda v: not reflects(v) or v.get("type") == "Internal",
    # the rest of an Underlay
    "isIP(self) && ip(self).family() == 4": lambda v: is_ip(v) and version(v) == 4,
    "!has(self.routeReflector) || !has(self.routeReflector.clusterID) || "
    "!isIP(self.routeReflector.clusterID) || !has(self.routerIDCIDR) || "
    "!isCIDR(self.routerIDCIDR) || "
    "!cidr(self.routerIDCIDR).containsIP(self.routeReflector.clusterID)": cluster_is_outside,
    "self.all(c, isCIDR(c))": lambda v: all(map(is_cidr, v)),
    "self.filter(c, isCIDR(c) && cidr(c).ip().family() == 4).size() <= 1": lambda v: (
        len(of_family(v, 4)) <= 1
    ),
    "self.filter(c, isCIDR(c) && cidr(c).ip().family() == 6).size() <= 1": lambda v: (
        len(of_family(v, 6)) <= 1
    ),
    # host sessions
    "has(self.ipv4) || has(self.ipv6)": lambda v: bool({"ipv4", "ipv6"} & v.keys()),
    "has(self.hostASN) || has(self.hostType)": lambda v: bool({"hostASN", "hostType"} & v.keys()),
    "!has(self.hostASN) || !has(self.hostType)": lambda v: not_both(v, "hostASN", "hostType"),
    "!has(self.hostSession) || !has(self.hostSession.hostASN) || self.hostSession.hostASN != "
    "self.hostSession.asn": lambda v: (
        "hostASN" not in v.get("hostSession", {})
        or v["hostSession"]["hostASN"] != v["hostSession"].get("asn")
    ),
    # an L2VNI
    '(self.?name.orValue("") != "") != (self.?lifecycle.orValue("") == \'Managed\')': bridge_name,
    "(self.type == 'LinuxBridge' && has(self.linuxBridge) && !has(self.ovsBridge)) || (self.type "
    "== 'OVSBridge' && has(self.ovsBridge) && !has(self.linuxBridge))": is_master,
    "self.type != 'L3VNI' || (has(self.l3vni) && !has(self.l3vpn))": lambda v: (
        v["type"] != "L3VNI" or ("l3vni" in v and "l3vpn" not in v)
    ),
    "self.type != 'L3VPN' || (has(self.l3vpn) && !has(self.l3vni))": lambda v: (
        v["type"] != "L3VPN" or ("l3vpn" in v and "l3vni" not in v)
    ),
    "!has(self.gatewayIPs) || size(self.gatewayIPs) == 0 || has(self.routingDomain)": lambda v: (
        not v.get("gatewayIPs") or "routingDomain" in v
    ),
}
