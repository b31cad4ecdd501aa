"""The contents of a nexthop: gateway, interface, encapsulation.

A route may carry them inline, and a nexthop object carries them under its id; both are decoded
here. An interface index stays an index: this module does not know its device, VRF or VNI.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dualpath.model.nexthops import NexthopType
from dualpath.netlink.message import Attributes, DecodeError

LWTUNNEL_ENCAP_MPLS = 1  # enum lwtunnel_encap_types in linux/lwtunnel.h
LWTUNNEL_ENCAP_IP = 2
LWTUNNEL_ENCAP_SEG6 = 5
LWTUNNEL_ENCAP_SEG6_LOCAL = 7
LWTUNNEL_IP_ID = 1
FPM_NH_ENCAP_VXLAN = 100  # NET_VXLAN, zebra's own, on FPM only (lib/vxlan.h)
VXLAN_VNI = 0
MAX_VNI = 0xFF_FFFF

_ENCAPSULATIONS = {
    LWTUNNEL_ENCAP_MPLS: "MPLS encapsulation",
    LWTUNNEL_ENCAP_SEG6: "SRv6 encapsulation (seg6)",
    LWTUNNEL_ENCAP_SEG6_LOCAL: "SRv6 local action (seg6local)",
}


@dataclass(frozen=True, slots=True)
class InlineNexthop:
    """A nexthop by value. Equal ones are the same nexthop."""

    type: NexthopType
    gateway: bytes = b""  # 4 or 16 bytes, network order; ::ffff: is left on
    oif: int = 0  # interface index in the control namespace, 0 is none
    vni: int = 0  # from the encapsulation attribute, 0 is none
    onlink: bool = False
    members: tuple[tuple[InlineNexthop, int], ...] = ()  # of a GROUP, with weights from 1


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Contents that Dualpath cannot forward, of a route or nexthop whose key could be decoded.

    It replaces the old contents under that key, because zebra replaced them too.
    """

    reason: str  # a DecodeError's
    error: DecodeError = field(compare=False)


Content = InlineNexthop | Unsupported


def single(gateway: bytes, oif: int, vni: int, onlink: bool, *, offset: int) -> InlineNexthop:
    """Return a nexthop that is no group. Raises DecodeError without gateway and interface."""
    if gateway:
        return InlineNexthop(NexthopType.GATEWAY, gateway, oif, vni, onlink)
    if oif:
        return InlineNexthop(NexthopType.DEVICE, b"", oif, vni, onlink)
    raise DecodeError("no nexthop", offset=offset)


def vni_of(attributes: Attributes, encap_type: int, encap: int) -> int:
    """Return the VNI of an encapsulation, given the two attribute types; 0 without one.

    zebra uses two forms: its own in FPM, and the kernel's IP tunnel key in nexthop objects, for a
    downstream VNI. Raises DecodeError on any other encapsulation: without its labels or segments,
    packets would go to the wrong place.
    """
    if encap_type not in attributes:
        if encap in attributes:
            start = attributes.span(encap)[0]
            raise DecodeError("encapsulation other than VXLAN", offset=start)
        return 0
    kind = attributes.u16(encap_type)
    start = attributes.span(encap_type)[0]
    inner = attributes.nested(encap)
    if kind == FPM_NH_ENCAP_VXLAN and VXLAN_VNI in inner:
        vni = inner.u32(VXLAN_VNI)
    elif kind == LWTUNNEL_ENCAP_IP and LWTUNNEL_IP_ID in inner:
        vni = inner.be64(LWTUNNEL_IP_ID)
    else:
        reason = _ENCAPSULATIONS.get(kind, "encapsulation other than VXLAN")
        raise DecodeError(reason, offset=start)
    if vni > MAX_VNI:
        raise DecodeError("VNI above 24 bits", offset=start)
    return vni
