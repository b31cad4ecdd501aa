"""Claims: announcements of local hosts that override a neighbor behind a VTEP. Pure.

A remote neighbor is NUD_NOARP, so that the kernel never sends ARP for it: the next router with the
same gateway MAC would keep the reply. But a NUD_NOARP row does not yield to ARP or ND either, if
its host moves here. So we listen to the announcements of hosts. If a host here announces an address
that is remote, we replace our row by one as the kernel makes it. That row is learned and advertised
like any local host's, with a higher mobility sequence number (RFC 7432 section 15), and FRR
withdraws the remote one.

    our row:         192.0.2.5 lladdr ..:bb NOARP extern_learn proto 68
    announcement:    192.0.2.5 is at ..:aa          (..:aa is behind a port of this bridge)
    row afterwards:  192.0.2.5 lladdr ..:aa STALE

Until that withdrawal the address is *claimed*: our row counts as programmed, as with a MAC that
moves (`Layer2.programmed`). If the host leaves first, the row is lost, and written again.

Rejected: remote neighbors as NUD_STALE or NUD_REACHABLE with NTF_EXT_LEARNED. ARP overrides them,
but the kernel also sends ARP for them, and no reply that the next router keeps confirms one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from datapaths.kernel.layer2 import Layer2
from datapaths.kernel.linktable import LinkTable
from datapaths.kernel.wire import neighbors
from datapaths.kernel.wire.links import Link
from datapaths.linux.subnets import Subnets
from datapaths.linux.wire.announcements import Announcement


class Heard(NamedTuple):
    """An announcement of a host, and the device that received it."""

    device: str
    announcement: Announcement


class Claims:
    """Decides which announcements replace a neighbor's row."""

    def __init__(self, links: LinkTable, layer2: Layer2, subnets: Subnets) -> None:
        self._links = links
        self._layer2 = layer2
        self._subnets = subnets

    def matters(self, heard: Heard) -> bool:
        """Return whether an announcement may change a neighbor; nearly none does."""
        vxlan = self._vxlan(heard.device)
        row = self._layer2.host(vxlan.master, heard.announcement.address) if vxlan else None
        if not row or not row.mac:
            # Some kernels create no row from an unsolicited advertisement.
            return (
                bool(vxlan)
                and heard.announcement.gratuitous
                and len(heard.announcement.address) == 16
            )
        if row.ours:
            return True
        # The kernel received it too, but ignores changes within a second (`locktime`).
        return row.learned and row.mac != heard.announcement.mac and heard.announcement.gratuitous

    def requests(self, announcements: Iterable[Heard]) -> Iterator[bytes]:
        """Yield requests that make a neighbor local if a host behind our ports announced it.

        The picture must be up to date: the bridge learns a MAC before it passes the frame on.
        """
        for heard in announcements:
            vxlan = self._vxlan(heard.device)
            if not vxlan or not self.matters(heard):
                continue
            bridge, (address, mac, _) = vxlan.master, heard.announcement
            if not self._layer2.local(bridge, vxlan.index, mac):
                continue
            if not self._subnets.may_contain(bridge, address):
                continue  # off the subnet: `Admission` does not advertise it either
            if self._layer2.router_mac(vxlan, address):
                continue  # the address is a VTEP's
            self._layer2.claim(bridge, address)
            yield neighbors.put_learned(bridge, address, mac)

    def _vxlan(self, device: str) -> Link | None:
        bridge = self._links.named(device)
        return self._links.vxlan(self._links.vni_of(bridge.index)) if bridge else None
