"""Decode the attributes of a device that may drift. Pure.

Keep only attributes that a program can set: counters, timers and carriers change by themselves.
"""

from __future__ import annotations

import socket
import struct
import sys
from dataclasses import dataclass
from typing import Final

from datapaths.linux import marks
from datapaths.linux.wire.links import IFADDRMSG, IFINFOMSG
from dualpath.netlink import numbers as n
from dualpath.netlink.message import Attributes, Message

NETCONFMSG: Final = struct.Struct("=Bxxx")  # linux/netconf.h: family
TCMSG: Final = struct.Struct("=BxxxiIII")  # linux/rtnetlink.h

NETCONFA_IFINDEX = 1  # linux/netconf.h
ALL_DEVICES = -1  # an index up to this: the settings `all` and `default`

IFF_UP, IFF_NOARP, IFF_PROMISC = 0x1, 0x80, 0x100  # linux/if.h
FLAGS = IFF_UP | IFF_NOARP | IFF_PROMISC

# linux/if_link.h
IFLA_PROTINFO, IFLA_AF_SPEC = 12, 26
IFLA_INET_CONF, IFLA_INET6_CONF = 1, 2  # all settings below net/ipv[46]/conf/NAME
PLAIN = (n.IFLA_ADDRESS, n.IFLA_MTU, n.IFLA_MASTER, n.IFLA_LINK, n.IFLA_GROUP)
BRIDGE_DATA = (4, 5, 7, 23, 39)  # IFLA_BR_: ageing, STP, VLAN filtering, snooping, default PVID
PORT_DATA = (8, 32)  # IFLA_BRPORT_LEARNING, IFLA_BRPORT_NEIGH_SUPPRESS

BRIDGE_TIMERS = (16, 17, 18, 19)  # IFLA_BR_: hello, TCN, topology change, garbage collection
PORT_TIMERS = (21, 22, 23)  # IFLA_BRPORT_: message age, forward delay, hold
COUNTERS = (7, n.IFLA_STATS64)  # IFLA_STATS; RTEXT_FILTER_SKIP_STATS leaves out others alone

Picked = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Device:
    """The attributes of a device that a program can set."""

    name: str
    alias: str
    port: Picked  # its settings as a bridge's port
    rest: tuple[int, Picked, str, Picked | bytes, Picked]


def decode(message: Message) -> tuple[int, Device]:
    """Decode RTM_NEWLINK of family AF_UNSPEC; return index and device. Raises DecodeError."""
    _, _, _, index, flags, _ = message.fixed(IFINFOMSG)
    got = message.attributes(IFINFOMSG)
    info = got.nested(n.IFLA_LINKINFO)
    kind = info.text(n.IFLA_INFO_KIND)
    spec = got.nested(IFLA_AF_SPEC)
    settings = (
        spec.nested(socket.AF_INET).raw(IFLA_INET_CONF),
        spec.nested(socket.AF_INET6).raw(IFLA_INET6_CONF),
    )
    alias, plain = got.text(n.IFLA_IFALIAS), _pick(got, PLAIN)
    if (mark := marks.decode(alias)) and mark.flag("anymac"):
        plain = (b"", *plain[1:])  # the kernel takes it from a port
    if kind == "bridge":
        of_kind: Picked | bytes = _pick(info.nested(n.IFLA_INFO_DATA), BRIDGE_DATA)
    else:
        of_kind = info.raw(n.IFLA_INFO_DATA)
    return index, Device(
        got.text(n.IFLA_IFNAME),
        alias,
        _pick(info.nested(n.IFLA_INFO_SLAVE_DATA), PORT_DATA),
        (flags & FLAGS, plain, kind, of_kind, settings),
    )


def moving(message: Message) -> list[tuple[int, int]]:
    """Return where counters and running timers begin and end in the body. Raises DecodeError."""
    got = message.attributes(IFINFOMSG)
    info = got.nested(n.IFLA_LINKINFO)
    spans = [got.span(kind) for kind in COUNTERS if kind in got]
    if info.text(n.IFLA_INFO_KIND) == "bridge":
        data = info.nested(n.IFLA_INFO_DATA)
        spans += [data.span(kind) for kind in BRIDGE_TIMERS if kind in data]
    port = info.nested(n.IFLA_INFO_SLAVE_DATA)
    spans += [port.span(kind) for kind in PORT_TIMERS if kind in port]
    return sorted((start - message.payload, end - message.payload) for start, end in spans)


def decode_port(message: Message) -> Picked:
    """Decode a bridge's RTM_NEWLINK (family AF_BRIDGE) of a port. Raises DecodeError."""
    return _pick(message.attributes(IFINFOMSG).nested(IFLA_PROTINFO), PORT_DATA)


def head_of(message: Message) -> tuple[int, int]:
    """Return the family and the device's index, from the header of any message of a device."""
    layout = {
        n.RTM_NEWLINK: IFINFOMSG,
        n.RTM_DELLINK: IFINFOMSG,
        n.RTM_NEWADDR: IFADDRMSG,
        n.RTM_DELADDR: IFADDRMSG,
    }.get(message.type, TCMSG)
    fields = message.fixed(layout)
    return fields[0], fields[{IFINFOMSG: 3, IFADDRMSG: 4, TCMSG: 1}[layout]]


def decode_setting(message: Message) -> int:
    """Return the index of the device in RTM_NEWNETCONF; negative for all devices."""
    value = message.attributes(NETCONFMSG).raw(NETCONFA_IFINDEX)
    return int.from_bytes(value, sys.byteorder, signed=True)


def _pick(got: Attributes, types: tuple[int, ...]) -> Picked:
    return tuple(got.raw(kind) for kind in types)
