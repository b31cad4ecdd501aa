"""FRR's sessions over NICs that are about to leave, shut before the NICs do. Pure but for one read.

A peer that sees its session break keeps our routes for its graceful restart time, and sends into a
link that is no longer ours. An administrative shutdown tells it that this is no restart (RFC 8538
section 4, Hard Reset), so that it drops them at once.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from dataclasses import replace

from datapaths.base import Unavailable
from datapaths.linux.links import Links
from dualpath.model.frr import BgpInstance, BgpNeighbor, FrrSettings
from dualpath.model.links import Address


def twins_addresses(control: str, nics: Iterable[str]) -> list[Address]:
    """Return the addresses of FRR's stand-ins for NICs, of those that are there."""
    try:
        with Links(control) as links:
            return [a for nic in nics if links.find(nic) for a in links.addresses(nic)]
    except Unavailable:
        return []


def shut(settings: FrrSettings, nics: Collection[str], addresses: Iterable[Address]) -> FrrSettings:
    """Return the settings with every session over these NICs shut."""
    networks = [ipaddress.ip_network((a.ip, a.length), strict=False) for a in addresses]

    def one(neighbor: BgpNeighbor) -> BgpNeighbor:
        return replace(neighbor, shutdown=True) if over(neighbor) else neighbor

    def over(neighbor: BgpNeighbor) -> bool:
        if link := neighbor.peer if neighbor.unnumbered else neighbor.interface:
            return link in nics
        if neighbor.listen_range or neighbor.multihop:
            return False
        peer = ipaddress.ip_address(neighbor.peer)
        return any(peer in network for network in networks if network.version == peer.version)

    def all_of(instance: BgpInstance) -> BgpInstance:
        if instance.vrf:
            return instance  # NICs are in the default VRF
        return replace(instance, neighbors=tuple(map(one, instance.neighbors)))

    return replace(settings, instances=tuple(map(all_of, settings.instances)))
