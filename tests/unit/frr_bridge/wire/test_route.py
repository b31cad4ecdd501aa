from __future__ import annotations

import contextlib
import ipaddress
import struct

import pytest

from dualpath.model.nexthops import NexthopType
from dualpath.model.routes import Family
from dualpath.netlink.message import DecodeError, attribute, header
from dualpath.netlink.numbers import (
    AF_INET6,
    RTA_DST,
    RTA_ENCAP,
    RTA_ENCAP_TYPE,
    RTA_METRICS,
    RTA_NH_ID,
    RTA_OIF,
    RTA_PREFSRC,
    RTA_SRC,
    RTA_TABLE,
    RTA_VIA,
    RTNH_F_ONLINK,
)
from frr_bridge.wire.inline import Content, InlineNexthop, Unsupported
from frr_bridge.wire.message import decode_message
from frr_bridge.wire.route import ZebraRoute
from tests.unit.frr_bridge.wire import real
from tests.unit.frr_bridge.wire.build import (
    by_id,
    device,
    encap,
    gateway,
    multipath,
    route,
    u32,
    withdrawal,
)

G = NexthopType.GATEWAY
P = bytes([10, 0, 0, 0])


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def decoded(message: bytes) -> ZebraRoute:
    value = decode_message(header(message, 0, len(message)))
    assert isinstance(value, ZebraRoute)
    return value


def hop(attributes: bytes, **how: int) -> Content | None:
    return decoded(route(P, 8, attributes, **how)).nexthop


def v4(prefix: str, length: int, **rest: object) -> ZebraRoute:
    fields = {"deleted": False, "table": 254, "protocol": 196} | rest
    return ZebraRoute(family=Family.INET, prefix=packed(prefix), length=length, **fields)  # type: ignore[arg-type]


REAL = {
    real.NHID: v4("198.51.100.0", 24, nexthop_id=11),
    real.GATEWAY: v4("198.51.100.0", 24, nexthop=InlineNexthop(G, packed("10.254.0.2"), 2)),
    real.ECMP: v4(
        "203.0.113.128",
        25,
        nexthop=InlineNexthop(
            NexthopType.GROUP,
            members=(
                (InlineNexthop(G, packed("10.254.0.2"), 2), 1),
                (InlineNexthop(G, packed("10.254.0.3"), 2), 1),
            ),
        ),
    ),
    real.DELROUTE: v4("198.51.100.0", 24, deleted=True),
    real.BLACKHOLE: v4("192.0.2.0", 24, nexthop=InlineNexthop(NexthopType.BLACKHOLE)),
    real.NHID_V6: ZebraRoute(False, Family.INET6, 254, packed("2001:db8:1::"), 48, 196, 21),
    real.TABLE: v4("198.51.101.0", 24, table=1000, nexthop_id=11),
    real.K_DEFAULT: v4("0.0.0.0", 0, protocol=3, nexthop=InlineNexthop(G, packed("10.0.0.0"), 6)),
    real.K_NHID: v4("198.51.100.0", 24, protocol=3, nexthop_id=13),
    real.K_VIA6: v4(
        "198.51.102.0", 24, protocol=3, nexthop=InlineNexthop(G, packed("2001:db8:1::2"), 6)
    ),
    real.K_MULTI: v4(
        "198.51.101.0",
        24,
        protocol=3,
        nexthop=InlineNexthop(
            NexthopType.GROUP,
            members=(
                (InlineNexthop(G, packed("10.0.0.0"), 6), 3),
                (InlineNexthop(G, packed("2001:db8:1::2"), 6), 1),
            ),
        ),
    ),
    real.K_UNREACHABLE6: ZebraRoute(
        False,
        Family.INET6,
        254,
        packed("2001:db8:3::"),
        48,
        3,
        nexthop=InlineNexthop(NexthopType.UNREACHABLE),
    ),
}


@pytest.mark.parametrize("text", REAL)
def test_real_messages(text: str) -> None:
    assert real.value(text) == REAL[text]


def test_host_bits_are_cleared() -> None:
    assert decoded(route(b"\xff" * 4, 9, by_id(1))).prefix == b"\xff\x80\0\0"
    assert decoded(route(b"\xff" * 16, 0, by_id(1))).prefix == bytes(16)


def test_a_vxlan_nexthop_carries_its_vni() -> None:
    vtep = packed("::ffff:100.64.0.2")
    route6 = route(bytes(16), 64, gateway(vtep, 4) + encap(100), table=1100, flags=RTNH_F_ONLINK)
    assert decoded(route6).nexthop == InlineNexthop(G, vtep, 4, 100, True)


def test_a_tunnel_key_is_a_vni() -> None:
    key = attribute(RTA_ENCAP, attribute(1, (77).to_bytes(8)))
    kind = attribute(RTA_ENCAP_TYPE, struct.pack("=H", 2))
    assert hop(gateway(P, 4) + kind + key) == InlineNexthop(G, P, 4, 77)


