from __future__ import annotations

import struct

import pytest

from dualpath.netlink.message import DecodeError, attribute, encode_message, header
from dualpath.netlink.numbers import (
    AF_BRIDGE,
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_CARRIER,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_INFO_SLAVE_KIND,
    IFLA_LINK,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_MTU,
    IFLA_OPERSTATE,
    IFLA_VRF_TABLE,
    IFLA_VXLAN_ID,
    IFLA_VXLAN_LOCAL,
    IFLA_VXLAN_LOCAL6,
    IFLA_VXLAN_PORT,
    RTM_NEWLINK,
)
from frr_bridge.wire.link import IFINFOMSG, LinkMessage
from frr_bridge.wire.message import decode_message
from tests.unit.frr_bridge.wire import real
from tests.unit.frr_bridge.wire.build import u32


def decoded(kind: int, body: bytes) -> object:
    buffer = encode_message(kind, 0, 0, body)
    return decode_message(header(buffer, 0, len(buffer)))


def link(attributes: bytes, *, index: int = 3, flags: int = IFF_UP) -> object:
    return decoded(RTM_NEWLINK, IFINFOMSG.pack(0, 1, index, flags, 0) + attributes)


def info(kind: bytes, data: bytes, slave: bytes = b"") -> bytes:
    inner = attribute(IFLA_INFO_KIND, kind) + attribute(IFLA_INFO_DATA, data)
    inner += attribute(IFLA_INFO_SLAVE_KIND, slave) if slave else b""
    return attribute(IFLA_LINKINFO, inner)


def test_a_vxlan_device() -> None:
    data = u32(IFLA_VXLAN_ID, 100) + attribute(IFLA_VXLAN_LOCAL, b"abcd")
    data += attribute(IFLA_VXLAN_PORT, struct.pack("!H", 4789))
    body = attribute(IFLA_IFNAME, b"vx100\0") + attribute(IFLA_ADDRESS, b"abcdef")
    body += u32(IFLA_MTU, 1500) + u32(IFLA_MASTER, 2) + u32(IFLA_LINK, 9)
    body += attribute(IFLA_OPERSTATE, b"\6") + attribute(IFLA_CARRIER, b"\1")
    assert link(body + info(b"vxlan\0", data, b"bridge\0")) == LinkMessage(
        deleted=False,
        family=0,
        index=3,
        name="vx100",
        flags=IFF_UP,
        mac=b"abcdef",
        mtu=1500,
        master=2,
        link=9,
        operstate=6,
        carrier=True,
        kind="vxlan",
        slave_kind="bridge",
        vxlan_id=100,
        vxlan_local=b"abcd",
        vxlan_port=4789,
    )


def test_a_vxlan_device_over_ipv6() -> None:
    value = link(info(b"vxlan\0", attribute(IFLA_VXLAN_LOCAL6, bytes(16))))
    assert isinstance(value, LinkMessage)
    assert value.vxlan_local == bytes(16)


def test_a_vrf_has_a_table() -> None:
    value = link(info(b"vrf\0", u32(IFLA_VRF_TABLE, 1100)))
    assert isinstance(value, LinkMessage)
    assert (value.kind, value.vrf_table, value.vxlan_id) == ("vrf", 1100, 0)


def test_a_kind_that_we_do_not_know_is_only_named() -> None:
    value = link(info(b"veth\0", b"abc") + attribute(IFLA_IFNAME, b"\xff\0"))
    assert isinstance(value, LinkMessage)
    assert (value.kind, value.name) == ("veth", "\\xff")


def test_up_and_lower_up() -> None:
    value = link(b"", flags=0x10000)
    assert isinstance(value, LinkMessage)
    assert (value.up, value.lower_up) == (False, True)


def test_port_that_left_its_bridge_is_no_deleted_device() -> None:
    value = real.value(real.K_PORT_LEFT)
    assert isinstance(value, LinkMessage)
    assert (value.deleted, value.family, value.index, value.name) == (True, AF_BRIDGE, 3, "vx1")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (RTM_NEWLINK, IFINFOMSG.pack(0, 1, 0, 0, 0)),
        (RTM_NEWLINK, IFINFOMSG.pack(0, 1, -1, 0, 0)),
        (RTM_NEWLINK, IFINFOMSG.pack(0, 1, 1, 0, 0) + attribute(IFLA_MTU, b"a")),
        (
            RTM_NEWLINK,
            IFINFOMSG.pack(0, 1, 1, 0, 0) + info(b"vxlan\0", attribute(IFLA_VXLAN_LOCAL, b"abc")),
        ),
    ],
)
def test_impossible_link_is_a_decode_error(kind: int, body: bytes) -> None:
    with pytest.raises(DecodeError):
        decoded(kind, body)
