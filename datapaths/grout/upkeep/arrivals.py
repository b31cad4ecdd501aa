"""Keep hosts that move here reachable behind a host's bridge.

grout's ARP suppression answers a request for a remote neighbor with that neighbor's MAC as source,
and a gratuitous ARP request of the host itself as well:

    host         10.110.0.5 is at ..:aa, asked of all
    leg          into grout, where ..:aa is remote
    grout        10.110.0.5 is at ..:aa, from ..:aa, out of the same leg
    host bridge  learns ..:aa behind the leg, and drops what grout sends to it

The host would be cut off until it sends again. So the host's bridge is told to forget the MAC
behind the leg: when grout has learned a MAC that was remote, soon after each announcement that
grout answers, as FRR may keep the neighbor for a while, and whenever the bridge reports that it
learned a MAC behind the leg that grout has behind it: a busy grout answers late. Until the host's
next frame, the bridge floods to it.

Rejected: a tc filter on the leg that drops such answers. Only BPF compares two fields of a frame,
and the kernel may lack `cls_bpf`. Bridges without suppression: every request would cross the
fabric.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from datapaths.grout.client import GroutClient
from datapaths.grout.wire.bridges import FdbEntry
from datapaths.linux.hostbridges import Leg, unlearn

log = logging.getLogger(__name__)

ANSWER_S = 0.2  # until grout has answered a frame that this process heard


class Arrivals:
    """Hears of MACs that grout learned, and were remote. `legs` returns each port's host leg."""

    def __init__(self, client: GroutClient, legs: Callable[[], Mapping[str, Leg]]) -> None:
        self._client = client
        self._legs = legs
        self._queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()  # port, MAC
        self._waiting: set[tuple[str, bytes]] = set()  # each once, however often it announces
        client.observer.arrived = self._learned

    def behind_leg(self, port: str, mac: bytes) -> None:
        """Note that a host's bridge learned a MAC behind the leg that is local there."""
        self._queue.put_nowait((port, mac))

    def answered(self, port: str, mac: bytes) -> None:
        """Note that grout sends a host's own announcement back out of its port, about now."""
        if (port, mac) not in self._waiting:
            self._waiting.add((port, mac))
            asyncio.get_running_loop().call_later(ANSWER_S, self._answered, port, mac)

    def _answered(self, port: str, mac: bytes) -> None:
        self._waiting.discard((port, mac))
        self._queue.put_nowait((port, mac))

    async def run(self) -> None:
        """Let the bridges of their hosts forget them behind the leg, until cancelled."""
        while True:
            moved = [await self._queue.get()]
            while not self._queue.empty():
                moved.append(self._queue.get_nowait())
            for leg, macs in self._behind(moved).items():
                try:
                    await asyncio.to_thread(unlearn, leg, macs)
                except OSError as error:
                    log.debug(
                        "the bridge %s still has hosts behind the leg: %s", leg.bridge.name, error
                    )

    def _learned(self, entry: FdbEntry) -> None:
        if port := self._client.observer.ifaces.get(entry.iface):
            self._queue.put_nowait((port.name, entry.mac))

    def _behind(self, moved: list[tuple[str, bytes]]) -> dict[Leg, set[bytes]]:
        """Return the MACs behind each leg."""
        legs = self._legs()
        found: dict[Leg, set[bytes]] = {}
        for port, mac in moved:
            if leg := legs.get(port):
                found.setdefault(leg, set()).add(mac)
        return found
