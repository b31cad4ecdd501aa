"""Which addresses can be a host's on a bridge: those in a subnet of the bridge's own. Pure.

A host may announce any address, and what is learnt is advertised: other routers would send it the
traffic of an address that is not its own. On a bridge without an address of that family every
subnet is possible: the segment is routed elsewhere.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

NOBODY = ipaddress.ip_network("0.0.0.0/8")  # RFC 1122 section 3.2.1.3


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

    def takes(self, device: int, address: bytes) -> bool:
        """Tell whether a host behind a bridge can have an address."""
        host = ipaddress.ip_address(address)
        if not _unicast(host):
            return False
        if host.version == 6 and host.is_link_local:
            return True
        own = [it for it in self._own.get(device, ()) if it.version == host.version]
        if host.version == 6:  # the bridge's link-local address is no gateway of a subnet
            own = [it for it in own if not it.ip.is_link_local]
        return not own or any(_is_host_of(it, host) for it in own)


@lru_cache(4096)
def _interface(address: bytes, length: int) -> Interface:
    return ipaddress.ip_interface((address, length))


def _unicast(host: Address) -> bool:
    if isinstance(host, ipaddress.IPv4Address) and (host in NOBODY or host.is_reserved):
        return False
    return not (host.is_unspecified or host.is_loopback or host.is_multicast)


def _is_host_of(own: Interface, host: Address) -> bool:
    network = own.network
    if host not in network or host == own.ip:
        return False
    ends = (network.network_address, network.broadcast_address)
    return host.version == 6 or network.prefixlen > 30 or host not in ends
