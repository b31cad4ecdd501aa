"""RTM_NEWLINK and RTM_DELLINK of the control namespace: the fields that frr-bridge needs."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dualpath.netlink.message import Attributes, DecodeError, Message
from dualpath.netlink.numbers import (
    IFF_LOWER_UP,
    IFF_RUNNING,
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
    RTM_DELLINK,
)

IFINFOMSG = struct.Struct("=BxHiII")  # struct ifinfomsg in linux/rtnetlink.h


@dataclass(frozen=True, slots=True)
class LinkMessage:
    """A device, or its deletion.

    With `family` AF_BRIDGE it describes the device as a bridge port only: a deletion means that the
    port left its bridge, and most other fields are absent.
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
    slave_kind: str = ""  # kind of its master: "bridge" or "vrf"
    vxlan_id: int = 0
    vxlan_local: bytes = b""  # 4 or 16 bytes
    vxlan_port: int = 0
    vrf_table: int = 0

    @property
    def up(self) -> bool:
        return bool(self.flags & IFF_UP)

    @property
    def carries(self) -> bool:
        """Return whether the kernel keeps nexthops over it: nh_netdev_event() in ipv4/nexthop.c."""
        return not self.deleted and self.up and bool(self.flags & (IFF_RUNNING | IFF_LOWER_UP))

    @property
    def lower_up(self) -> bool:
        return bool(self.flags & IFF_LOWER_UP)


def decode_link(message: Message) -> LinkMessage:
    family, _, index, flags, _ = message.fixed(IFINFOMSG)
    if index <= 0:
        raise DecodeError("interface index", offset=message.payload)
    attributes = message.attributes(IFINFOMSG)
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
