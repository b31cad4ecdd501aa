"""Which frames are redirected to FRR, and the names of a twin's devices."""

from __future__ import annotations

import pytest

from datapaths.linux.linkinfo import is_link_local, link_local
from datapaths.linux.punt import rules
from datapaths.linux.twins import device_of, wants_twin
from datapaths.linux.wire.matches import (
    ETH_P_802_2,
    ETH_P_ARP,
    ETH_P_IP,
    ETH_P_IPV6,
    ETH_P_JUMBO,
    ICMPV6,
    TCP,
    Action,
    Rule,
)
from dualpath.model.links import Address, HostEnd, Port

V4, V6 = Address.parse("192.0.2.1/31"), Address.parse("2001:db8::1/64")
SOLICITED_NODE = Address.parse("ff02::1:ff00:1/128")


def within(address: Address, prefix: Address) -> bool:
    kept = len(prefix.ip) * 8 - prefix.length
    a, b = int.from_bytes(address.ip), int.from_bytes(prefix.ip)
    return len(address.ip) == len(prefix.ip) and a >> kept == b >> kept


def test_arp_is_copied_to_the_twin_for_any_address() -> None:
    assert Rule(Action.COPY, ETH_P_ARP) in list(rules([]))


def test_bgp_is_redirected_only_for_own_addresses() -> None:
    taken = [rule for rule in rules([V4, V6]) if rule.ip_proto == TCP]
    assert {rule.action for rule in taken} == {Action.REDIRECT}
    assert {(rule.dst, rule.sport, rule.dport) for rule in taken} == {
        (Address(ip, len(ip) * 8), sport, dport)
        for ip in (V4.ip, V6.ip)
        for sport, dport in ((0, 179), (179, 0))
    }


def test_neighbor_solicitations_stay_with_the_forwarding_stack() -> None:
    for rule in rules([V4, V6]):
        assert not (rule.ip_proto == ICMPV6 and rule.icmp_type in (None, 135))
        if rule.ethertype == ETH_P_IPV6 and not rule.ip_proto:
            assert rule.dst
            assert not within(SOLICITED_NODE, rule.dst)


def test_routing_multicast_reaches_port_and_twin() -> None:
    groups = [rule for rule in rules([]) if rule.ethertype in (ETH_P_IP, ETH_P_IPV6)]
    assert {rule.action for rule in groups} == {Action.COPY}
    for text in ("224.0.0.5/32", "ff02::5/128", "ff02::1/128", "ff02::2/128"):
        address = Address.parse(text)
        assert any(rule.dst and within(address, rule.dst) for rule in groups), text


def test_echo_requests_stay_with_the_forwarding_stack() -> None:
    asked = [(rule.ip_proto, rule.icmp_type) for rule in rules([V4, V6])]
    assert (1, 8) not in asked
    assert (ICMPV6, 128) not in asked


def test_isis_is_redirected_with_802_3_lengths_and_in_jumbo_frames() -> None:
    taken = {(rule.action, rule.ethertype) for rule in rules([]) if rule.dst_mac}
    assert taken == {(Action.REDIRECT, ETH_P_802_2), (Action.REDIRECT, ETH_P_JUMBO)}


def test_repeated_address_has_one_rule() -> None:
    once = list(rules([V4, V6]))
    assert list(rules([V6, V4, V4])) == once
    assert len(set(once)) == len(once)


@pytest.mark.parametrize("name", ["eth1", "p" * 12, "p" * 13, "p" * 15])
def test_twin_device_name_is_valid_and_unique(name: str) -> None:
    assert len(device_of(name)) <= 15
    assert device_of(name) != device_of(name[:-1] + "x")


def test_only_a_routed_port_with_twin_set_has_one() -> None:
    assert wants_twin(Port("eth1", twin=True))
    assert wants_twin(Port("pe0", twin=True, vrf="red", host=HostEnd()))
    assert not wants_twin(Port("eth1"))
    assert not wants_twin(Port("lo", twin=True, loopback=True))
    assert not wants_twin(Port("pe1", twin=True, vni=110))


def test_link_local_address_is_derived_from_the_mac() -> None:
    # RFC 4291 appendix A, with the first MAC of RFC 7042's documentation range.
    address = link_local(bytes.fromhex("00005e005300"))
    assert str(address) == "fe80::200:5eff:fe00:5300/64"
    assert is_link_local(address)
    assert not is_link_local(V6)
    assert not is_link_local(V4)
