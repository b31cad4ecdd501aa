"""Decode one netlink message by its type."""

from __future__ import annotations

from collections.abc import Callable

from dualpath.netlink.message import Message
from dualpath.netlink.numbers import (
    AF_MPLS,
    RTM_DELLINK,
    RTM_DELNEIGH,
    RTM_DELNEXTHOP,
    RTM_DELROUTE,
    RTM_NEWLINK,
    RTM_NEWNEIGH,
    RTM_NEWNEXTHOP,
    RTM_NEWROUTE,
)
from frr_bridge.wire.link import LinkMessage, decode_link
from frr_bridge.wire.lsp import LspMessage, decode_lsp
from frr_bridge.wire.neighbor import NeighborMessage, decode_neighbor
from frr_bridge.wire.nexthop import ZebraNexthop, decode_nexthop
from frr_bridge.wire.route import ZebraRoute, decode_route

Other = ZebraNexthop | NeighborMessage | LspMessage | LinkMessage
"""Everything that is not an IP route."""


def _decode_route(message: Message) -> ZebraRoute | LspMessage:
    if message.buffer[message.payload : message.payload + 1] == bytes([AF_MPLS]):
        return decode_lsp(message)
    return decode_route(message)


_DECODERS: dict[int, Callable[[Message], ZebraRoute | Other]] = {
    RTM_NEWROUTE: _decode_route,
    RTM_DELROUTE: _decode_route,
    RTM_NEWNEXTHOP: decode_nexthop,
    RTM_DELNEXTHOP: decode_nexthop,
    RTM_NEWNEIGH: decode_neighbor,
    RTM_DELNEIGH: decode_neighbor,
    RTM_NEWLINK: decode_link,
    RTM_DELLINK: decode_link,
}


def decode_message(message: Message) -> ZebraRoute | Other | None:
    """Decode one message; return None for a type that frr-bridge does not use.

    Raises DecodeError; the next message can still be decoded.
    """
    decoder = _DECODERS.get(message.type)
    return decoder(message) if decoder else None
