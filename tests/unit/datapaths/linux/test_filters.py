"""tc filters are encoded and decoded without loss."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapaths.grout.ports.splice import DHCP_REPLIES
from datapaths.linux.punt import ALL_FRAMES, egress, rules
from datapaths.linux.wire import filters
from datapaths.linux.wire.filters import TWIN_PRIORITIES, Classifier, Filter
from datapaths.linux.wire.matches import (
    ETH_P_802_2,
    ETH_P_IP,
    ETH_P_IPV6,
    ICMP,
    TCP,
    Action,
    Rule,
    u32_selector,
)
from dualpath.model.links import Address
from dualpath.netlink import numbers as n
from dualpath.netlink.message import DecodeError, messages, request

ADDRESSES = [Address.parse("192.0.2.1/31"), Address.parse("2001:db8::1/64")]
BGP = Rule(Action.REDIRECT, ETH_P_IP, Address.parse("192.0.2.1/32"), ip_proto=TCP, dport=179)


def words(rule: Rule) -> list[tuple[int, int, int]]:
    """Read a u32 selector back: (offset, value, mask)."""
    body = u32_selector(rule)[4:]
    assert (body[0], body[2]) == (1, (len(body) - 16) // 16)
    found = []
    for at in range(16, len(body), 16):
        mask, value = struct.unpack_from("!II", body, at)
        offset, offset_mask = struct.unpack_from("=ii", body, at + 8)
        assert offset_mask == 0
        found.append((offset, value, mask))
    return found


def matches(rule: Rule, packet: bytes, link_header: bytes = bytes(14)) -> bool:
    """Match a packet as the kernel's u32 classifier does."""
    data, start = bytes(2) + link_header + packet, 2 + len(link_header)
    return all(
        int.from_bytes(data[start + offset : start + offset + 4]) & mask == value
        for offset, value, mask in words(rule)
    )


def ipv4(protocol: int, dst: str, payload: bytes, options: bytes = b"", fragment: int = 0) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, 0, 0, fragment, 64, protocol, 0)
    return head + bytes(4) + Address.parse(dst).ip + options + payload


def test_u32_matches_bgp_to_own_addresses_only() -> None:
    segment = struct.pack("!HH", 40000, 179) + bytes(16)
    assert matches(BGP, ipv4(TCP, "192.0.2.1/32", segment))
    assert not matches(BGP, ipv4(TCP, "192.0.2.2/32", segment))
    assert not matches(BGP, ipv4(17, "192.0.2.1/32", segment))
    assert not matches(BGP, ipv4(TCP, "192.0.2.1/32", segment[2:] + bytes(2)))


def test_u32_handles_ip_options_and_fragments() -> None:
    segment = struct.pack("!HH", 40000, 179) + bytes(16)
    assert not matches(BGP, ipv4(TCP, "192.0.2.1/32", bytes(20), options=segment[:4]))
    assert not matches(BGP, ipv4(TCP, "192.0.2.1/32", segment, fragment=100))
    assert matches(BGP, ipv4(TCP, "192.0.2.1/32", segment, fragment=0x4000))  # DF


def test_u32_matches_icmp_types_and_multicast_prefixes() -> None:
    unreachable = Rule(Action.COPY, ETH_P_IP, BGP.dst, ip_proto=ICMP, icmp_type=3)
    assert matches(unreachable, ipv4(ICMP, "192.0.2.1/32", b"\x03\x04" + bytes(6)))
    assert not matches(unreachable, ipv4(ICMP, "192.0.2.1/32", b"\x08\x00" + bytes(6)))
    group = Rule(Action.COPY, ETH_P_IPV6, Address.parse("ff02::/112"))
    head = bytes.fromhex("60000000000059ff") + bytes(16)
    assert matches(group, head + Address.parse("ff02::5/128").ip)
    assert not matches(group, head + Address.parse("ff02::1:ff00:1/128").ip)


def test_u32_matches_the_link_header() -> None:
    rule = Rule(Action.REDIRECT, ETH_P_802_2, dst_mac=bytes.fromhex("0180c2000015"))
    header = bytes.fromhex("0180c2000015 020000000001 0011")
    assert matches(rule, b"\xfe\xfe\x03", header)
    assert not matches(rule, b"\xfe\xfe\x03", bytes.fromhex("0180c2000000 020000000001 0011"))


OWN_MAC = bytes.fromhex("020000000001")


def sent(frame: bytes) -> bool:
    """Return whether a rule of the twin matches a frame that begins with its MACs."""
    ethertype = int.from_bytes(frame[12:14])
    rules_ = [rule for rule in egress(ADDRESSES, OWN_MAC) if rule.ethertype == ethertype]
    return any(matches(rule, frame[14:] + bytes(60), frame[:14]) for rule in rules_)


