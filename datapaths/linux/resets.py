"""Suppress TCP resets from a namespace, so that sessions survive while a NIC may move back.

A NIC moves with its addresses, but the sockets stay in the namespace that it left. The namespace
that has the addresses now would answer the next segment of an SSH session with a reset. The session
would then be lost even if the NIC moved back. So a routing rule drops all TCP that the namespace
itself sends. The rule does not match forwarded packets, nor FRR's sessions, which are in another
namespace.
"""

from __future__ import annotations

import errno
import socket

from datapaths.linux.links import Links
from datapaths.linux.netns import exists
from datapaths.linux.rules import FAMILIES, FR_ACT_BLACKHOLE
from dualpath.model.routes import RTPROT_DUALPATH

PRIORITY = 890  # before the rules of `rules`
LOCALLY_SENT = "lo"  # the input device of locally generated packets
FINE = {"add": errno.EEXIST, "del": errno.ENOENT}


def suppress_resets(netns: str, on: bool) -> None:
    """Start or stop dropping the TCP that a namespace itself sends. Idempotent. Raises OSError."""
    command = "add" if on else "del"
    if not exists(netns):
        raise OSError(errno.ENOENT, f"no network namespace {netns}")
    with Links(netns) as links:
        for family in FAMILIES:
            try:
                links.rtnl.call(
                    f"{command} routing rule {PRIORITY}",
                    "rule",
                    command,
                    family=family,
                    priority=PRIORITY,
                    action=FR_ACT_BLACKHOLE,
                    iifname=LOCALLY_SENT,
                    ip_proto=socket.IPPROTO_TCP,
                    protocol=RTPROT_DUALPATH,
                )
            except OSError as error:
                if error.errno not in (FINE[command], errno.EAFNOSUPPORT, errno.EOPNOTSUPP):
                    raise
