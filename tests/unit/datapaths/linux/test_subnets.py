"""Which announced addresses belong to a host on a bridge."""

from __future__ import annotations

import ipaddress

import pytest

from datapaths.linux.subnets import Subnets

BRIDGE, OTHER = 5, 6


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def takes(address: str, *gateways: str) -> bool:
    subnets = Subnets()
    subnets.put(OTHER, packed("203.0.113.1"), 24)
    for gateway in gateways:
        ip, _, length = gateway.partition("/")
        subnets.put(BRIDGE, packed(ip), int(length))
    return subnets.may_contain(BRIDGE, packed(address))


GATEWAYS = "192.168.110.1/24", "10.9.0.1/31", "2001:db8:110::1/64", "fe80::1/64"


@pytest.mark.parametrize(
    "address",
    [
        "192.168.110.5",
        "192.168.110.254",
        "10.9.0.0",
        "2001:db8:110::5",
        "2001:db8:110::",
        "fe80::5",
    ],
)
def test_address_in_a_gateways_subnet_is_a_host(address: str) -> None:
    assert takes(address, *GATEWAYS)


@pytest.mark.parametrize(
    "address",
    [
        *("203.0.113.9", "192.168.110.0", "192.168.110.255", "192.168.110.1", "10.9.0.1"),
        *("10.0.0.1", "2001:db8:111::5", "2001:db8:110::1"),
    ],
)
def test_address_outside_the_subnets_or_of_the_gateway_is_no_host(address: str) -> None:
    assert not takes(address, *GATEWAYS)


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "127.0.0.5", "224.0.0.9", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "ff02::1"),
    ],
)
@pytest.mark.parametrize("gateways", [GATEWAYS, ()], ids=["gateways", "none"])
def test_special_purpose_address_is_never_a_host(address: str, gateways: tuple[str, ...]) -> None:
    assert not takes(address, *gateways)


@pytest.mark.parametrize("address", ["203.0.113.9", "2001:db8:111::5", "fe80::5"])
def test_any_address_is_a_host_without_a_gateway_of_its_family(address: str) -> None:
    assert takes(address)
    other = "192.168.110.1/24" if ":" in address else "2001:db8:110::1/64"
    assert takes(address, other)
    assert takes(address, "fe80::1/64")
