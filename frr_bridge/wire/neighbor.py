"""RTM_NEWNEIGH and RTM_DELNEIGH: bridge MACs and floods (AF_BRIDGE), and IP neighbours.

From FPM (MACs only) or the kernel. Zebra names the VNI in NDA_SRC_VNI, the kernel not at all:
there it follows from the VXLAN device.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from frr_bridge.errors import DecodeError
from frr_bridge.wire.netlink import (
    AF_BRIDGE,
    AF_INET,
    AF_INET6,
    RTM_DELNEIGH,
    Attributes,
    Message,
    unpack,
)

NDMSG = struct.Struct("=BBHiHBB")  # struct ndmsg in linux/neighbour.h

NDA_DST = 1
NDA_LLADDR = 2
NDA_VLAN = 5
NDA_PORT = 6
NDA_VNI = 7
NDA_IFINDEX = 8
NDA_MASTER = 9
NDA_SRC_VNI = 11
NDA_PROTOCOL = 12
NDA_NH_ID = 13
NDA_FLAGS_EXT = 15

NUD_INCOMPLETE = 0x01
NUD_REACHABLE = 0x02
NUD_STALE = 0x04
NUD_DELAY = 0x08
NUD_PROBE = 0x10
NUD_FAILED = 0x20
NUD_NOARP = 0x40
NUD_PERMANENT = 0x80

NTF_USE = 0x01
NTF_SELF = 0x02
NTF_MASTER = 0x04
NTF_PROXY = 0x08
NTF_EXT_LEARNED = 0x10
NTF_OFFLOADED = 0x20
NTF_STICKY = 0x40
NTF_ROUTER = 0x80

ETH_ALEN = 6
_DST_WIDTHS = {AF_BRIDGE: (4, 16), AF_INET: (4,), AF_INET6: (16,)}


@dataclass(frozen=True, slots=True)
class NeighborMessage:
    """A bridge's forwarding entry or a neighbour. 0 and b"" are not said."""

    deleted: bool
    family: int  # AF_BRIDGE, AF_INET or AF_INET6
    ifindex: int  # AF_BRIDGE: the bridge port; else the interface of the neighbour
    state: int  # NUD_*
    flags: int  # NTF_*; NTF_SELF and NTF_MASTER rows of one MAC are two entries
    lladdr: bytes = b""  # 6 bytes; all zero in AF_BRIDGE is a flood entry
    dst: bytes = b""  # AF_BRIDGE: remote VTEP; else the neighbour's address; 4 or 16 bytes
    ext_flags: int = 0  # NTF_EXT_*
    vni: int = 0  # NDA_VNI: of the outgoing packet
    src_vni: int = 0  # NDA_SRC_VNI: of the VXLAN device; zebra's way to name the VNI
    master: int = 0  # interface index of the bridge
    vlan: int = 0
    port: int = 0  # UDP port of the VTEP
    via: int = 0  # NDA_IFINDEX: the interface towards the VTEP
    nexthop_id: int = 0  # NDA_NH_ID: multihomed MAC, `dst` is absent
    protocol: int = 0  # RTPROT_*
    error: DecodeError | None = field(default=None, compare=False)  # what else could not be read


def decode_neighbor(buffer: bytes, message: Message) -> NeighborMessage:
    """Decode an entry. Raises DecodeError when it is not known which entry it is about.

    If only its contents cannot be decoded, it is returned without them: a MAC that leads nowhere,
    a neighbour without a MAC. The old contents are not what zebra wants any more.
    """
    start, end = message.body, message.end
    family, _, _, ifindex, state, flags, _ = unpack(NDMSG, buffer, start, end)
    widths = _DST_WIDTHS.get(family)
    if widths is None:
        raise DecodeError("address family", offset=start)
    attributes = Attributes(buffer, start + NDMSG.size, end, partly=True)
    row = message.type == RTM_DELNEIGH, family, ifindex, state, flags
    try:
        if attributes.error:
            raise attributes.error
        lladdr, dst = _addresses(attributes, family, widths, start)
        return NeighborMessage(
            *row,
            lladdr=lladdr,
            dst=dst,
            ext_flags=attributes.u32(NDA_FLAGS_EXT),
            vni=attributes.u32(NDA_VNI),
            src_vni=attributes.u32(NDA_SRC_VNI),
            master=attributes.u32(NDA_MASTER),
            vlan=attributes.u16(NDA_VLAN),
            port=attributes.be16(NDA_PORT),
            via=attributes.u32(NDA_IFINDEX),
            nexthop_id=attributes.u32(NDA_NH_ID),
            protocol=attributes.u8(NDA_PROTOCOL),
        )
    except DecodeError as error:
        lladdr, dst = attributes.raw(NDA_LLADDR), attributes.raw(NDA_DST)
        if family == AF_BRIDGE and flags & NTF_SELF and len(lladdr) == ETH_ALEN:
            return NeighborMessage(*row, lladdr=lladdr, error=error)
        if family != AF_BRIDGE and len(dst) in widths:
            return NeighborMessage(*row, dst=dst, error=error)
        raise


def _addresses(
    attributes: Attributes, family: int, widths: tuple[int, ...], offset: int
) -> tuple[bytes, bytes]:
    """Return the link-layer address and the destination; the one that is the key must be there.

    Neighbours on links without Ethernet have link-layer addresses of other widths, or none:
    those are left out.
    """
    lladdr = attributes.raw(NDA_LLADDR)
    dst = attributes.address(NDA_DST, *widths)
    if family == AF_BRIDGE:
        if len(lladdr) != ETH_ALEN:
            raise DecodeError("bridge entry without a MAC", offset=offset)
    elif not dst:
        raise DecodeError("neighbour without an address", offset=offset)
    return (lladdr if len(lladdr) == ETH_ALEN else b""), dst
