"""Validates addresses: refuses those that no host, router or pool can have. Pure.

A filter's prefix and a route target may hold any address; they have types of their own.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from controller.intent.rules import refusal

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

IMPOSSIBLE: tuple[tuple[Network, str], ...] = (
    (ipaddress.ip_network("0.0.0.0/8"), "unspecified"),  # RFC 1122 section 3.2.1.3
    (ipaddress.ip_network("127.0.0.0/8"), "loopback"),
    (ipaddress.ip_network("224.0.0.0/4"), "multicast"),
    (ipaddress.ip_network("240.0.0.0/4"), "class E"),  # with 255.255.255.255
    (ipaddress.ip_network("::/128"), "unspecified"),
    (ipaddress.ip_network("::1/128"), "loopback"),
    (ipaddress.ip_network("::ffff:0:0/96"), "IPv4-mapped IPv6"),
    (ipaddress.ip_network("fe80::/10"), "IPv6 link-local"),
    (ipaddress.ip_network("ff00::/8"), "multicast"),
)
"""IPv4 link-local addresses are not here: sessions over 169.254.0.0/16 are usual."""


_WITH_LENGTH = re.compile(r"[^/%]+/(0|[1-9][0-9]{0,2})")
"""No netmask, and no 010 for 10 or for 8: neither Kubernetes nor FRR accepts those."""


def kind_of(address: IpAddress) -> str:
    """Return why no host can have this address; "" if a host can."""
    return next((what for net, what in IMPOSSIBLE if address in net), "")


def _network(value: object) -> object:
    if isinstance(value, (ipaddress.IPv4Network, ipaddress.IPv6Network)):
        return value
    try:
        if isinstance(value, str) and _WITH_LENGTH.fullmatch(value):
            return ipaddress.ip_network(value, strict=False)
    except ValueError:
        pass
    raise refusal(f"{value!r} is not a CIDR such as 10.0.0.0/24 or 2001:db8::/64")


def _interface(value: object) -> object:
    if isinstance(value, (ipaddress.IPv4Interface, ipaddress.IPv6Interface)):
        return value
    try:
        if isinstance(value, str) and _WITH_LENGTH.fullmatch(value):
            return ipaddress.ip_interface(value)
    except ValueError:
        pass
    raise refusal(f"{value!r} is not an address with its prefix length, such as 10.0.0.1/24")


def _address(value: object) -> object:
    if isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        return value
    try:
        if isinstance(value, str) and "%" not in value:
            return ipaddress.ip_address(value)
    except ValueError:
        pass
    raise refusal(f"{value!r} is not an IP address")


def _host(value: IpAddress) -> IpAddress:
    if what := kind_of(value):
        raise refusal(f"{value} cannot be a host's address: it is {what}")
    return value


def _peer(value: IpAddress) -> IpAddress:
    return value if is_link_local(value) else _host(value)


def is_link_local(address: IpAddress) -> bool:
    """Return whether an address is valid on one link only: then the link must be given too."""
    return address.version == 6 and address.is_link_local


def _range(value: Network) -> Network:
    """Refuse a range from which no peer can connect; 0.0.0.0/0 allows every peer."""
    for net, what in IMPOSSIBLE:
        inside = value.version == net.version and value.overlaps(net)
        if inside and value.prefixlen >= net.prefixlen:
            raise refusal(f"no peer can connect from {value}: {net} is {what}")
    return value


def _pool(value: Network) -> Network:
    if value.prefixlen == 0:
        raise refusal(f"{value} covers every address: give a smaller range")
    for net, what in IMPOSSIBLE:
        if value.version == net.version and value.overlaps(net):
            raise refusal(f"{value} has addresses that no host can have: {net} is {what}")
    return value


def _gateway(value: Interface) -> Interface:
    _pool(value.network)
    if (
        value.max_prefixlen - value.network.prefixlen <= 1
    ):  # RFC 3021, RFC 6164: a host can have either address
        return value
    if value.ip == value.network.network_address:
        raise refusal(f"{value} is the address of the network itself: give a host's")
    if value.version == 4 and value.ip == value.network.broadcast_address:
        raise refusal(f"{value} is the broadcast address of its network: give a host's")
    return value


def _schema(name: str) -> WithJsonSchema:
    """Name the format of a text in a schema that is generated from the models."""
    return WithJsonSchema({"type": "string", "format": name})


Prefix = Annotated[Network, BeforeValidator(_network), _schema("prefix")]
"""The prefix of a filter: any, also 0.0.0.0/0 and multicast."""
Cidr = Annotated[Network, BeforeValidator(_network), AfterValidator(_pool), _schema("pool")]
"""A pool of addresses for hosts or routers."""
AddressWithLength = Annotated[
    Interface, BeforeValidator(_interface), AfterValidator(_gateway), _schema("gateway")
]
Address = Annotated[IpAddress, BeforeValidator(_address), AfterValidator(_host), _schema("host")]
PeerAddress = Annotated[
    IpAddress, BeforeValidator(_address), AfterValidator(_peer), _schema("peer")
]
"""The address of a BGP neighbor: IPv6 link-local is allowed."""
PeerRange = Annotated[
    Network, BeforeValidator(_network), AfterValidator(_range), _schema("peer-range")
]
"""The range from which neighbors may connect."""
