"""Addresses, MACs and numbers as text. Pure."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from dualpath.model.links import Address
from dualpath.model.routes import RTPROT_DUALPATH
from dualpath.model.words import errno_name

RTPROT = {  # linux/rtnetlink.h, and FRR's zebra/rt_netlink.h
    1: "redirect",
    2: "kernel",
    3: "boot",
    4: "static",
    8: "gated",
    9: "ra",
    11: "zebra",
    12: "bird",
    16: "dhcp",
    18: "keepalived",
    42: "babel",
    RTPROT_DUALPATH: "dualpath",
    99: "openr",
    186: "bgp",
    187: "isis",
    188: "ospf",
    189: "rip",
    190: "ripng",
    191: "nhrp",
    192: "eigrp",
    193: "ldp",
    194: "sharp",
    195: "pbr",
    196: "static",
    197: "openfabric",
    198: "srte",
}


def protocol_text(number: int) -> str:
    return RTPROT.get(number) or str(number)


def address_text(packed: bytes) -> str:
    """Return an address as text, "" for none."""
    if not packed:
        return ""
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def addresses_text(addresses: Sequence[Address]) -> list[str]:
    return [f"{address_text(address.ip)}/{address.length}" for address in addresses]


def mac_text(mac: bytes) -> str:
    return mac.hex(":") if mac else ""


def errno_text(number: int) -> str:
    """Return the errno's name, "" for 0."""
    return errno_name(number) if number else ""


def timestamp(seconds: float) -> Timestamp | None:
    """Return a protobuf timestamp, None for 0: a field set to None stays absent."""
    if not seconds:
        return None
    return Timestamp(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))
