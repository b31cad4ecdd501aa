"""What may drift of a device, out of the kernel's messages about it. Pure.

Only what somebody may set is kept: counters, timers and carriers change by themselves.
"""

from __future__ import annotations

import socket
import struct
import sys
from dataclasses import dataclass
from typing import Final

from datapaths.linux.wire import numbers as n
from datapaths.linux.wire.message import Message, attributes, header, request, text, u32

IFINFOMSG: Final = struct.Struct("=BBHiII")  # linux/rtnetlink.h: family, -, type, index, flags, -
IFADDRMSG: Final = struct.Struct("=BBBBI")  # linux/if_addr.h: family, len, flags, scope, index
TCMSG: Final = struct.Struct("=BxxxiIII")  # linux/rtnetlink.h

RTM_NEWQDISC, RTM_DELQDISC, RTM_NEWTFILTER, RTM_DELTFILTER = 36, 37, 44, 45  # linux/rtnetlink.h
RTM_NEWADDR, RTM_DELADDR, RTM_NEWNETCONF = 20, 21, 80
NETCONFA_IFINDEX = 1  # linux/netconf.h
ALL_DEVICES = -1  # and below: what is said of `all` and of `default`

IFF_UP, IFF_NOARP, IFF_PROMISC = 0x1, 0x80, 0x100  # linux/if.h
FLAGS = IFF_UP | IFF_NOARP | IFF_PROMISC

# linux/if_link.h
IFLA_LINK, IFLA_PROTINFO, IFLA_AF_SPEC, IFLA_GROUP = 5, 12, 26, 27
IFLA_INFO_SLAVE_DATA = 5
IFLA_INET_CONF, IFLA_INET6_CONF = 1, 2  # all settings below net/ipv[46]/conf/NAME
PLAIN = (n.IFLA_ADDRESS, n.IFLA_MTU, n.IFLA_MASTER, IFLA_LINK, IFLA_GROUP)
BRIDGE_DATA = (4, 5, 7, 23, 39)  # IFLA_BR_: ageing, STP, VLAN filtering, snooping, default PVID
PORT_DATA = (8, 32)  # IFLA_BRPORT_LEARNING, IFLA_BRPORT_NEIGH_SUPPRESS

Picked = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Device:
    """A device as far as it is set by somebody."""

    name: str
    alias: str
    port: Picked  # its settings as a bridge's port
    rest: tuple[int, Picked, str, Picked | bytes, Picked]


def decode(message: Message) -> tuple[int, Device]:
    """Read RTM_NEWLINK of family AF_UNSPEC; return index and device. Raises DecodeError."""
    _, _, _, index, flags, _ = header(IFINFOMSG, message.body)
    got = attributes(message.body, IFINFOMSG.size)
    info = attributes(got.get(n.IFLA_LINKINFO, b""), 0)
    kind, data = text(info.get(n.IFLA_INFO_KIND, b"")), info.get(n.IFLA_INFO_DATA, b"")
    spec = attributes(got.get(IFLA_AF_SPEC, b""), 0)
    settings = (
        attributes(spec.get(socket.AF_INET, b""), 0).get(IFLA_INET_CONF, b""),
        attributes(spec.get(socket.AF_INET6, b""), 0).get(IFLA_INET6_CONF, b""),
    )
    of_kind = _pick(data, BRIDGE_DATA) if kind == "bridge" else data
    plain = tuple(got.get(type_, b"") for type_ in PLAIN)
    return index, Device(
        text(got.get(n.IFLA_IFNAME, b"")),
        text(got.get(n.IFLA_IFALIAS, b"")),
        _pick(info.get(IFLA_INFO_SLAVE_DATA, b""), PORT_DATA),
        (flags & FLAGS, plain, kind, of_kind, settings),
    )


def decode_port(message: Message) -> Picked:
    """Read a bridge's RTM_NEWLINK (family AF_BRIDGE) about its port. Raises DecodeError."""
    got = attributes(message.body, IFINFOMSG.size)
    return _pick(got.get(IFLA_PROTINFO, b""), PORT_DATA)


def head_of(message: Message) -> tuple[int, int]:
    """Return the family and the device's index that a message about a device begins with."""
    layout = {
        n.RTM_NEWLINK: IFINFOMSG,
        n.RTM_DELLINK: IFINFOMSG,
        RTM_NEWADDR: IFADDRMSG,
        RTM_DELADDR: IFADDRMSG,
    }.get(message.type, TCMSG)
    fields = header(layout, message.body)
    return fields[0], fields[{IFINFOMSG: 3, IFADDRMSG: 4, TCMSG: 1}[layout]]


def decode_setting(message: Message) -> int:
    """Return the index of the device of which RTM_NEWNETCONF tells; negative for all of them."""
    value = attributes(message.body, 4).get(NETCONFA_IFINDEX, b"")
    return int.from_bytes(value, sys.byteorder, signed=True)


def dump_request() -> bytes:
    body = IFINFOMSG.pack(0, 0, 0, 0, 0, 0) + u32(n.IFLA_EXT_MASK, n.RTEXT_FILTER_SKIP_STATS)
    return request(n.RTM_GETLINK, n.NLM_F_DUMP, body)


def _pick(nested: bytes, types: tuple[int, ...]) -> Picked:
    got = attributes(nested, 0)
    return tuple(got.get(type_, b"") for type_ in types)
