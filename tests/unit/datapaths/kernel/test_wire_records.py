"""Netlink messages of nexthops, neighbors and links."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Callable

import pytest

from datapaths.kernel.wire import links, neighbors, nexthops
from datapaths.linux.wire.links import IFINFOMSG
from dualpath.model.nexthops import BLACKHOLE, V4_MAPPED, Member, Nexthop, NexthopType
from dualpath.netlink import numbers as n
from dualpath.netlink.message import (
    NLMSGHDR,
    DecodeError,
    Message,
    attribute,
    cut,
    is_deletion,
    messages,
    request,
    u32,
)

MAC, VTEP = bytes.fromhex("0200000000aa"), bytes([10, 0, 0, 2])


def only(data: bytes) -> Message:
    (message,) = messages(data)
    return message


@pytest.mark.parametrize("length", [0, 15, 17, 0xFFFF_FFFF])
def test_impossible_message_length_is_refused(length: int) -> None:
    with pytest.raises(DecodeError):
        cut(struct.pack("=IHHII", length, 24, 0, 0, 0))


@pytest.mark.parametrize(
    ("nexthop", "oif"),
    [
        (Nexthop(1, NexthopType.GATEWAY, VTEP), 4),
        (Nexthop(2, NexthopType.GATEWAY, V4_MAPPED + VTEP, onlink=True), 4),
        (Nexthop(3, NexthopType.DEVICE), 4),
        (Nexthop(4, NexthopType.BLACKHOLE), 0),
        (Nexthop(5, NexthopType.GROUP, members=(Member(1), Member(2, 256))), 0),
    ],
)
def test_nexthop_round_trips(nexthop: Nexthop, oif: int) -> None:
    read = nexthops.decode(only(nexthops.put(nexthop, oif)))
    assert read == nexthops.Object(
        gone=False,
        id=nexthop.id,
        protocol=n.RTPROT_DUALPATH,
        onlink=nexthop.onlink,
        gateway=nexthop.gateway,
        oif=oif,
        blackhole=nexthop.type is NexthopType.BLACKHOLE,
        members=nexthop.members,
    )


def test_overlay_nexthop_is_always_onlink() -> None:
    nexthop = Nexthop(1, NexthopType.GATEWAY, VTEP, vni=100)
    assert nexthops.decode(only(nexthops.put(nexthop, 4))).onlink


@pytest.mark.parametrize(
    "nexthop",
    [
        Nexthop(1, NexthopType.UNREACHABLE),
        Nexthop(1, NexthopType.PROHIBIT),
        Nexthop(1, NexthopType.GROUP, members=(Member(2, 0),)),
        Nexthop(1, NexthopType.GROUP, members=(Member(2, 257),)),
    ],
)
def test_nexthops_without_a_kernel_object_are_refused(nexthop: Nexthop) -> None:
    with pytest.raises(ValueError, match=r"nexthop object|weight"):
        nexthops.put(nexthop, 0)


def test_captured_group_is_decoded_as_zebra_sent_it() -> None:
    # FRR 10.7.1: NEWNEXTHOP group 12 = {11, 13}
    data = bytes.fromhex(
        "340000006800010500000000 60bcb1b6 00000b0000000000 08000100 0c000000"
        "14000200 0b00000000000000 0d00000000000000"
    )
    read = nexthops.decode(only(data))
    assert (read.id, read.protocol) == (12, 11)
    assert read.members == (Member(11), Member(13))


def test_fdb_entry_has_its_bridge_port_and_vtep() -> None:
    own = neighbors.decode(only(neighbors.put_self(4, MAC, VTEP)))
    assert (own.family, own.ifindex, own.mac, own.destination) == (socket.AF_BRIDGE, 4, MAC, VTEP)
    assert own.flags == n.NTF_SELF | n.NTF_EXT_LEARNED
    learned = neighbors.decode(only(neighbors.put_master(4, MAC, sticky=False)))
    assert learned.flags == n.NTF_MASTER | n.NTF_EXT_LEARNED
    static = neighbors.decode(only(neighbors.put_master(4, MAC, sticky=True)))
    assert (static.state, static.flags) == (n.NUD_NOARP, n.NTF_MASTER | n.NTF_STICKY)
    flood = only(neighbors.put_flood(4, VTEP))
    assert flood.flags & n.NLM_F_APPEND
    assert not flood.flags & n.NLM_F_REPLACE
    assert neighbors.decode(flood).mac == bytes(6)
    for data in (neighbors.drop_self(4, MAC), neighbors.drop_master(4, MAC)):
        assert is_deletion(data)
        assert neighbors.decode(only(data)).gone


@pytest.mark.parametrize("address", [VTEP, V4_MAPPED + VTEP])
def test_neighbor_carries_protocol_68(address: bytes) -> None:
    data = neighbors.put_neighbor(6, address, MAC, router=True)
    read = neighbors.decode(only(data))
    assert read.protocol == n.RTPROT_DUALPATH
    assert (read.destination, read.mac, read.state) == (address, MAC, n.NUD_NOARP)
    assert read.flags == n.NTF_EXT_LEARNED | n.NTF_ROUTER
    assert neighbors.is_mapped(data) == (len(address) == 16)


def link(kind: str, info: bytes, family: int = 0) -> bytes:
    """Return an RTM_NEWLINK as the kernel sends it."""
    nested = attribute(n.IFLA_INFO_KIND, kind.encode() + b"\0") + attribute(n.IFLA_INFO_DATA, info)
    body = IFINFOMSG.pack(family, 0, 1, 7, n.IFF_UP | n.IFF_LOWER_UP, 0)
    body += attribute(n.IFLA_IFNAME, b"dev7\0") + u32(n.IFLA_MTU, 1450) + u32(n.IFLA_MASTER, 6)
    body += attribute(n.IFLA_ADDRESS, MAC) + attribute(n.IFLA_LINKINFO | 0x8000, nested)
    return request(n.RTM_NEWLINK, 0, body)


def test_link_is_decoded_with_its_vni_or_table() -> None:
    vxlan = links.decode(only(link("vxlan", u32(n.IFLA_VXLAN_ID, 110))))
    assert vxlan == links.Link(
        7, "dev7", "vxlan", True, True, False, 6, 1450, MAC, vni=110, table=0, alias=""
    )
    vrf = links.decode(only(link("vrf", u32(n.IFLA_VRF_TABLE, 1100))))
    assert vrf
    assert (vrf.vni, vrf.table) == (0, 1100)


def test_bridge_port_message_is_not_a_link() -> None:
    assert links.decode(only(link("vxlan", b"", socket.AF_BRIDGE))) is None


DECODERS: list[tuple[Callable[[Message], object], bytes]] = [
    (nexthops.decode, nexthops.put(Nexthop(5, NexthopType.GROUP, members=(Member(1),)), 0)),
    (nexthops.decode, nexthops.put(Nexthop(5, NexthopType.GATEWAY, VTEP), 3)),
    (neighbors.decode, neighbors.put_neighbor(6, VTEP, MAC)),
    (links.decode, link("vxlan", u32(n.IFLA_VXLAN_ID, 110))),
    (links.decode_address, request(n.RTM_DELADDR, 0, bytes(8))),
]


@pytest.mark.parametrize(("decode", "data"), DECODERS)
def test_random_bytes_raise_decode_errors_only(
    decode: Callable[[Message], object], data: bytes
) -> None:
    chance = random.Random(1)
    for _ in range(300):
        broken = bytearray(data)
        for _ in range(chance.randrange(1, 5)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        del broken[chance.randrange(NLMSGHDR.size, len(broken)) :]
        try:
            for message in messages(bytes(broken)):
                decode(message)
        except DecodeError:
            continue


def test_reserved_nexthop_ids_have_no_kernel_object() -> None:
    assert BLACKHOLE > 0xFFFF_FF00
