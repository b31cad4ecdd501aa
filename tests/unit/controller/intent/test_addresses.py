"""No field accepts an address that its host, router or pool cannot have.

The fields are read from the models, so a new one has to be added to the table.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest

from controller.intent.node import NodeSpec
from controller.intent.rules import Strict
from controller.intent.schema import KINDS
from tests.unit.controller.intent.build import (
    Yaml,
    manifest,
    neighbor,
    resources,
    session,
    underlay,
)
from tests.unit.controller.intent.rulebook import rule

ADDRESSES = {
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
}
HOSTS = [
    "0.0.0.0",
    "0.1.2.3",
    "127.0.0.1",
    "224.0.0.5",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "ff02::1",
    "::ffff:10.0.0.1",
]
POOLS = [
    "0.0.0.0/0",
    "::/0",
    "0.0.0.0/8",
    "127.0.0.0/8",
    "127.1.0.0/24",
    "224.0.0.0/4",
    "239.1.0.0/16",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "192.0.0.0/2",
    "::/128",
    "::1/128",
    "ff00::/8",
    "ff05::/64",
    "fe80::/64",
    "::ffff:10.0.0.0/104",
    "::/8",
]
WIDE = ["0.0.0.0/0", "::/0", "192.0.0.0/2", "::/8"]
"""Pools that contain invalid and valid addresses: a peer may connect from a valid one."""
GATEWAYS = [
    "10.1.0.0/24",
    "10.1.0.255/24",
    "10.1.0.0/30",
    "10.1.0.3/30",
    "fd00::/64",
    "0.0.0.0/0",
    "10.0.0.1/0",
    "127.0.0.1/8",
    "224.0.0.1/24",
    "240.0.0.1/24",
    "fe80::1/64",
    "ff02::1/64",
    "::1/64",
    "::ffff:10.0.0.1/120",
]
IPV4 = [value for value in HOSTS if ":" not in value]

TABLE: dict[str, tuple[Callable[[str], Yaml], list[str], list[str]]] = {
    "Underlay.routerIDCIDR": (
        lambda v: underlay(routerIDCIDR=v),
        POOLS,
        ["10.0.0.0/24", "169.254.0.0/16"],
    ),
    "Underlay.neighbors.address": (
        lambda v: neighbor(address=v),
        HOSTS,
        ["10.0.0.0", "10.0.0.255", "169.254.1.1", "fd00::1", "2001:db8::", "fe80::1"],
    ),
    "Underlay.neighbors.listenRange": (
        lambda v: neighbor(address=None, listenRange=v),
        [v for v in POOLS if v not in WIDE],
        ["10.0.0.0/8", "169.254.0.0/16", "fd00::/8", "10.0.0.1/32", *WIDE],
    ),
    "Underlay.tunnelEndpoint.cidrs": (
        lambda v: underlay(tunnelEndpoint={"cidrs": [v]}),
        POOLS,
        ["100.64.0.0/24", "100.64.0.1/32", "fd00::/64"],
    ),
    "Underlay.routeReflector.clusterID": (
        lambda v: underlay(routeReflector={"clusterID": v}),
        IPV4,
        ["192.0.2.1", "169.254.0.1"],
    ),
    "L3VNI.hostSession.localCIDR.ipv4": (
        lambda v: manifest("L3VNI", "x", hostSession=session(localCIDR={"ipv4": v})),
        [v for v in POOLS if ":" not in v],
        ["10.0.0.0/24", "169.254.0.0/24", "10.0.0.0/31"],
    ),
    "L3VNI.hostSession.localCIDR.ipv6": (
        lambda v: manifest("L3VNI", "x", hostSession=session(localCIDR={"ipv6": v})),
        [v for v in POOLS if ":" in v],
        ["fd00::/64", "fd00::/127"],
    ),
    "L3Passthrough.hostSession.localCIDR.ipv4": (
        lambda v: manifest("L3Passthrough", "x", hostSession=session(localCIDR={"ipv4": v})),
        [v for v in POOLS if ":" not in v],
        ["10.0.0.0/24", "169.254.0.0/24"],
    ),
    "L3Passthrough.hostSession.localCIDR.ipv6": (
        lambda v: manifest("L3Passthrough", "x", hostSession=session(localCIDR={"ipv6": v})),
        [v for v in POOLS if ":" in v],
        ["fd00::/64"],
    ),
    "L2VNI.gatewayIPs": (
        lambda v: manifest("L2VNI", "x", gatewayIPs=[v]),
        GATEWAYS,
        ["10.1.0.1/24", "169.254.1.1/16", "fd00::1/64", "10.1.0.0/31", "10.1.0.1/32", "fd00::/127"],
    ),
}
ANYTHING = ("importFilter.prefix", "exportFilter.prefix", "Node.nodeIndex.cidr")
"""Filters accept any prefix, and so does the selection among an interface's addresses."""


def address_fields(model: type[Strict], path: str) -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield from _in(info.annotation, f"{path}.{info.alias or name}")


def _in(annotation: Any, path: str) -> Iterator[str]:  # noqa: ANN401
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        yield from address_fields(annotation, path)
    elif annotation in ADDRESSES:
        yield path
    for inner in get_args(annotation):
        yield from _in(inner, path)


def test_every_address_field_is_in_the_table() -> None:
    models: dict[str, type[Strict]] = {**KINDS, "Node": NodeSpec}
    found = {field for kind, model in models.items() for field in address_fields(model, kind)}
    assert {field for field in found if not field.endswith(ANYTHING)} == set(TABLE)


@rule("Manifest.addresses")
@pytest.mark.parametrize("field", TABLE)
def test_address_that_is_invalid_for_its_field_is_rejected(field: str) -> None:
    make, impossible, _ = TABLE[field]
    for value in impossible:
        (status,) = resources(make(value)).rejected
        last = field.rsplit(".", 1)[1]
        assert any(last in v.field for v in status.violations), value


@rule("Manifest.addresses")
@pytest.mark.parametrize("field", TABLE)
def test_address_that_is_valid_for_its_field_is_accepted(field: str) -> None:
    make, _, possible = TABLE[field]
    for value in possible:
        assert not resources(make(value)).rejected, value


WITH_LENGTH = [
    field
    for field, (_, _, possible) in TABLE.items()
    if any(value.startswith("10.") and "/" in value for value in possible)
]


@rule("Manifest.addresses")
@pytest.mark.parametrize("field", WITH_LENGTH)
@pytest.mark.parametrize("length", ["024", "255.255.255.0", "0.0.0.255", " 24", "24 "])
def test_a_length_is_decimal_and_no_mask(field: str, length: str) -> None:
    """The API server accepts no other: ipaddress does."""
    make, _, _ = TABLE[field]
    assert resources(make(f"10.0.0.1/{length}")).rejected


@pytest.mark.parametrize("prefix", ["0.0.0.0/0", "224.0.0.0/4", "::/0", "fe80::/10"])
def test_filter_accepts_any_prefix(prefix: str) -> None:
    assert not resources(neighbor(importFilter=[{"prefix": prefix}])).rejected
