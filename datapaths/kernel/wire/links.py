"""Decode links and addresses, with the attributes that the picture needs. Pure.

`datapaths.linux.links` creates and changes links, by pyroute2: that is rare.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from datapaths.linux.wire.links import FIB_RULE_HDR, IFADDRMSG, IFINFOMSG
from dualpath.netlink import numbers as n
from dualpath.netlink.message import (
    DecodeError,
    Message,
    attribute,
    request,
)


@dataclass(frozen=True, slots=True)
class Link:
    """A network device."""

    index: int
    name: str
    kind: str  # IFLA_INFO_KIND: "vxlan", "bridge", "vrf", "veth"; "" for a NIC
    up: bool  # administratively
    carrier: bool
    loopback: bool
    master: int  # index, 0 is none
    mtu: int
    mac: bytes
    vni: int  # of a VXLAN device, else 0
    table: int  # of a VRF device, else 0
    alias: str  # contains our mark


def decode(message: Message) -> Link | None:
    """Decode RTM_NEWLINK or RTM_DELLINK; None for a bridge's message about a port.

    Raises DecodeError.
    """
    family, _, _, index, flags, _ = message.fixed(IFINFOMSG)
    if family != socket.AF_UNSPEC:
        return None
    got = message.attributes(IFINFOMSG)
    info = got.nested(n.IFLA_LINKINFO)
    kind = info.text(n.IFLA_INFO_KIND)
    return Link(
        index,
        got.text(n.IFLA_IFNAME),
        kind,
        bool(flags & n.IFF_UP),
        bool(flags & n.IFF_LOWER_UP),
        bool(flags & n.IFF_LOOPBACK),
        got.u32(n.IFLA_MASTER),
        got.u32(n.IFLA_MTU),
        got.raw(n.IFLA_ADDRESS),
        info.nested(n.IFLA_INFO_DATA).u32(n.IFLA_VXLAN_ID) if kind == "vxlan" else 0,
        info.nested(n.IFLA_INFO_DATA).u32(n.IFLA_VRF_TABLE) if kind == "vrf" else 0,
        got.text(n.IFLA_IFALIAS),
    )


def decode_address(message: Message) -> tuple[int, bytes, int]:
    """Return link index, address and prefix length of RTM_NEWADDR or RTM_DELADDR.

    Raises DecodeError.
    """
    family, length, _, _, index = message.fixed(IFADDRMSG)
    got = message.attributes(IFADDRMSG)
    address = got.raw(n.IFA_LOCAL) or got.raw(n.IFA_ADDRESS)
    width = 4 if family == socket.AF_INET else 16
    if len(address) != width or length > width * 8:
        raise DecodeError(
            f"an address of {len(address)} bytes, /{length}, of family {family}", offset=0
        )
    return index, address, length


def decode_rule(message: Message) -> tuple[str, int]:
    """Return a routing rule's input device ("" for none) and priority. Raises DecodeError."""
    message.fixed(FIB_RULE_HDR)
    got = message.attributes(FIB_RULE_HDR)
    return got.text(n.FRA_IIFNAME), got.u32(n.FRA_PRIORITY)


def probe_request(kind: str) -> bytes:
    """Return a request that finds out whether the kernel has a kind of device.

    EOPNOTSUPP means that it has not. Any other error means that it has, and has loaded the module:
    every kind refuses the request's MAC of 1 byte before it creates anything.
    """
    info = attribute(n.IFLA_LINKINFO, attribute(n.IFLA_INFO_KIND, kind.encode()))
    body = IFINFOMSG.pack(0, 0, 0, 0, 0, 0) + attribute(n.IFLA_ADDRESS, b"\1") + info
    return request(n.RTM_NEWLINK, n.NLM_F_CREATE | n.NLM_F_EXCL, body)
