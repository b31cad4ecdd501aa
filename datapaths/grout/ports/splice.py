"""Join a wire to the NIC or host leg of its port by tc filters. Blocks.

`mirred` completes checksums and segmentation of the frames that it redirects, so a wire works with
any offloads of a NIC or a veth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from datapaths.grout.ports.names import wire_of
from datapaths.linux.filters import Filters
from datapaths.linux.linkinfo import Link
from datapaths.linux.links import Links
from datapaths.linux.punt import ALL_FRAMES
from datapaths.linux.wire.filters import WIRE_PRIORITIES
from datapaths.linux.wire.matches import ETH_P_ARP, ETH_P_IPV6, ICMPV6, Action, Rule
from dualpath.model.links import Address, Port

NEIGHBOR_ADVERTISEMENT = 136  # RFC 4861


def join(links: Links, device: Link, wire: Link) -> None:
    """Redirect every frame that one of the devices receives to the other."""
    with _filters(links) as filters:
        filters.detect(device.index, wire.index)
        filters.detect(wire.index, device.index)


def attach(links: Links, port: Port) -> None:
    """Join the wire of a shared port: grout may send, and receives copies of neighbor discovery.

    The kernel keeps the port's traffic until `steer`. A port that grout has already is left as is.
    """
    device, wire = links.get(port.name), links.get(wire_of(port.name))
    with _filters(links) as filters:
        classifier = filters.detect(wire.index, device.index)
        if not filters.has(ALL_FRAMES, device.index, wire.index):
            copied = list(_neighbors(links.addresses.of(port.name)))
            filters.ensure(classifier, device.index, copied, wire.index)


def steer(links: Links, ports: Iterable[str]) -> None:
    """Send the traffic of shared ports to grout, but not FRR's packets. Skip missing ports."""
    with _filters(links) as filters:
        for port in ports:
            device, wire = links.find(port), links.find(wire_of(port))
            if device and wire:
                filters.detect(device.index, wire.index)


def release(netns: str, port: str) -> bool:
    """Give a shared port's traffic back to the kernel; return whether grout had it."""
    with Links(netns) as links, Filters(netns, WIRE_PRIORITIES) as filters:
        device = links.find(port)
        return bool(device and filters.clear(device.index))


@contextmanager
def _filters(links: Links) -> Iterator[Filters]:
    """Open the filters of wires; with dry `links`, what they would change is added to those."""
    with Filters(links.netns, WIRE_PRIORITIES, dry=links.dry) as filters:
        yield filters
        links.changes += filters.changes


def _neighbors(addresses: list[Address]) -> list[Rule]:
    """Return rules that keep grout's neighbors resolved while the kernel has the traffic."""
    own = [Address(a.ip, 128) for a in addresses if len(a.ip) == 16]
    return [
        Rule(Action.COPY, ETH_P_ARP),
        *(
            Rule(Action.COPY, ETH_P_IPV6, a, ip_proto=ICMPV6, icmp_type=NEIGHBOR_ADVERTISEMENT)
            for a in own
        ),
    ]
