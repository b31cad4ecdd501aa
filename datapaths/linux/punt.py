"""Punt rules: which frames of a port go to FRR's twin, and which frames of FRR may leave. Pure.

A frame that both FRR and the forwarding stack need (ARP replies, router advertisements) is copied
to the twin. A frame that only FRR understands (BGP, BFD, OSPF, IS-IS) is redirected. The forwarding
stack alone answers ARP, ND and echo, so that forwarding does not depend on FRR: neighbor
solicitations never reach the twin, and arp_ignore silences its ARP.

`wire.filters` compiles the rules for the tc classifier that the kernel has.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import replace

from datapaths.linux.wire.matches import (
    ETH_P_802_2,
    ETH_P_ALL,
    ETH_P_ARP,
    ETH_P_IP,
    ETH_P_IPV6,
    ETH_P_JUMBO,
    ICMP,
    ICMPV6,
    OSPF,
    TCP,
    UDP,
    Action,
    Rule,
)
from dualpath.model.links import Address

BGP = 179
BFD = (3784, 3785, 4784)  # RFC 5881 control and echo, RFC 5883 multihop
ICMP_COPIED = (0, 3, 11, 12)  # echo reply, unreachable, time exceeded, parameter problem
ICMPV6_COPIED = (1, 2, 3, 4, 129, 133, 134, 136)  # errors, echo reply, RS, RA, NA; never NS (135)
# ISO 10589 section 8.4.8; RFC 5309
ISIS_MACS = tuple(map(bytes.fromhex, ("0180c2000014", "0180c2000015", "09002b000005")))

# Multicast groups of routing protocols, without the solicited-node groups (ff02::1:ff00:0/104).
MULTICAST_V4 = Address(bytes([224, 0, 0, 0]), 24)
MULTICAST_V6 = Address(ipaddress.IPv6Address("ff02::").packed, 112)


ALL_FRAMES = Rule(Action.REDIRECT, ETH_P_ALL)
"""For a wire, and for a datapath that has selected FRR's frames before."""

ECHO_V4, ECHO_V6 = 8, 128
ND = (133, 134, 135, 136)  # RFC 4861: RS, RA, NS, NA


def egress(
    addresses: Iterable[Address], mac: bytes, tcp_ports: Iterable[int] = (BGP,)
) -> Iterator[Rule]:
    """Yield the rules for what a twin may send through its port; all else is dropped.

    Only frames from the port's own MAC and addresses pass, so that no process in FRR's namespace
    can spoof another host. Only the protocols that FRR needs pass; of multicast, link-local groups.
    """
    ports = tuple(tcp_ports)
    for group in ISIS_MACS:
        for ethertype in (ETH_P_802_2, ETH_P_JUMBO):
            yield Rule(Action.REDIRECT, ethertype, dst_mac=group, src_mac=mac)
    for ip in sorted({address.ip for address in addresses}):
        yield from _from_us(ip, mac, ports)


def _from_us(ip: bytes, mac: bytes, tcp_ports: Iterable[int]) -> Iterator[Rule]:
    v4 = len(ip) == 4
    ethertype, own = (ETH_P_IP if v4 else ETH_P_IPV6), Address(ip, len(ip) * 8)
    unicast = Rule(Action.REDIRECT, ethertype, src=own, src_mac=mac)
    if v4:
        yield Rule(Action.REDIRECT, ETH_P_ARP, src=own, src_mac=mac)
    yield replace(unicast, dst=MULTICAST_V4 if v4 else MULTICAST_V6)
    for port in tcp_ports:
        yield replace(unicast, ip_proto=TCP, dport=port)
        yield replace(unicast, ip_proto=TCP, sport=port)
    for port in BFD:
        yield replace(unicast, ip_proto=UDP, dport=port)
    yield replace(unicast, ip_proto=OSPF)
    for icmp_type in (ECHO_V4,) if v4 else (ECHO_V6, *ND):
        yield replace(unicast, ip_proto=ICMP if v4 else ICMPV6, icmp_type=icmp_type)


def rules(addresses: Iterable[Address], tcp_ports: Iterable[int] = (BGP,)) -> Iterator[Rule]:
    """Yield the rules for frames that a port with these addresses receives.

    No two rules give one frame different actions. `tcp_ports` are the ports on which FRR or a
    neighbor listens for BGP.
    """
    ports = tuple(tcp_ports)
    yield Rule(Action.COPY, ETH_P_ARP)
    yield Rule(Action.COPY, ETH_P_IP, MULTICAST_V4)
    yield Rule(Action.COPY, ETH_P_IPV6, MULTICAST_V6)
    for mac in ISIS_MACS:
        for ethertype in (ETH_P_802_2, ETH_P_JUMBO):  # hellos are padded to the MTU
            yield Rule(Action.REDIRECT, ethertype, dst_mac=mac)
    for ip in sorted({address.ip for address in addresses}):
        yield from _to_us(ip, ports)


def _to_us(ip: bytes, tcp_ports: Iterable[int]) -> Iterator[Rule]:
    v4 = len(ip) == 4
    ethertype, dst = (ETH_P_IP if v4 else ETH_P_IPV6), Address(ip, len(ip) * 8)
    for port in tcp_ports:
        yield Rule(Action.REDIRECT, ethertype, dst, ip_proto=TCP, dport=port)
        yield Rule(Action.REDIRECT, ethertype, dst, ip_proto=TCP, sport=port)
    for port in BFD:
        yield Rule(Action.REDIRECT, ethertype, dst, ip_proto=UDP, dport=port)
    yield Rule(Action.REDIRECT, ethertype, dst, ip_proto=OSPF)
    protocol, types = (ICMP, ICMP_COPIED) if v4 else (ICMPV6, ICMPV6_COPIED)
    for icmp_type in types:
        yield Rule(Action.COPY, ethertype, dst, ip_proto=protocol, icmp_type=icmp_type)
