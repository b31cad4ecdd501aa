from __future__ import annotations

import struct

import pytest

from dualpath.netlink.message import DecodeError, attribute, encode_message, header
from dualpath.netlink.numbers import (
    AF_INET,
    AF_MPLS,
    RTA_DST,
    RTA_NEWDST,
    RTA_VIA,
    RTM_DELROUTE,
    RTM_NEWROUTE,
)
from frr_bridge.wire.lsp import LspMessage, LspNexthop
from frr_bridge.wire.message import decode_message
from frr_bridge.wire.route import RTMSG
from tests.unit.frr_bridge.wire.build import device, multipath

VIA = attribute(RTA_VIA, struct.pack("=H", AF_INET) + bytes([10, 0, 0, 1]))
HOP = bytes([10, 0, 0, 1])


def stack(kind: int, *labels: int) -> bytes:
    bottom = len(labels) - 1
    entries = (label << 12 | (i == bottom) << 8 for i, label in enumerate(labels))
    return attribute(kind, b"".join(entry.to_bytes(4) for entry in entries))


def decoded(attributes: bytes, kind: int = RTM_NEWROUTE) -> object:
    buffer = encode_message(
        kind, 0, 0, RTMSG.pack(AF_MPLS, 20, 0, 0, 254, 186, 0, 1, 0) + attributes
    )
    return decode_message(header(buffer, 0, len(buffer)))


def test_a_swap() -> None:
    body = stack(RTA_DST, 16) + stack(RTA_NEWDST, 100, 200) + VIA + device(3)
    assert decoded(body) == LspMessage(False, 16, 186, (LspNexthop(HOP, 3, (100, 200)),))


def test_a_pop() -> None:
    expected = LspMessage(False, 0xFFFFF, 186, (LspNexthop(b"", 3),))
    assert decoded(stack(RTA_DST, 0xFFFFF) + device(3)) == expected


def test_several_nexthops() -> None:
    legs = multipath((1, 0, 3, stack(RTA_NEWDST, 17) + VIA), (1, 0, 4, b""))
    expected = LspMessage(False, 16, 186, (LspNexthop(HOP, 3, (17,)), LspNexthop(b"", 4)))
    assert decoded(stack(RTA_DST, 16) + legs) == expected


def test_a_deletion() -> None:
    assert decoded(stack(RTA_DST, 16), RTM_DELROUTE) == LspMessage(True, 16, 186)


@pytest.mark.parametrize(
    "attributes",
    [
        b"",
        device(3),
        stack(RTA_DST, 16),
        stack(RTA_DST, 16, 17) + device(3),
        stack(RTA_DST, 16) + multipath(),
        stack(RTA_DST, 16) + device(3) + attribute(RTA_NEWDST, b"abc"),
        attribute(RTA_DST, b"abc") + device(3),
    ],
)
def test_impossible_lsp_is_a_decode_error(attributes: bytes) -> None:
    with pytest.raises(DecodeError):
        decoded(attributes)
