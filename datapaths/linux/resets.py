"""Keep a namespace from resetting TCP sessions that are not its own, for a while.

A NIC that moves takes its addresses along, and the sockets stay behind. The namespace that has the
addresses now would answer the next segment of an SSH session with a reset, and the session would be
gone even if the NIC came back. So a routing rule drops the TCP that the namespace itself sends. The
rule does not match forwarded packets, nor FRR's sessions, which are in another namespace.
"""

from __future__ import annotations

import errno
import socket

from datapaths.linux.links import Links
from datapaths.linux.netns import exists
from datapaths.linux.rules import FAMILIES, FR_ACT_BLACKHOLE
from dualpath.model.routes import RTPROT_DUALPATH

PRIORITY = 890  # before the rules of `rules`
LOCALLY_SENT = "lo"  # the input device of packets that the kernel itself sends
FINE = {"add": errno.EEXIST, "del": errno.ENOENT}


def suppress_resets(netns: str, on: bool) -> None:
    """Start or stop dropping the TCP that a namespace itself sends. Idempotent. Raises OSError."""
    command = "add" if on else "del"
    if not exists(netns):
        raise OSError(errno.ENOENT, f"there is no network namespace {netns}")
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