def test_an_ipv4_route_may_have_an_ipv6_gateway() -> None:
    via = attribute(RTA_VIA, struct.pack("=H", AF_INET6) + packed("fe80::1"))
    assert hop(via + device(3)) == InlineNexthop(G, packed("fe80::1"), 3)


def test_multipath_keeps_weights_flags_and_vnis() -> None:
    legs = multipath((7, RTNH_F_ONLINK, 4, gateway(P, 4)[:8] + encap(5)), (256, 0, 5, b""))
    assert hop(legs) == InlineNexthop(
        NexthopType.GROUP,
        members=(
            (InlineNexthop(G, P, 4, 5, True), 7),
            (InlineNexthop(NexthopType.DEVICE, oif=5), 256),
        ),
    )


def test_multipath_with_one_leg_is_no_group() -> None:
    assert hop(multipath((1, 0, 5, b""))) == hop(device(5))


def test_a_route_type_that_drops_outweighs_a_nexthop() -> None:
    assert hop(device(1) + by_id(3), kind=8) == InlineNexthop(NexthopType.PROHIBIT)


def test_what_does_not_matter_is_not_looked_at() -> None:
    noise = attribute(RTA_METRICS, u32(2, 1400)) + attribute(RTA_PREFSRC, P) + u32(999, 1)
    assert hop(noise + device(2)) == hop(device(2))


def test_of_equal_attributes_the_last_counts() -> None:
    assert decoded(route(P, 8, by_id(1) + by_id(2))).nexthop_id == 2


def test_a_deletion_needs_no_nexthop() -> None:
    assert decoded(withdrawal(P, 8, table=1000)) == ZebraRoute(True, Family.INET, 1000, P, 8, 186)


MPLS = attribute(RTA_ENCAP_TYPE, b"\1\0") + attribute(RTA_ENCAP, u32(1, 100))
SEG6 = attribute(RTA_ENCAP_TYPE, b"\5\0") + attribute(RTA_ENCAP, attribute(1, bytes(40)))
SEG6_LOCAL = attribute(RTA_ENCAP_TYPE, b"\7\0") + attribute(RTA_ENCAP, u32(1, 3))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (route(P, 33, by_id(1)), "prefix length"),
        (route(P, 8, by_id(1) + u32(RTA_TABLE, 0)), "table 0"),
        (route(P, 8, by_id(1) + attribute(RTA_DST, b"abc")), "width"),
        (route(P, 8, by_id(1) + attribute(RTA_SRC, P)), "source-specific"),
    ],
)
def test_a_route_without_a_key_is_refused(message: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        decoded(message)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (route(P, 8), "no nexthop"),
        (route(P, 8, multipath()), "no nexthop"),
        (route(P, 8, by_id(0)), "no nexthop"),
        (route(P, 8, by_id(1), kind=2), "route type"),
        (route(P, 8, attribute(RTA_NH_ID, b"ab")), "width"),
        (route(P, 8, gateway(bytes(16), 2)), "width"),
        (route(P, 8, gateway(P, 2) + encap(1 << 24)), "VNI"),
        (route(P, 8, device(2) + MPLS), "MPLS encapsulation"),
        (route(P, 8, device(2) + SEG6), "SRv6 encapsulation"),
        (route(P, 8, device(2) + SEG6_LOCAL), "seg6local"),
        (route(P, 8, device(2) + attribute(RTA_ENCAP_TYPE, b"\x65\0")), "other than VXLAN"),
        (route(P, 8, device(2) + attribute(RTA_ENCAP, u32(0, 100))), "other than VXLAN"),
        (route(P, 8, multipath((1, 0, 2, b""), (1, 0, 3, MPLS))), "MPLS"),
        (route(P, 8, attribute(RTA_VIA, b"\x0a\0abcd") + device(3)), "RTA_VIA"),
        (route(P, 8, attribute(RTA_VIA, b"\x0a") + device(3)), "too short"),
        (route(P, 8, struct.pack("=HH", 3, RTA_OIF)), "attribute length"),
        (route(P, 8, struct.pack("=HH", 400, RTA_OIF)), "attribute length"),
    ],
)
def test_a_route_that_cannot_be_forwarded_keeps_its_key(message: bytes, reason: str) -> None:
    found = decoded(message)
    assert isinstance(found, ZebraRoute)
    assert isinstance(found.nexthop, Unsupported)
    assert reason in found.nexthop.reason
    assert (found.prefix, found.length, found.table, found.nexthop_id) == (P, 8, 254, 0)


def test_a_deletion_with_bad_attributes_is_a_deletion() -> None:
    bad = withdrawal(P, 8) + struct.pack("=HH", 3, RTA_OIF)
    found = decoded(struct.pack("=I", len(bad)) + bad[4:])
    assert found == ZebraRoute(True, Family.INET, 254, P, 8, 186)


@pytest.mark.parametrize("text", REAL)
def test_truncated_messages_are_refused_or_decoded(text: str) -> None:
    message = real.opened(text)
    for end in range(message.start, message.end):
        with contextlib.suppress(DecodeError):
            decode_message(message._replace(end=end))
