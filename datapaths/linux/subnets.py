"""Which addresses a host on a bridge may have: those in a subnet of the bridge. Pure.

A host can announce any address by ARP or ND, and Dualpath advertises learned addresses. Without
this check, a host could attract the traffic of an address that is not its own. A bridge without an
address of that family has no such check: the segment is routed elsewhere.
"""

from __future__ import annotations

import ipaddress
import logging
from functools import lru_cache

log = logging.getLogger(__name__)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")  # RFC 1122 section 3.2.1.3


class Subnets:
    """The addresses of each device, by index."""

    def __init__(self) -> None:
        self._own: dict[int, set[Interface]] = {}

    def clear(self) -> None:
        self._own.clear()

    def put(self, device: int, address: bytes, length: int) -> None:
        self._own.setdefault(device, set()).add(_interface(address, length))

    def drop(self, device: int, address: bytes, length: int) -> None:
        self._own.get(device, set()).discard(_interface(address, length))

    def forget(self, device: int) -> None:
        self._own.pop(device, None)

    def may_contain(self, device: int, address: bytes) -> bool:
        """Return whether a host behind a bridge may have an address."""
        host = ipaddress.ip_address(address)
        if not _unicast(host):
            return False
        if host.version == 6 and host.is_link_local:
            return True
        own = [it for it in self._own.get(device, ()) if it.version == host.version]
        if host.version == 6:  # a link-local address of the bridge says nothing about its subnets
            own = [it for it in own if not it.ip.is_link_local]
        return not own or any(_is_host_of(it, host) for it in own)


class Admission:
    """Decides which learned addresses are advertised; counts the others by VNI."""

    def __init__(self, subnets: Subnets) -> None:
        self._subnets = subnets
        self._left_out: dict[int, set[bytes]] = {}

    def admits(self, vni: int, device: int, address: bytes) -> bool:
        """Return whether a host there may have an address; if not, count the address."""
        if self._subnets.may_contain(device, address):
            self.forget(vni, address)
            return True
        left_out = self._left_out.setdefault(vni, set())
        if not left_out:
            log.warning(
                "VNI %d: a host announces %s, which is in no subnet of the gateways; it is not "
                "advertised. Further ones are only counted",
                vni,
                ipaddress.ip_address(address),
            )
        left_out.add(address)
        return False

    def forget(self, vni: int, address: bytes) -> None:
        """Stop counting an address: no local host has it any more."""
        self._left_out.get(vni, set()).discard(address)

    def left_out(self) -> dict[int, int]:
        """Return how many addresses are left out, by VNI."""
        return {vni: len(some) for vni, some in sorted(self._left_out.items()) if some}


@lru_cache(4096)
def _interface(address: bytes, length: int) -> Interface:
    return ipaddress.ip_interface((address, length))


def _unicast(host: Address) -> bool:
    if isinstance(host, ipaddress.IPv4Address) and (host in THIS_NETWORK or host.is_reserved):
        return False
    return not (host.is_unspecified or host.is_loopback or host.is_multicast)


def _is_host_of(own: Interface, host: Address) -> bool:
    network = own.network
    if host not in network or host == own.ip:
        return False
    ends = (network.network_address, network.broadcast_address)
    return host.version == 6 or network.prefixlen > 30 or host not in ends
