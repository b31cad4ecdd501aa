"""Which announcements of local hosts override a neighbour that FRR placed behind a VTEP. Pure.

A remote neighbour is NUD_NOARP, so the kernel never asks for it: the answer would end at the next
router that has the same gateway MAC. But a NUD_NOARP row does not yield to ARP or neighbour
discovery either. So we hear what hosts announce, and where one has an address that is remote, we
put the kernel's own kind of row in the place of ours. It is then learnt and advertised like any
local host's, with a higher mobility sequence (RFC 7432 section 15), and FRR withdraws the old one.

    row of ours:     192.0.2.5 lladdr ..:bb NOARP extern_learn proto 68
    host says:       192.0.2.5 is at ..:aa          (..:aa is behind a port of this bridge)
    row afterwards:  192.0.2.5 lladdr ..:aa STALE

Until that withdrawal what was programmed stands, as with MACs: `Layer2.claimed` has it. Should the
host vanish first, its loss is told, and the old row comes back.

Rejected: remote neighbours as NUD_STALE or NUD_REACHABLE with NTF_EXT_LEARNED. ARP overrides them,
but the kernel also asks for them, and none that the next router answers for is ever confirmed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from datapaths.kernel.layer2 import Layer2
from datapaths.kernel.linktable import LinkTable
from datapaths.kernel.wire import neighbours
from datapaths.kernel.wire.links import Link
from datapaths.linux.subnets import Subnets
from datapaths.linux.wire.announcements import Announcement


class Heard(NamedTuple):
    """What a host announced, and the device that it was heard on."""

    device: str
    said: Announcement


class Claims:
    """Decides which announcements change a neighbour."""

    def __init__(self, links: LinkTable, layer2: Layer2, subnets: Subnets) -> None:
        self._links = links
        self._layer2 = layer2
        self._subnets = subnets

    def matters(self, heard: Heard) -> bool:
        """Tell whether an announcement may change a neighbour; nearly none does."""
        vxlan = self._vxlan(heard.device)
        row = self._layer2.host(vxlan.master, heard.said.address) if vxlan else None
        if not row or not row.mac:
            # Not each kernel makes a row of an advertisement that it did not ask for.
            return bool(vxlan) and heard.said.gratuitous and len(heard.said.address) == 16
        if row.ours:
            return True
        # The kernel heard it too, but ignores some that come within a second (`locktime`).
        return row.learnt and row.mac != heard.said.mac and heard.said.gratuitous

    def requests(self, announcements: Iterable[Heard]) -> Iterator[bytes]:
        """Yield what makes the neighbours local that were announced from behind our ports.

        The picture has to be up to date: the bridge learns a MAC before it passes a frame on.
        """
        for heard in announcements:
            vxlan = self._vxlan(heard.device)
            if not vxlan or not self.matters(heard):
                continue
            bridge, (address, mac, _) = vxlan.master, heard.said
            if not self._layer2.local(bridge, vxlan.index, mac):
                continue
            if not self._subnets.takes(bridge, address):
                continue  # it would not be learnt either
            if self._layer2.router_mac(vxlan, address):
                continue  # a VTEP's
            self._layer2.claim(bridge, address)
            yield neighbours.put_learnt(bridge, address, mac)

    def _vxlan(self, device: str) -> Link | None:
        bridge = self._links.named(device)
        return self._links.vxlan(self._links.vni_of(bridge.index)) if bridge else None
