"""The acknowledgement that zebra waits for with `--asic-offload=notify_on_offload`.

One FPM frame per route: the smallest RTM_NEWROUTE that zebra accepts
(netlink_route_notify_read_ctx in zebra/rt_netlink.c). zebra finds the route by prefix, table and
protocol.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dualpath.model.routes import U8, Family
from dualpath.netlink.message import NLMSG_HDRLEN, RTATTR, attribute, encode_message
from dualpath.netlink.numbers import NLM_F_REQUEST, RTA_DST, RTA_TABLE, RTM_NEWROUTE, RTN_UNICAST
from frr_bridge.wire.fpm import frame
from frr_bridge.wire.route import RTMSG

RTM_F_OFFLOAD = 0x4000
RTM_F_OFFLOAD_FAILED = 0x2000_0000

_RTMSG = 4 + NLMSG_HDRLEN
_LENGTH, _PROTOCOL, _FLAGS = _RTMSG + 1, _RTMSG + 5, _RTMSG + 8
_DST = _RTMSG + RTMSG.size + RTATTR.size


def offload(
    table: int,
    family: Family,
    prefixes: U8,
    lengths: U8,
    protocols: U8,
    failed: npt.NDArray[np.bool_],
) -> bytes:
    """Return one frame per row: the route is in the datapath, or has failed.

    The columns are those of `TableRoutes`; zebra ignores a row whose protocol is not the route's.
    """
    template = np.frombuffer(_template(table, family), np.uint8)
    frames = np.tile(template, (len(lengths), 1))
    frames[:, _LENGTH] = lengths
    frames[:, _PROTOCOL] = protocols
    frames[:, _DST : _DST + family.width] = prefixes
    flags = np.where(failed, RTM_F_OFFLOAD_FAILED, RTM_F_OFFLOAD).astype(np.uint32)
    frames[:, _FLAGS : _FLAGS + 4] = flags.view(np.uint8).reshape(-1, 4)
    return frames.tobytes()


def _template(table: int, family: Family) -> bytes:
    """Return a frame with the values that all rows share, and zeros elsewhere."""
    small = table if table < 256 else 0
    body = RTMSG.pack(family, 0, 0, 0, small, 0, 0, RTN_UNICAST, 0)
    body += attribute(RTA_DST, bytes(family.width))
    body += attribute(RTA_TABLE, np.uint32(table).tobytes())
    return frame(encode_message(RTM_NEWROUTE, NLM_F_REQUEST, 0, body))
