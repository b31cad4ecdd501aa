"""Probes of silent hosts. Pure.

Without probes, the kernel forgets a host that sends nothing: its MAC ages out of the bridge, FRR
withdraws it, and packets to the host no longer reach this node. So a neighbor that is NUD_STALE
gets NTF_USE, as if a packet used it, and the kernel sends ARP or ND. A reply refreshes the MAC and
the neighbor. Without a reply, the kernel removes the neighbor within seconds.
"""

from __future__ import annotations

from collections.abc import Iterator

from datapaths.kernel.layer2 import Host, Layer2
from datapaths.kernel.linktable import LinkTable
from datapaths.kernel.wire import neighbors
from datapaths.kernel.wire.links import Link
from dualpath.netlink import numbers as n


def requests(links: LinkTable, layer2: Layer2) -> Iterator[bytes]:
    """Yield a request for each stale neighbor that may be behind one of our ports.

    Alternate between the VNIs: a caller that stops early has still probed hosts of every VNI.
    """
    left = [_of(vxlan, layer2) for vni in links.vnis() if (vxlan := links.vxlan(vni))]
    while left:
        for of_vni in left[:]:
            request = next(of_vni, None)
            if request is None:
                left.remove(of_vni)
            else:
                yield request


def _of(vxlan: Link, layer2: Layer2) -> Iterator[bytes]:
    for address, row in layer2.hosts.get(vxlan.master, {}).items():
        if row.learned and row.state & n.NUD_STALE and not _elsewhere(layer2, vxlan, row):
            yield neighbors.use_neighbor(vxlan.master, address)


def _elsewhere(layer2: Layer2, vxlan: Link, row: Host) -> bool:
    """Return whether the host's MAC is behind the VXLAN device. An aged MAC is not."""
    station = layer2.station(vxlan.master, row.mac)
    return station is not None and station.port == vxlan.index
