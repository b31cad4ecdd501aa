"""What we ask the control namespace's kernel for, and how an answer ends.

To have a dump filtered by table, the socket needs NETLINK_GET_STRICT_CHK; without it the kernel
answers with more, which is decoded all the same.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from frr_bridge.errors import DecodeError
from frr_bridge.wire.link import IFADDRMSG, IFINFOMSG, IFLA_EXT_MASK
from frr_bridge.wire.neighbor import NDMSG
from frr_bridge.wire.netlink import (
    AF_UNSPEC,
    NLM_F_ACK_TLVS,
    NLM_F_CAPPED,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSGHDR,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETNEIGH,
    RTM_GETNEXTHOP,
    RTM_GETROUTE,
    Attributes,
    Message,
    attribute,
    message,
    messages,
    unpack,
)
from frr_bridge.wire.nexthop import NHMSG
from frr_bridge.wire.route import RTA_TABLE, RTMSG

RTEXT_FILTER_SKIP_STATS = 8
NLMSGERR_ATTR_MSG = 1

_U32 = struct.Struct("=I")
_ERRNO = struct.Struct("=i")


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a dump, or the acknowledgement of a request."""

    sequence: int  # of the request
    errno: int = 0  # positive; 0 is success
    text: str = ""  # what the kernel says besides


def get_links(sequence: int) -> bytes:
    """Ask for all devices, without their counters."""
    body = IFINFOMSG.pack(AF_UNSPEC, 0, 0, 0, 0)
    return _dump(RTM_GETLINK, sequence, body + _u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS))


def get_addresses(sequence: int, family: int = AF_UNSPEC) -> bytes:
    return _dump(RTM_GETADDR, sequence, IFADDRMSG.pack(family, 0, 0, 0, 0))


def get_neighbors(sequence: int, family: int) -> bytes:
    """Ask for bridge entries (AF_BRIDGE) or for one family's neighbours."""
    return _dump(RTM_GETNEIGH, sequence, NDMSG.pack(family, 0, 0, 0, 0, 0, 0))


def get_nexthops(sequence: int) -> bytes:
    return _dump(RTM_GETNEXTHOP, sequence, NHMSG.pack(AF_UNSPEC, 0, 0, 0, 0))


def get_routes(sequence: int, family: int, table: int) -> bytes:
    body = RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    return _dump(RTM_GETROUTE, sequence, body + _u32(RTA_TABLE, table))


def split(datagram: bytes) -> Iterator[Message]:
    """Yield the messages of one datagram. Raises DecodeError where it stops making sense.

    Of a dump whose messages have NLM_F_DUMP_INTR the rows may be inconsistent: dump again.
    """
    return messages(datagram, 0, len(datagram))


def answer(buffer: bytes, message: Message) -> Answer:
    """Decode an NLMSG_ERROR or NLMSG_DONE."""
    start, end = message.body, message.end
    if message.type == NLMSG_DONE and start == end:
        return Answer(message.sequence)
    if message.type not in {NLMSG_DONE, NLMSG_ERROR}:
        raise DecodeError("not an answer", offset=message.start)
    (code,) = unpack(_ERRNO, buffer, start, end)
    if code > 0:
        raise DecodeError("errno", offset=start)
    return Answer(message.sequence, -code, _text(buffer, message))


def _text(buffer: bytes, message: Message) -> str:
    if not message.flags & NLM_F_ACK_TLVS:
        return ""
    start = message.body + _ERRNO.size
    if message.type == NLMSG_ERROR:
        start = _after_echo(buffer, start, message)
    return Attributes(buffer, start, message.end).text(NLMSGERR_ATTR_MSG)


def _after_echo(buffer: bytes, start: int, message: Message) -> int:
    """Return where attributes begin after the echoed request: its header, or all of it."""
    length = unpack(NLMSGHDR, buffer, start, message.end)[0]
    if message.flags & NLM_F_CAPPED:
        return start + NLMSGHDR.size
    if not NLMSGHDR.size <= length <= message.end - start:
        raise DecodeError("echoed request", offset=start)
    return start + (length + 3 & ~3)


def _dump(kind: int, sequence: int, body: bytes) -> bytes:
    return message(kind, NLM_F_REQUEST | NLM_F_DUMP, sequence, body)


def _u32(kind: int, value: int) -> bytes:
    return attribute(kind, _U32.pack(value))
