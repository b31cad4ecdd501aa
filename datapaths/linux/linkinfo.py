"""Devices and addresses, decoded from netlink messages. Pure."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from datapaths.linux.marks import DEVICE_GROUP, Mark, decode
from datapaths.linux.wire.links import IFADDRMSG, IFINFOMSG
from dualpath.model.links import Address
from dualpath.netlink import numbers as n
from dualpath.netlink.message import U32, Attributes, Message

IFF_UP = 0x1  # linux/if.h
IFA_F_TEMPORARY, IFA_F_PERMANENT = 0x01, 0x80  # linux/if_addr.h
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253  # linux/rtnetlink.h
STATS64: Final = struct.Struct("=QQQQ")  # linux/if_link.h: packets in, out, bytes in, out

U8, BE16, U16 = struct.Struct("=B"), struct.Struct(">H"), struct.Struct("=H")
Layout = Mapping[str, tuple[int, struct.Struct]]

# linux/if_link.h, by the names with which pyroute2 writes them
OF_BRIDGE: Layout = {
    "br_ageing_time": (4, U32),
    "br_stp_state": (5, U32),
    "br_vlan_filtering": (7, U8),
    "br_mcast_snooping": (23, U8),
    "br_vlan_default_pvid": (39, U16),
}
OF_VXLAN: Layout = {
    "vxlan_id": (n.IFLA_VXLAN_ID, U32),
    "vxlan_learning": (7, U8),
    "vxlan_port": (n.IFLA_VXLAN_PORT, BE16),
    "vxlan_udp_zero_csum6_rx": (20, U8),
}
OF_KIND: Mapping[str, Layout] = {
    "bridge": OF_BRIDGE,
    "vrf": {"vrf_table": (n.IFLA_VRF_TABLE, U32)},
    "vxlan": OF_VXLAN,
}
OF_PORT: Layout = {"learning": (8, U8), "neigh_suppress": (32, U8)}  # of a bridge


class Info:
    """The attributes of a device's kind, or of a bridge's port. Decoded when first read."""

    __slots__ = ("_got", "_layout", "_octets")

    def __init__(self, octets: bytes, layout: Layout) -> None:
        self._octets = octets
        self._layout = layout
        self._got: Attributes | None = None

    def get(self, name: str) -> int | None:
        """Return an attribute; None if the device, or this kernel, does not have it."""
        kind, width = self._layout.get(name, (0, U8))
        value = self.raw(kind) if kind else b""
        return int(width.unpack(value)[0]) if len(value) == width.size else None

    def raw(self, kind: int) -> bytes:
        """Return an attribute's value by its number, b"" when absent. Raises DecodeError."""
        if self._got is None:
            self._got = Attributes(self._octets, 0, len(self._octets))
        return self._got.raw(kind)


@dataclass(frozen=True, slots=True)
class Link:
    """A device as the kernel reports it."""

    index: int
    name: str
    kind: str  # "" for hardware
    mac: bytes
    mtu: int
    flags: int
    carrier: bool
    master: int  # index, 0 for none
    peer: int  # IFLA_LINK: a veth's other end, in the other end's namespace
    group: int
    alias: str
    info: Info  # IFLA_INFO_DATA
    port: Info  # IFLA_INFO_SLAVE_DATA

    @property
    def up(self) -> bool:
        return bool(self.flags & IFF_UP)

    @property
    def mark(self) -> Mark | None:
        return decode(self.alias)

    @property
    def made(self) -> bool:
        """Whether Dualpath made it, for any purpose."""
        return self.mark is not None or self.group == DEVICE_GROUP

    @property
    def vtep(self) -> bytes:
        """The local VTEP address of a VXLAN device, b"" for none."""
        if self.kind != "vxlan":
            return b""
        return self.info.raw(n.IFLA_VXLAN_LOCAL) or self.info.raw(n.IFLA_VXLAN_LOCAL6)

    def is_ours(self, what: str) -> bool:
        """Return whether Dualpath made it for that purpose.

        The mark may be missing, after a crash or because another program changed the alias: then
        the group decides.
        """
        return self.mark.what == what if self.mark else self.group == DEVICE_GROUP


@dataclass(frozen=True, slots=True)
class Counters:
    """The packets and bytes that a device received and sent."""

    rx_packets: int = 0
    tx_packets: int = 0
    rx_bytes: int = 0
    tx_bytes: int = 0


def is_pair(near: Link, far: Link) -> bool:
    """Return whether two devices are the ends of one veth."""
    return near.kind == far.kind == "veth" and (near.peer, far.peer) == (far.index, near.index)


def is_link_local(address: Address) -> bool:
    return len(address.ip) == 16 and ipaddress.IPv6Address(address.ip).is_link_local


def link_local(mac: bytes) -> Address:
    """Return fe80::/64 with the modified EUI-64 of a MAC (RFC 4291 appendix A)."""
    eui = bytes([mac[0] ^ 2, *mac[1:3], 0xFF, 0xFE, *mac[3:]])
    return Address(bytes.fromhex("fe80000000000000") + eui, 64)


def read_link(message: Message) -> Link:
    """Decode RTM_NEWLINK. Raises DecodeError."""
    _, _, _, index, flags, _ = message.fixed(IFINFOMSG)
    got = message.attributes(IFINFOMSG)
    info = got.nested(n.IFLA_LINKINFO)
    kind = info.text(n.IFLA_INFO_KIND)
    return Link(
        index=index,
        name=got.text(n.IFLA_IFNAME),
        kind=kind,
        mac=got.raw(n.IFLA_ADDRESS),
        mtu=got.u32(n.IFLA_MTU),
        flags=flags,
        carrier=bool(got.u8(n.IFLA_CARRIER)),
        master=got.u32(n.IFLA_MASTER),
        peer=got.u32(n.IFLA_LINK),
        group=got.u32(n.IFLA_GROUP),
        alias=got.text(n.IFLA_IFALIAS),
        info=Info(info.raw(n.IFLA_INFO_DATA), OF_KIND.get(kind, {})),
        port=Info(info.raw(n.IFLA_INFO_SLAVE_DATA), OF_PORT),
    )


def read_counters(message: Message) -> Counters:
    """Decode the counters of RTM_NEWLINK. Raises DecodeError."""
    value = message.attributes(IFINFOMSG).raw(n.IFLA_STATS64)
    return Counters(*STATS64.unpack_from(value)) if len(value) >= STATS64.size else Counters()


def read_address(message: Message) -> tuple[int, Address | None]:
    """Decode RTM_NEWADDR: return the device's index, and the address if it lasts.

    An address with a lifetime is None, and so are the kernel's own on `lo`. Raises DecodeError.
    """
    family, length, flags, scope, index = message.fixed(IFADDRMSG)
    got = message.attributes(IFADDRMSG)
    flags = got.u32(n.IFA_FLAGS, flags)
    if scope not in (RT_SCOPE_UNIVERSE, RT_SCOPE_LINK) or not flags & IFA_F_PERMANENT:
        return index, None
    if flags & IFA_F_TEMPORARY and family == socket.AF_INET6:
        return index, None
    local = got.address(n.IFA_LOCAL, 4, 16)
    return index, Address(local or got.address(n.IFA_ADDRESS, 4, 16), length)
