"""RTM_NEWNEIGH and RTM_DELNEIGH: bridge MACs and floods (AF_BRIDGE), and IP neighbors.

They come from FPM (MACs only) or from the kernel. zebra gives the VNI in NDA_SRC_VNI. The kernel
does not give it: it follows from the VXLAN device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dualpath.netlink.message import Attributes, DecodeError, Message
from dualpath.netlink.neighborcolumns import NDMSG, neighbor_columns
from dualpath.netlink.numbers import (
    AF_BRIDGE,
    AF_INET,
    AF_INET6,
    ETH_ALEN,
    NDA_DST,
    NDA_LLADDR,
    NDA_MASTER,
    NDA_NH_ID,
    NDA_PROTOCOL,
    NDA_SRC_VNI,
    NDA_VLAN,
    NTF_SELF,
    RTM_DELNEIGH,
)

_DST_WIDTHS = {AF_BRIDGE: (4, 16), AF_INET: (4,), AF_INET6: (16,)}


class NeighborMessage(NamedTuple):
    """A bridge's forwarding entry or a neighbor. An absent attribute is 0 or b""."""

    deleted: bool
    family: int  # AF_BRIDGE, AF_INET or AF_INET6
    ifindex: int  # AF_BRIDGE: the bridge port; else the interface of the neighbor
    state: int  # NUD_*
    flags: int  # NTF_*; one MAC may have two entries, with NTF_SELF and with NTF_MASTER
    lladdr: bytes = b""  # 6 bytes; all zero in AF_BRIDGE is a flood entry
    dst: bytes = b""  # AF_BRIDGE: remote VTEP; else the neighbor's address; 4 or 16 bytes
    src_vni: int = 0  # NDA_SRC_VNI: of the VXLAN device; from zebra only
    master: int = 0  # interface index of the bridge
    vlan: int = 0
    nexthop_id: int = 0  # NDA_NH_ID: multihomed MAC, `dst` is absent
    protocol: int = 0  # RTPROT_*
    error: DecodeError | None = None  # why the contents are missing


def decode_neighbors(buffer: bytes, offsets: Sequence[int]) -> list[NeighborMessage] | None:
    """Decode the messages of `buffer`, cut at `offsets`, if all of them are plain entries."""
    columns = neighbor_columns(buffer, offsets)
    if columns is None:
        return None
    return list(
        map(
            NeighborMessage,
            columns.deleted,
            columns.family,
            columns.ifindex,
            columns.state,
            columns.flags,
            columns.lladdr,
            columns.dst,
            columns.number(NDA_SRC_VNI),
            columns.number(NDA_MASTER),
            columns.number(NDA_VLAN),
            columns.number(NDA_NH_ID),
            columns.number(NDA_PROTOCOL),
        )
    )


def decode_neighbor(message: Message) -> NeighborMessage:
    """Decode an entry. Raises DecodeError when its key cannot be decoded.

    If only its contents cannot be decoded, return it without them: a MAC without a VTEP, a neighbor
    without a MAC. zebra replaced the old contents, so they must not remain.
    """
    start = message.payload
    family, _, _, ifindex, state, flags, _ = message.fixed(NDMSG)
    widths = _DST_WIDTHS.get(family)
    if widths is None:
        raise DecodeError("address family", offset=start)
    attributes = message.attributes(NDMSG, partly=True)
    row = message.type == RTM_DELNEIGH, family, ifindex, state, flags
    try:
        if attributes.error:
            raise attributes.error
        lladdr, dst = _addresses(attributes, family, widths, start)
        return NeighborMessage(
            *row,
            lladdr=lladdr,
            dst=dst,
            src_vni=attributes.u32(NDA_SRC_VNI),
            master=attributes.u32(NDA_MASTER),
            vlan=attributes.u16(NDA_VLAN),
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
    """Return the link-layer address and the destination. Raises DecodeError without the key.

    A link-layer address that is not a MAC (a link without Ethernet) is returned as b"".
    """
    lladdr = attributes.raw(NDA_LLADDR)
    dst = attributes.address(NDA_DST, *widths)
    if family == AF_BRIDGE:
        if len(lladdr) != ETH_ALEN:
            raise DecodeError("bridge entry without a MAC", offset=offset)
    elif not dst:
        raise DecodeError("neighbor without an address", offset=offset)
    return (lladdr if len(lladdr) == ETH_ALEN else b""), dst
