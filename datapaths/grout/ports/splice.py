"""Join a wire to the NIC or host leg of its port by tc filters. Blocks.

Two datapaths share a port if both are programmed. Its filters on ingress decide which one forwards:

    the kernel    ARP, ND   copied to the wire
    grout         ARP, ND   copied to the wire, and on to the kernel
                  DHCP      left to the kernel, where clients are
                  others    redirected to the wire

So both learn the hosts and keep their neighbors, and one filter moves a port from one to the other.
In both cases, packets from grout come out of the wire and leave by the port.

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
from datapaths.linux.wire.matches import (
    ETH_P_ARP,
    ETH_P_IP,
    ETH_P_IPV6,
    ICMPV6,
    UDP,
    Action,
    Rule,
)
from dualpath.model.links import Port

NS_NA = (135, 136)  # RFC 4861: neighbor solicitation and advertisement


DHCP_REPLIES = Rule(Action.LEAVE, ETH_P_IP, ip_proto=UDP, dport=68)
"""For a NIC whose DHCP client stays in the kernel, and hears replies by a packet socket."""


def join(links: Links, device: Link, wire: Link, *, leased: bool = False) -> None:
    """Redirect every frame that one of the devices receives to the other.

    With `leased`, DHCP replies stay with the device.
    """
    with _filters(links) as filters:
        filters.detect(wire.index, device.index)
        if not leased:
            filters.detect(device.index, wire.index)
            return
        found = filters.classifier(device.index) or filters.detect(device.index, wire.index)
        filters.ensure(found, device.index, [DHCP_REPLIES, ALL_FRAMES], wire.index)


def attach(links: Links, port: Port) -> None:
    """Join the wire of a shared port: grout may send, and receives copies of neighbor discovery.

    The kernel keeps the port's traffic until `steer`. A port that grout has already is left as is.
    """
    device, wire = links.get(port.name), links.get(wire_of(port.name))
    with _filters(links) as filters:
        classifier = filters.detect(wire.index, device.index)
        if not filters.has(ALL_FRAMES, device.index, wire.index):
            filters.ensure(classifier, device.index, _neighbors(Action.COPY), wire.index)


def steer(links: Links, ports: Iterable[str]) -> None:
    """Send the traffic of shared ports to grout, but not FRR's packets. Skip missing ports."""
    with _filters(links) as filters:
        for port in ports:
            device, wire = links.find(port), links.find(wire_of(port))
            if device and wire:
                filters.detect(device.index, wire.index)


def place(links: Links, port: str, *, grout: bool) -> bool:
    """Let grout or the kernel forward the packets of a shared port; return whether grout does.

    A port without a wire stays with the kernel: grout died, or has not created the port yet.
    """
    with _filters(links) as filters:
        device, wire = links.find(port), links.find(wire_of(port))
        if not device or not wire:
            return not grout
        classifier = filters.classifier(wire.index) or filters.detect(wire.index, device.index)
        everything = [*_neighbors(Action.SHARE), DHCP_REPLIES, ALL_FRAMES]
        rules = everything if grout else _neighbors(Action.COPY)
        filters.ensure(classifier, device.index, rules, wire.index)
        return True


def release(netns: str, port: str) -> bool:
    """Give a shared port's traffic back to the kernel; return whether grout had it."""
    with Links(netns) as links, Filters(netns, WIRE_PRIORITIES) as filters:
        device = links.find(port)
        return bool(device and filters.clear(device.index))


@contextmanager
def _filters(links: Links) -> Iterator[Filters]:
    """Open the filters of wires; with dry `links`, their changes are added to those of `links`."""
    with Filters(links.netns, WIRE_PRIORITIES, dry=links.dry) as filters:
        yield filters
        links.changes += filters.changes


def _neighbors(action: Action) -> list[Rule]:
    """Return rules that deliver ARP and neighbor discovery to both datapaths."""
    return [
        Rule(action, ETH_P_ARP),
        *(Rule(action, ETH_P_IPV6, ip_proto=ICMPV6, icmp_type=type_) for type_ in NS_NA),
    ]
