"""Find routes that other programs changed, in route notifications. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from datapaths.base import Lost
from datapaths.kernel.linktable import LinkTable
from datapaths.kernel.routes import batches
from datapaths.kernel.wire.routes import METRIC, decode_routes
from datapaths.linux.overlay import UNREACHABLE_METRIC
from dualpath.model.kinds import Kind
from dualpath.model.routes import Op
from dualpath.netlink import numbers as n

CAME_WITH_NIC = (n.RTPROT_BOOT, n.RTPROT_STATIC, n.RTPROT_RA, n.RTPROT_DHCP)


def losses(data: bytes, links: LinkTable) -> Iterator[Lost]:
    """Yield the routes that another program removed, changed or replaced. Raises DecodeError.

    The socket's filter drops the notifications of our own writes (`channel.Monitor`).
    """
    for columns in decode_routes(data):
        ours = columns.protocols == n.RTPROT_DUALPATH
        from_nic = np.isin(columns.protocols, CAME_WITH_NIC)
        if (from_nic & (columns.types == n.RTM_DELROUTE)).any():
            yield Lost(Kind.PORT)
        replaced = (columns.types == n.RTM_NEWROUTE) & (columns.metrics == METRIC)
        for batch in batches(columns.where(ours | replaced), links, Op.WITHDRAW):
            yield Lost(Kind.ROUTE, routes=batch)
        end = (columns.kinds == n.RTN_UNREACHABLE) & (columns.metrics == UNREACHABLE_METRIC)
        if (end & (columns.types == n.RTM_DELROUTE)).any():
            yield Lost(Kind.VRF)
