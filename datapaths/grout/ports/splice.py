"""tc filters that join a DPDK driver's wire to the device that it stands for. Synchronous.

`mirred` hands a frame on as it is, checksums and segments made good on the way, so a wire needs no
settings of a NIC's or a veth's offloads; drivers that open the device themselves do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from datapaths.grout.ports.names import wire_of
from datapaths.linux.filters import Filters
from datapaths.linux.linkinfo import Link
from datapaths.linux.links import Links
from datapaths.linux.punt import EVERYTHING
from datapaths.linux.wire.filters import WIRE_PRIORITIES
from datapaths.linux.wire.matches import ETH_P_ARP, ETH_P_IPV6, ICMPV6, Fate, Rule
from dualpath.model.links import Address, Port

NEIGHBOUR_ADVERTISEMENT = 136  # RFC 4861


def join(links: Links, device: Link, wire: Link) -> None:
    """Send all that one receives out of the other."""
    with _filters(links) as filters:
        filters.detect(device.index, wire.index)
        filters.detect(wire.index, device.index)


def attach(links: Links, port: Port) -> None:
    """Wire a shared port: grout may send; it hears who its neighbours are, and nothing else.

    A port whose traffic grout has already keeps it.
    """
    device, wire = links.get(port.name), links.get(wire_of(port.name))
    with _filters(links) as filters:
        classifier = filters.detect(wire.index, device.index)
        if not filters.has(EVERYTHING, device.index, wire.index):
            heard = list(_neighbours(links.addresses(port.name)))
            filters.ensure(classifier, device.index, heard, wire.index)


def steer(links: Links, ports: Iterable[str]) -> None:
    """Lead the traffic of shared ports to grout, except what is FRR's. Those not there are fine."""
    with _filters(links) as filters:
        for port in ports:
            device, wire = links.find(port), links.find(wire_of(port))
            if device and wire:
                filters.detect(device.index, wire.index)


def release(netns: str, port: str) -> bool:
    """Give a shared port's traffic back to the kernel; tell whether it was grout's."""
    with Links(netns) as links, Filters(netns, WIRE_PRIORITIES) as filters:
        device = links.find(port)
        return bool(device and filters.clear(device.index))


@contextmanager
def _filters(links: Links) -> Iterator[Filters]:
    """Open the filters of wires; a dry handle on devices has what they would write, too."""
    with Filters(links.netns, WIRE_PRIORITIES, dry=links.dry) as filters:
        yield filters
        links.changes += filters.changes


def _neighbours(addresses: list[Address]) -> list[Rule]:
    """Return what keeps grout's neighbours warm while the kernel has the traffic."""
    mine = [Address(a.ip, 128) for a in addresses if len(a.ip) == 16]
    return [
        Rule(Fate.COPY, ETH_P_ARP),
        *(
            Rule(Fate.COPY, ETH_P_IPV6, a, ip_proto=ICMPV6, icmp_type=NEIGHBOUR_ADVERTISEMENT)
            for a in mine
        ),
    ]
