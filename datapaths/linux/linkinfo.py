"""Devices and addresses, decoded from pyroute2's messages. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datapaths.linux.marks import DEVICE_GROUP, Mark, decode
from dualpath.model.links import Address

IFF_UP = 0x1  # linux/if.h
IFA_F_TEMPORARY, IFA_F_PERMANENT = 0x01, 0x80  # linux/if_addr.h
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253  # linux/rtnetlink.h


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
    info: Mapping[str, Any]  # IFLA_INFO_DATA: attributes of its kind
    port: Mapping[str, Any]  # IFLA_INFO_SLAVE_DATA: attributes as a bridge port
    counters: Mapping[str, int]

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

    def is_ours(self, what: str) -> bool:
        """Return whether Dualpath made it for that purpose.

        The mark may be missing, after a crash or because another program changed the alias: then
        the group decides.
        """
        return self.mark.what == what if self.mark else self.group == DEVICE_GROUP


def is_pair(near: Link, far: Link) -> bool:
    """Return whether two devices are the ends of one veth."""
    return near.kind == far.kind == "veth" and (near.peer, far.peer) == (far.index, near.index)


def is_link_local(address: Address) -> bool:
    return len(address.ip) == 16 and ipaddress.IPv6Address(address.ip).is_link_local


def link_local(mac: bytes) -> Address:
    """Return fe80::/64 with the modified EUI-64 of a MAC (RFC 4291 appendix A)."""
    eui = bytes([mac[0] ^ 2, *mac[1:3], 0xFF, 0xFE, *mac[3:]])
    return Address(bytes.fromhex("fe80000000000000") + eui, 64)


def read_link(message: Any) -> Link:  # noqa: ANN401  pyroute2 is not typed
    # One attribute at a time: pyroute2 decodes lazily, and most attributes are not needed.
    get = message.get_attr
    info = get("IFLA_LINKINFO")
    return Link(
        index=message["index"],
        name=get("IFLA_IFNAME"),
        kind=(info.get_attr("IFLA_INFO_KIND") if info else "") or "",
        mac=bytes.fromhex((get("IFLA_ADDRESS") or "").replace(":", "")),
        mtu=get("IFLA_MTU") or 0,
        flags=message["flags"],
        carrier=bool(get("IFLA_CARRIER")),
        master=get("IFLA_MASTER") or 0,
        peer=get("IFLA_LINK") or 0,
        group=get("IFLA_GROUP") or 0,
        alias=get("IFLA_IFALIAS") or "",
        info=_attributes(info and info.get_attr("IFLA_INFO_DATA")),
        port=_attributes(info and info.get_attr("IFLA_INFO_SLAVE_DATA")),
        counters=dict(get("IFLA_STATS64") or {}),
    )


def _attributes(nested: Any) -> Mapping[str, Any]:  # noqa: ANN401  pyroute2 is not typed
    try:
        return dict(nested["attrs"])
    except (TypeError, KeyError):
        return {}


def read_address(message: Any) -> Address | None:  # noqa: ANN401  pyroute2 is not typed
    """Return a lasting address; None for the kernel's own on `lo`, and for one with a lifetime."""
    attributes = dict(message["attrs"])
    flags = attributes.get("IFA_FLAGS", message["flags"])
    if message["scope"] not in (RT_SCOPE_UNIVERSE, RT_SCOPE_LINK):
        return None
    if not flags & IFA_F_PERMANENT or (flags & IFA_F_TEMPORARY and message["family"] == 10):
        return None
    text = attributes.get("IFA_LOCAL") or attributes["IFA_ADDRESS"]
    return Address(ipaddress.ip_address(text).packed, message["prefixlen"])
