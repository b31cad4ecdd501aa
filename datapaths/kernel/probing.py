"""Which silent hosts are asked whether they are still there. Pure.

A host that says nothing would be forgotten: its MAC ages in the bridge, and with it go the routes
that bring packets to it. So a neighbour that the kernel calls stale is *used*, as by a packet: the
kernel asks the host by ARP or ND, the answer keeps MAC and neighbour fresh, and where none comes
the kernel gives the neighbour up within seconds.
"""

from __future__ import annotations

from collections.abc import Iterator

from datapaths.kernel.layer2 import Host, Layer2
from datapaths.kernel.linktable import LinkTable
from datapaths.kernel.wire import neighbours
from datapaths.kernel.wire.links import Link
from dualpath.netlink import numbers as n


def requests(links: LinkTable, layer2: Layer2) -> Iterator[bytes]:
    """Yield a request to use each host that may be behind a port of ours and is stale.

    VNIs take turns: whoever asks only some hosts asks some of each, however many one has.
    """
    left = [_of(vxlan, layer2) for vni in links.vnis() if (vxlan := links.vxlan(vni))]
    while left:
        for questions in left[:]:
            question = next(questions, None)
            if question is None:
                left.remove(questions)
            else:
                yield question


def _of(vxlan: Link, layer2: Layer2) -> Iterator[bytes]:
    for address, row in layer2.hosts.get(vxlan.master, {}).items():
        if row.learnt and row.state & n.NUD_STALE and not _elsewhere(layer2, vxlan, row):
            yield neighbours.use_neighbour(vxlan.master, address)


def _elsewhere(layer2: Layer2, vxlan: Link, row: Host) -> bool:
    """Tell whether FRR said that the host is remote; one whose MAC has aged is not."""
    station = layer2.station(vxlan.master, row.mac)
    return station is not None and station.port == vxlan.index
