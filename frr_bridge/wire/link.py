"""RTM_NEW/DELLINK and RTM_NEW/DELADDR of the control namespace, as much as we need of them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dualpath.model.links import Address
from dualpath.model.routes import Family
from frr_bridge.errors import DecodeError
from frr_bridge.wire.netlink import (
    RTM_DELADDR,
    RTM_DELLINK,
    Attributes,
    Message,
    unpack,
)
from frr_bridge.wire.route import FAMILIES

IFINFOMSG = struct.Struct("=BxHiII")  # struct ifinfomsg in linux/rtnetlink.h
IFADDRMSG = struct.Struct("=BBBBI")  # struct ifaddrmsg in linux/if_addr.h

IFLA_ADDRESS = 1
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_LINK = 5
IFLA_MASTER = 10
IFLA_OPERSTATE = 16
IFLA_LINKINFO = 18
IFLA_EXT_MASK = 29
IFLA_CARRIER = 33
IFLA_INFO_KIND = 1
IFLA_INFO_DATA = 2
IFLA_INFO_SLAVE_KIND = 4
IFLA_VXLAN_ID = 1
IFLA_VXLAN_LOCAL = 4
IFLA_VXLAN_PORT = 15
IFLA_VXLAN_LOCAL6 = 17
IFLA_VRF_TABLE = 1

IFF_UP = 0x1
IFF_LOOPBACK = 0x8
IFF_RUNNING = 0x40
IFF_LOWER_UP = 0x10000
IF_OPER_UP = 6  # RFC 2863 ifOperStatus as in linux/if.h

IFA_ADDRESS = 1
IFA_LOCAL = 2
IFA_FLAGS = 8


@dataclass(frozen=True, slots=True)
class LinkMessage:
    """A device, or its deletion.

    With `family` AF_BRIDGE it speaks of the device as a bridge port only: its deletion means that
    the port left its bridge, and most other fields are not said.
    """

    deleted: bool
    family: int  # AF_UNSPEC or AF_BRIDGE
    index: int
    name: str
    flags: int = 0  # IFF_*
    mac: bytes = b""  # 6 bytes, b"" where it has none
    mtu: int = 0
    master: int = 0  # interface index of its bridge or VRF
    link: int = 0  # interface index of the device below it, or of a veth's peer
    operstate: int = 0  # IF_OPER_*
    carrier: bool = False
    kind: str = ""  # "vxlan", "bridge", "vrf", "veth"; "" is a NIC
    slave_kind: str = ""  # "bridge" or "vrf": what its master is
    vxlan_id: int = 0
    vxlan_local: bytes = b""  # 4 or 16 bytes
    vxlan_port: int = 0
    vrf_table: int = 0

    @property
    def up(self) -> bool:
        return bool(self.flags & IFF_UP)

    @property
    def carries(self) -> bool:
        """Say whether the kernel keeps nexthops over it: nh_netdev_event() in ipv4/nexthop.c."""
        return not self.deleted and self.up and bool(self.flags & (IFF_RUNNING | IFF_LOWER_UP))

    @property
    def lower_up(self) -> bool:
        return bool(self.flags & IFF_LOWER_UP)


@dataclass(frozen=True, slots=True)
class AddressMessage:
    """An interface's address, or its deletion."""

    deleted: bool
    index: int  # of the interface
    address: Address
    scope: int = 0  # RT_SCOPE_*
    flags: int = 0  # IFA_F_*


def decode_link(buffer: bytes, message: Message) -> LinkMessage:
    start, end = message.body, message.end
    family, _, index, flags, _ = unpack(IFINFOMSG, buffer, start, end)
    if index <= 0:
        raise DecodeError("interface index", offset=start)
    attributes = Attributes(buffer, start + IFINFOMSG.size, end)
    info = attributes.nested(IFLA_LINKINFO)
    kind = info.text(IFLA_INFO_KIND)
    data = info.nested(IFLA_INFO_DATA) if kind in {"vxlan", "vrf"} else None
    vxlan = data if kind == "vxlan" else None
    mac = attributes.raw(IFLA_ADDRESS)
    return LinkMessage(
        deleted=message.type == RTM_DELLINK,
        family=family,
        index=index,
        name=attributes.text(IFLA_IFNAME),
        flags=flags,
        mac=mac if len(mac) == 6 else b"",
        mtu=attributes.u32(IFLA_MTU),
        master=attributes.u32(IFLA_MASTER),
        link=attributes.u32(IFLA_LINK),
        operstate=attributes.u8(IFLA_OPERSTATE),
        carrier=bool(attributes.u8(IFLA_CARRIER)),
        kind=kind,
        slave_kind=info.text(IFLA_INFO_SLAVE_KIND),
        vxlan_id=vxlan.u32(IFLA_VXLAN_ID) if vxlan else 0,
        vxlan_local=_vxlan_local(vxlan) if vxlan else b"",
        vxlan_port=vxlan.be16(IFLA_VXLAN_PORT) if vxlan else 0,
        vrf_table=data.u32(IFLA_VRF_TABLE) if data and kind == "vrf" else 0,
    )


def _vxlan_local(data: Attributes) -> bytes:
    return data.address(IFLA_VXLAN_LOCAL, 4) or data.address(IFLA_VXLAN_LOCAL6, 16)


def decode_address(buffer: bytes, message: Message) -> AddressMessage:
    start, end = message.body, message.end
    number, length, flags, scope, index = unpack(IFADDRMSG, buffer, start, end)
    family = FAMILIES.get(number)
    if family is None or length > family.width * 8:
        raise DecodeError("address family or prefix length", offset=start)
    attributes = Attributes(buffer, start + IFADDRMSG.size, end)
    # IFA_LOCAL is ours and IFA_ADDRESS the peer's on a point-to-point link; else they are equal.
    ip = attributes.address(IFA_LOCAL, family.width) or _address(attributes, family, start)
    return AddressMessage(
        deleted=message.type == RTM_DELADDR,
        index=index,
        address=Address(ip, length),
        scope=scope,
        flags=attributes.u32(IFA_FLAGS, flags),
    )


def _address(attributes: Attributes, family: Family, offset: int) -> bytes:
    ip = attributes.address(IFA_ADDRESS, family.width)
    if not ip:
        raise DecodeError("no address", offset=offset)
    return ip
