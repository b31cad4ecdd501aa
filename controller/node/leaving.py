"""Shuts FRR's BGP sessions over NICs that are about to be given back, before they leave.

If a session just breaks, its peer keeps our routes for its graceful restart time, and sends into a
link that is no longer ours. An administrative shutdown tells the peer that this is no restart (RFC
8538 section 4, Hard Reset), so it drops the routes at once.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Collection, Iterable
from dataclasses import replace

from controller.node.configure import FrrConfiguration
from datapaths.base import Unavailable
from datapaths.linux.links import Links
from dualpath.model.frr import BgpInstance, BgpNeighbor, FrrSettings
from dualpath.model.links import Address

log = logging.getLogger(__name__)


class LeavingNics:
    """Shuts the sessions over each NIC that leaves, once."""

    def __init__(self, control: str, frr: FrrConfiguration) -> None:
        self._control = control
        self._frr = frr
        self._shut: set[str] = set()

    def new(self, leaving: set[str]) -> set[str]:
        """Return which of the NICs that leave now have not been returned before."""
        self._shut &= leaving  # a NIC that came back may leave again
        new = leaving - self._shut
        self._shut |= new
        return new

    async def shut_sessions(self, nics: set[str], intended: FrrSettings) -> None:
        """Make FRR shut the BGP sessions over these NICs; if that fails, log the consequence."""
        addresses = await asyncio.to_thread(twins_addresses, self._control, nics)
        before = self._frr.applied or intended
        settings = shut(before, nics, addresses)
        if settings == before:
            return
        names = ", ".join(sorted(nics))
        log.info("%s: shutting its BGP sessions before it leaves", names)
        answer = await self._frr.ensure(settings)
        if not answer.ok:
            log.warning(
                "%s: its BGP sessions are not shut (%s); peers may send there until their "
                "graceful restart time is over",
                names,
                answer.message,
            )


def twins_addresses(control: str, nics: Iterable[str]) -> list[Address]:
    """Return the addresses of the twins of these NICs; a NIC without a twin has none."""
    try:
        with Links(control) as links:
            return [a for nic in nics if links.find(nic) for a in links.addresses.of(nic)]
    except Unavailable:
        return []


def shut(settings: FrrSettings, nics: Collection[str], addresses: Iterable[Address]) -> FrrSettings:
    """Return the settings with every BGP session over these NICs shut. Pure."""
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
