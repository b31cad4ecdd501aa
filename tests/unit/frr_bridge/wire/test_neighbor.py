from __future__ import annotations

import struct

import pytest

from dualpath.netlink.message import DecodeError, attribute, encode_message, header
from dualpath.netlink.neighborcolumns import NDMSG
from dualpath.netlink.numbers import (
    AF_BRIDGE,
    AF_INET,
    AF_INET6,
    NDA_DST,
    NDA_LLADDR,
    NDA_MASTER,
    NDA_NH_ID,
    NDA_PROTOCOL,
    NDA_SRC_VNI,
    NDA_VLAN,
    NTF_EXT_LEARNED,
    NTF_ROUTER,
    NTF_SELF,
    NUD_NOARP,
    NUD_PERMANENT,
    NUD_REACHABLE,
    RTM_NEWNEIGH,
)
from frr_bridge.wire.message import decode_message
from frr_bridge.wire.neighbor import NeighborMessage
from tests.unit.frr_bridge.wire import real
from tests.unit.frr_bridge.wire.build import u32

MAC = bytes.fromhex("020000000006")
HOST = bytes.fromhex("020000000007")
STATIC = NUD_NOARP | NUD_PERMANENT

REAL = {
    real.K_MASTER_MAC: NeighborMessage(
        False, AF_BRIDGE, 3, NUD_REACHABLE, NTF_EXT_LEARNED, MAC, master=2
    ),
    real.K_SELF_MAC: NeighborMessage(
        False, AF_BRIDGE, 3, STATIC, NTF_SELF | NTF_EXT_LEARNED, MAC, bytes([192, 0, 2, 3])
    ),
    real.K_FLOOD: NeighborMessage(
        False, AF_BRIDGE, 3, STATIC, NTF_SELF, bytes(6), bytes([192, 0, 2, 2])
    ),
    real.K_DELNEIGH: NeighborMessage(
        True, AF_BRIDGE, 3, STATIC, NTF_SELF | NTF_EXT_LEARNED, MAC, bytes([192, 0, 2, 3])
    ),
    real.K_NEIGHBOR: NeighborMessage(
        False, AF_INET, 6, NUD_NOARP, NTF_EXT_LEARNED | NTF_ROUTER, HOST, bytes([10, 0, 0, 0])
    ),
    real.K_NEIGHBOR6: NeighborMessage(
        False,
        AF_INET6,
        6,
        NUD_PERMANENT,
        0,
        HOST,
        bytes.fromhex("20010db8000100000000000000000002"),
    ),
}


def decoded(family: int, attributes: bytes) -> object:
    buffer = encode_message(
        RTM_NEWNEIGH, 0, 0, NDMSG.pack(family, 0, 0, 7, 2, 0x16, 1) + attributes
    )
    return decode_message(header(buffer, 0, len(buffer)))


@pytest.mark.parametrize("text", REAL)
def test_real_messages(text: str) -> None:
    assert real.value(text) == REAL[text]


def test_every_attribute_has_its_place() -> None:
    body = attribute(NDA_LLADDR, MAC) + attribute(NDA_DST, bytes(16)) + u32(NDA_SRC_VNI, 2)
    body += u32(NDA_MASTER, 3) + attribute(NDA_VLAN, struct.pack("=H", 4)) + u32(NDA_NH_ID, 6)
    body += attribute(NDA_PROTOCOL, bytes([5]))
    assert decoded(AF_BRIDGE, body) == NeighborMessage(
        deleted=False,
        family=AF_BRIDGE,
        ifindex=7,
        state=2,
        flags=0x16,
        lladdr=MAC,
        dst=bytes(16),
        src_vni=2,
        master=3,
        vlan=4,
        nexthop_id=6,
        protocol=5,
    )


@pytest.mark.parametrize(
    ("family", "attributes"),
    [
        (AF_BRIDGE, b""),
        (AF_BRIDGE, attribute(NDA_LLADDR, b"abcde")),
        (AF_INET, attribute(NDA_LLADDR, MAC)),
        (AF_INET, attribute(NDA_DST, bytes(16))),
        (AF_INET6, attribute(NDA_DST, bytes(4))),
        (99, attribute(NDA_DST, bytes(4))),
    ],
)
def test_impossible_neighbor_is_a_decode_error(family: int, attributes: bytes) -> None:
    with pytest.raises(DecodeError):
        decoded(family, attributes)
