"""The neighbors that the kernel of a namespace knows, and the port behind which each one is."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from datapaths.linux.links import Links
from datapaths.linux.netns import entered
from dualpath.netlink import numbers as n
from dualpath.netlink.message import Message, request
from dualpath.netlink.socket import Requests, open_socket

NDMSG: Final = struct.Struct("=BBHiHBB")  # linux/neighbour.h: family, -, -, ifindex, state, flags
KNOWN = n.NUD_REACHABLE | n.NUD_STALE | n.NUD_DELAY | n.NUD_PROBE | n.NUD_PERMANENT
MAC_BYTES = 6


@dataclass(frozen=True, slots=True)
class KnownNeighbor:
    """A host or router on the link of a routed port, or in the bridge of a port."""

    device: str  # the device that routes to it: the port, or the bridge
    port: str
    address: bytes
    mac: bytes


@dataclass(frozen=True, slots=True)
class _Entry:
    """One RTM_NEWNEIGH."""

    ifindex: int
    state: int
    flags: int
    address: bytes
    mac: bytes
    master: int

    @property
    def learned(self) -> bool:
        """Whether the kernel learned it; others are remote, or another program's."""
        return not self.flags & n.NTF_EXT_LEARNED and len(self.mac) == MAC_BYTES


def known_neighbors(links: Links) -> list[KnownNeighbor]:
    """Return the local neighbors of a namespace, resolved or stale. Raises OSError."""
    with entered(links.netns), Requests(open_socket()) as requests:
        dumps = [list(_dump(requests, it)) for it in (socket.AF_INET, socket.AF_INET6)]
        fdb = list(_dump(requests, socket.AF_BRIDGE))
    ports = {(entry.master, entry.mac): entry.ifindex for entry in fdb if entry.master}
    return [
        KnownNeighbor(links.name_of(entry.ifindex), links.name_of(port), entry.address, entry.mac)
        for entries in dumps
        for entry in entries
        if entry.state & KNOWN
        and (port := ports.get((entry.ifindex, entry.mac), entry.ifindex))
        and links.name_of(port)
    ]


def _dump(requests: Requests, family: int) -> Iterator[_Entry]:
    asked = request(n.RTM_GETNEIGH, n.NLM_F_DUMP, NDMSG.pack(family, 0, 0, 0, 0, 0, 0))
    for message in requests.dump(asked):
        if message.type == n.RTM_NEWNEIGH and (entry := _decode(message)).learned:
            yield entry


def _decode(message: Message) -> _Entry:
    _, _, _, ifindex, state, flags, _ = message.fixed(NDMSG)
    got = message.attributes(NDMSG)
    address, mac = got.raw(n.NDA_DST), got.raw(n.NDA_LLADDR)
    return _Entry(ifindex, state, flags, address, mac, got.u32(n.NDA_MASTER))
