"""Derives a node's number from an address of one of its interfaces, as OpenPERouter does. Pure.

The number is the host part of the address: 192.168.11.3/24 gives 3. One file serves all nodes if
they share the network of that address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from controller.intent.addresses import Interface, Network, kind_of

HIGHEST = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class IndexSource:
    """The interface that has the address; `cidr` selects one of several addresses."""

    interface: str
    cidr: Network | None = None


Addresses = Callable[[str], Sequence[Interface]]
"""Returns the addresses of an interface, in the kernel's order. Raises OSError."""


def no_addresses(_interface: str) -> Sequence[Interface]:
    raise OSError(0, "interfaces cannot be read here")


def number(source: IndexSource, addresses: Addresses) -> int:
    """Return the number of the node with these addresses. Raises ValueError."""
    name = source.interface
    try:
        found = addresses(name)
    except OSError as error:
        raise ValueError(f"interface {name}: {error.strerror}") from None
    address = _chosen(source, found)
    if address is None:
        within = f" within {source.cidr}" if source.cidr is not None else ""
        raise ValueError(f"interface {name} has no address{within}")
    index = int(address.ip) & int(address.network.hostmask)
    if address.network.num_addresses == 1:
        raise ValueError(f"{address} of interface {name} has no host part to number nodes by")
    if index > HIGHEST:
        raise ValueError(f"the host part of {address} of interface {name} exceeds {HIGHEST}")
    return index


def _chosen(source: IndexSource, found: Sequence[Interface]) -> Interface | None:
    """Return the first address within the CIDR; without a CIDR the first IPv4, or else IPv6."""
    if (cidr := source.cidr) is not None:
        fits = [a for a in found if a.version == cidr.version and a.ip in cidr]
    else:
        usual = [a for a in found if a.version == 4 or not kind_of(a.ip)]
        fits = sorted(
            usual, key=lambda a: a.version
        )  # sorting is stable: each family keeps its order
    return fits[0] if fits else None
