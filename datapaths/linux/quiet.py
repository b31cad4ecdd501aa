"""Keeps a namespace from ending TCP sessions that are not its own, for a while.

A NIC that moves takes its addresses along, and the sockets stay behind. The namespace that has the
addresses now would answer the next segment of an SSH session with a reset, and no return of the NIC
would bring that session back. So what TCP the namespace itself sends is dropped. What it forwards
and FRR's own sessions, which are in another namespace, do not go by this rule.
"""

from __future__ import annotations

import errno
import socket

from datapaths.linux.links import Links
from datapaths.linux.netns import exists
from datapaths.linux.rules import FAMILIES, FR_ACT_BLACKHOLE
from dualpath.model.routes import RTPROT_DUALPATH

PRIORITY = 890  # before the rules of `rules`
LOCALLY_SENT = "lo"  # what the kernel takes for the input device of its own packets
FINE = {"add": errno.EEXIST, "del": errno.ENOENT}


def keep_tcp_quiet(netns: str, on: bool) -> None:
    """Drop the TCP that a namespace itself sends, or no longer. Again is fine. Raises OSError."""
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