IPV4_HEAD = "45000028 00010000 4006 0000 c0000201 c0000200 "
ARP_HEAD = "0001 0800 06 04 0001 020000000001 c0000201"


@pytest.mark.parametrize(
    ("mac", "rest", "passes"),
    [
        ("01", "0800" + IPV4_HEAD + "00b3 9c40", True),
        ("01", "0800" + IPV4_HEAD + "9c40 00b3", True),
        ("09", "0800" + IPV4_HEAD + "9c40 00b3", False),  # another MAC
        ("01", "0800" + IPV4_HEAD.replace("c0000201", "c0000263") + "9c40 00b3", False),
        ("01", "0800" + IPV4_HEAD + "9c40 0050", False),  # HTTP
        ("01", "0800" + IPV4_HEAD.replace("4006", "4011") + "9c40 12b5", False),  # VXLAN
        ("01", "0800" + IPV4_HEAD.replace("4006", "4011") + "9c40 0ec8", True),  # BFD
        ("01", "0800" + IPV4_HEAD.replace("00010000", "00010010") + "9c40 00b3", False),
        ("01", "8100 0005 0800" + IPV4_HEAD + "9c40 00b3", False),
        ("01", "0806" + ARP_HEAD, True),
        ("01", "0806" + ARP_HEAD.replace("c0000201", "c0000263"), False),
        ("09", "0806" + ARP_HEAD, False),
    ],
)
def test_twin_may_send_routing_protocols_from_its_own_addresses_only(
    mac: str, rest: str, passes: bool
) -> None:
    assert sent(bytes.fromhex("0200000000ff" + "0200000000" + mac + rest)) == passes


@pytest.mark.parametrize("classifier", Classifier)
def test_filter_reads_back_as_requested(classifier: Classifier) -> None:
    for rule in (*rules(ADDRESSES), *egress(ADDRESSES, OWN_MAC), ALL_FRAMES, DHCP_REPLIES):
        wanted, options = filters.compile_rule(classifier, rule, target=7)
        [message] = messages(filters.add(3, wanted, options))
        found = filters.decode(message)
        # The kernel assigns a missing handle; a filter without one is a hash table.
        assert found == (wanted if wanted.handle else None)


@pytest.mark.parametrize("classifier", Classifier)
def test_fingerprints_differ_by_rule_target_and_classifier(classifier: Classifier) -> None:
    prints = {
        filters.compile_rule(classifier, rule, target)[0].fingerprint
        for rule in rules(ADDRESSES)
        for target in (7, 8)
    }
    assert len(prints) == 2 * len(list(rules(ADDRESSES)))
    other = next(c for c in Classifier if c is not classifier)
    assert filters.compile_rule(other, BGP, 7)[0].fingerprint not in prints


@pytest.mark.parametrize("classifier", Classifier)
def test_filter_that_leaves_a_frame_has_no_action_and_comes_before_all_frames(
    classifier: Classifier,
) -> None:
    left, options = filters.compile_rule(classifier, DHCP_REPLIES, 7)
    taken, _ = filters.compile_rule(classifier, ALL_FRAMES, 7)
    assert b"mirred" not in options
    assert left.priority < taken.priority


def test_flower_filter_keeps_its_handle_when_its_target_changes() -> None:
    before, _ = filters.compile_rule(Classifier.FLOWER, BGP, 7)
    after, _ = filters.compile_rule(Classifier.FLOWER, BGP, 8)
    assert before.handle == after.handle
    assert before.fingerprint != after.fingerprint


def test_each_priority_has_one_classifier_and_one_ethertype() -> None:
    seen: dict[int, tuple[str, int]] = {}
    for classifier in Classifier:
        for rule in (*rules(ADDRESSES), ALL_FRAMES):
            filter_, _ = filters.compile_rule(classifier, rule, 7)
            assert filter_.priority in TWIN_PRIORITIES
            what = filter_.classifier, filter_.ethertype
            assert seen.setdefault(filter_.priority, what) == what


def test_foreign_filter_is_not_ours() -> None:
    for stranger in (
        Filter("u32", 49152, ETH_P_IP, 0x80000800, 1),
        Filter("bpf", TWIN_PRIORITIES.start, ETH_P_IP, 1, 1),
    ):
        [message] = messages(filters.add(3, stranger, b""))
        assert filters.decode(message) is None


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_not_ours(body: bytes) -> None:
    with suppress(DecodeError):
        for message in messages(request(n.RTM_NEWTFILTER, 0, body)):
            filters.decode(message)
