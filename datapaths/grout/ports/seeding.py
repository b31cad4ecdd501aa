"""Teach grout the neighbors of shared ports before it gets their traffic. Blocks.

For an unknown neighbor grout queues 32 packets, with IPv6 for up to three seconds; further packets
are lost. The kernel knows the neighbors, because it has forwarded so far. So for each neighbor this
module puts the request that the neighbor would send into the port's wire: "who has the gateway,
tell 198.51.100.2". grout takes it for a request of the host, so it stores address and MAC, and in
an L2VNI also the port of the MAC. Its reply goes to the host, which ignores it.

    kernel   leg: 198.51.100.2 is 02:..:05    -->  w-leg: ARP request of 198.51.100.2, 02:..:05
    kernel   br110: 10.110.0.11 is 02:..:07,  -->  w-pe-e-110: ARP request of 10.110.0.11, 02:..:07
             which is behind pe-e-110

All ports are done before any of them moves. Packets that enter by a host leg, which moves first,
leave by an uplink: without the MAC of the next hop, about 17 packets of a flow of 1,000 a second
were lost.

Rejected: neighbors as nexthops with a MAC, because grout never ages those. Asking the hosts,
because grout ignores a reply to a request that it did not send.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from datapaths.grout.ports.names import wire_of
from datapaths.grout.ports.taps import Taps
from datapaths.grout.wire.probes import Station, probe
from datapaths.linux.linkinfo import is_link_local
from datapaths.linux.links import Links
from datapaths.linux.neighbors import KnownNeighbor, known_neighbors
from dualpath.model.links import Address

PACE_S = 0.001  # between two frames: grout's control thread handles them


def seed(forwarding: str) -> int:
    """Send what grout needs to learn the neighbors behind its ports; return their number."""
    with Links(forwarding) as links, Taps(forwarding) as wires:
        frames = list(_frames(links))
        for wire, frame in frames:
            wires.send(wire, frame)
            time.sleep(PACE_S)
    return len(frames)


def _frames(links: Links) -> Iterator[tuple[str, bytes]]:
    for neighbor in known_neighbors(links):
        wire = wire_of(neighbor.port)
        if links.find(wire) and (router := _router(links, neighbor)):
            yield wire, probe(Station(neighbor.mac, neighbor.address), router)


def _router(links: Links, neighbor: KnownNeighbor) -> Station | None:
    """Return our own address that the neighbor would ask for: in its subnet, or link-local."""
    link = links.get(neighbor.device)
    own = links.addresses.of(neighbor.device)
    found = [a for a in own if _covers(a, neighbor.address)]
    found += [a for a in own if len(neighbor.address) == 16 and is_link_local(a)]
    return Station(link.mac, found[0].ip) if found else None


def _covers(own: Address, address: bytes) -> bool:
    if len(own.ip) != len(address):
        return False
    host_bits = len(address) * 8 - own.length
    return int.from_bytes(own.ip) >> host_bits == int.from_bytes(address) >> host_bits
