"""Derives addresses and MACs from a pool and the node's number. Pure."""

from __future__ import annotations

import hashlib
import ipaddress

from controller.intent.addresses import IpAddress, Network
from dualpath.model.links import Address

FIRST_LOCAL_TABLE = 0x0200_0000
LOCALLY_ADMINISTERED = 0x02  # IEEE 802, the U/L bit; the I/G bit stays 0


def host(pool: Network, index: int) -> IpAddress:
    """Return address number `index` of a pool. Raises ValueError when the pool is too small."""
    if index >= pool.num_addresses:
        raise ValueError(f"{pool} has no address number {index} for this node")
    return pool[index]


def leg(pool: Network, node_index: int) -> tuple[Address, Address]:
    """Return the router's and the host's address on a leg.

    The router has the first usable address on every node; the host's address depends on the node's
    number. Raises ValueError when the pool is too small.
    """
    point_to_point = pool.max_prefixlen - pool.prefixlen <= 1
    first = 0 if point_to_point else 1
    usable = pool.num_addresses - (1 if pool.version == 4 and not point_to_point else 0)
    ours = first + 1 + node_index
    if ours >= usable:
        raise ValueError(f"{pool} has no host address for node index {node_index}")
    return tuple(Address(pool[i].packed, pool.prefixlen) for i in (first, ours))  # type: ignore[return-value]


def loopback(address: IpAddress) -> Address:
    return Address(address.packed, address.max_prefixlen)


def local_table(vrf: str) -> int:
    """Return the routing table of a VRF without an L3VNI: a hash of its name, above all VNIs."""
    return FIRST_LOCAL_TABLE + int.from_bytes(hashlib.sha256(vrf.encode()).digest()[:3])


def router_mac(vtep: IpAddress, vni: int) -> bytes:
    """Return the router MAC of an L3VNI on this node: stable across restarts, and unique.

    RFC 9135 requires it to be unique among the VTEPs of a VRF; 46 bits of a hash are enough.
    """
    digest = hashlib.sha256(vtep.packed + vni.to_bytes(3, "big")).digest()[:6]
    return bytes([(digest[0] & 0xFC) | LOCALLY_ADMINISTERED]) + digest[1:]


def gateway_mac(vni: int) -> bytes:
    """Return the anycast gateway's MAC: the same on every node, and the same as OpenPERouter's."""
    return b"\x00\xf3" + (vni + 1).to_bytes(4, "big")


def spelt(value: IpAddress | Network) -> str:
    """Return an address or prefix as FRR writes it: inet_ntop writes some IPv6 ends as IPv4."""
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return f"{spelt(value.network_address)}/{value.prefixlen}"
    number = int(value)
    if value.version == 6 and ((number >> 16 and not number >> 32) or number >> 32 == 0xFFFF):
        start = "::ffff:" if number >> 32 else "::"
        return f"{start}{ipaddress.IPv4Address(number & 0xFFFF_FFFF)}"
    return str(value)


def text(address: Address) -> str:
    """Return the address without its length, as FRR writes it."""
    return spelt(ipaddress.ip_address(address.ip))


def single(address: Address) -> str:
    """Return the address as a host prefix, /32 or /128."""
    return f"{text(address)}/{len(address.ip) * 8}"
