from __future__ import annotations

import struct

import pytest

from dualpath.model.nexthops import NexthopType
from dualpath.netlink.message import DecodeError, attribute, encode_message, header
from dualpath.netlink.numbers import (
    NHA_ENCAP,
    NHA_ENCAP_TYPE,
    NHA_FDB,
    NHA_GATEWAY,
    NHA_GROUP,
    NHA_GROUP_TYPE,
    NHA_ID,
    NHA_OIF,
    RTM_NEWNEXTHOP,
)
from frr_bridge.wire.inline import InlineNexthop, Unsupported
from frr_bridge.wire.message import decode_message
from frr_bridge.wire.nexthop import NHMSG, ZebraNexthop
from tests.unit.frr_bridge.wire import real
from tests.unit.frr_bridge.wire.build import u32

G = NexthopType.GATEWAY

REAL = {
    real.NEWNEXTHOP: ZebraNexthop(11, False, 11, InlineNexthop(G, bytes([10, 254, 0, 2]), 2)),
    real.GROUP: ZebraNexthop(12, False, 11, members=((11, 1), (13, 1))),
    real.K_ONLINK: ZebraNexthop(
        12, False, 0, InlineNexthop(G, bytes([192, 0, 2, 9]), 2, onlink=True)
    ),
    real.K_GROUP: ZebraNexthop(13, False, 0, members=((11, 3), (12, 1))),
    real.K_NH_BLACKHOLE: ZebraNexthop(14, False, 0, InlineNexthop(NexthopType.BLACKHOLE)),
    real.K_DELNEXTHOP: ZebraNexthop(5, True, 0),
}


def decoded(attributes: bytes) -> object:
    buffer = encode_message(RTM_NEWNEXTHOP, 0, 0, NHMSG.pack(2, 0, 11, 0, 0) + attributes)
    return decode_message(header(buffer, 0, len(buffer)))


@pytest.mark.parametrize("text", REAL)
def test_real_messages(text: str) -> None:
    assert real.value(text) == REAL[text]


def test_weights_have_sixteen_bits() -> None:
    group = attribute(NHA_GROUP, struct.pack("=IBBH", 3, 0xFF, 1, 0))
    kind = attribute(NHA_GROUP_TYPE, b"\1\0")
    expected = ZebraNexthop(1, False, 11, members=((3, 512),), resilient=True)
    assert decoded(u32(NHA_ID, 1) + group + kind) == expected


def test_an_encapsulation_carries_its_vni() -> None:
    body = u32(NHA_ID, 1) + attribute(NHA_GATEWAY, bytes(16)) + u32(NHA_OIF, 4)
    kind = attribute(NHA_ENCAP_TYPE, struct.pack("=H", 100))
    expected = ZebraNexthop(1, False, 11, InlineNexthop(G, bytes(16), 4, 100))
    assert decoded(body + kind + attribute(NHA_ENCAP, u32(0, 100))) == expected


def test_a_nexthop_of_a_bridge_has_no_device() -> None:
    body = u32(NHA_ID, 1) + attribute(NHA_GATEWAY, b"abcd") + attribute(NHA_FDB, b"")
    assert decoded(body) == ZebraNexthop(1, False, 11, InlineNexthop(G, b"abcd"), fdb=True)


@pytest.mark.parametrize("attributes", [b"", u32(NHA_ID, 0), attribute(NHA_ID, b"ab")])
def test_a_nexthop_without_an_id_is_refused(attributes: bytes) -> None:
    with pytest.raises(DecodeError):
        decoded(attributes)


ENCAPSULATION = attribute(NHA_ENCAP_TYPE, b"\1\0") + attribute(NHA_ENCAP, u32(1, 100))


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        (b"", "no nexthop"),
        (attribute(NHA_GROUP, b""), "nexthop group"),
        (attribute(NHA_GROUP, bytes(8)), "nexthop group"),
        (attribute(NHA_GROUP, b"\1\0\0\0\0\0\0"), "nexthop group"),
        (attribute(NHA_GROUP, struct.pack("=IIII", 8, 0, 7, 0)), "contains itself"),
        (attribute(NHA_GATEWAY, b"abcde"), "width"),
        (u32(NHA_OIF, 1) + ENCAPSULATION, "MPLS encapsulation"),
        (u32(NHA_OIF, 1) + struct.pack("=HH", 3, NHA_GATEWAY), "attribute length"),
    ],
)
def test_contents_that_cannot_be_used_keep_their_id(attributes: bytes, reason: str) -> None:
    found = decoded(u32(NHA_ID, 7) + attributes)
    assert isinstance(found, ZebraNexthop)
    assert isinstance(found.nexthop, Unsupported)
    assert reason in found.nexthop.reason
    assert (found.id, found.deleted, found.members) == (7, False, ())
