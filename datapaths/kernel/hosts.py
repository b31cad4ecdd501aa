"""Hosts behind our ports: probe the silent ones, receive the announcements of all, and forget those
that left with a port of their bridge."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

from datapaths.kernel import probing
from datapaths.kernel.claims import Claims, Heard
from datapaths.kernel.observe import Observer
from datapaths.kernel.wire import neighbors
from datapaths.linux.hostbridges import Bridge, HostBridges, Leg, unlearn
from datapaths.linux.neighborsocket import FRAMES, PAUSE_S, open_neighbor_socket, receive
from datapaths.linux.wire.announcements import decode
from dualpath.model.layer2 import Mac

log = logging.getLogger(__name__)

PROBE_S = 10.0  # twice delay_first_probe_time: the kernel has finished the previous round
PROBES = 1000  # hosts per round
Write = Callable[[Callable[[], Sequence[bytes]]], Awaitable[None]]
"""Brings the picture up to date, then sends the requests that the callback returns."""


class LocalHosts:
    """Follows the hosts of one namespace until cancelled.

    `legs` has the host legs that end in a bridge, by the leg's name.
    """

    def __init__(
        self, netns: str, observer: Observer, write: Write, legs: Mapping[str, Leg]
    ) -> None:
        self._netns = netns
        self._observer = observer
        self._write = write
        self._legs = legs
        self._left: asyncio.Queue[tuple[Bridge, Collection[bytes]]] = asyncio.Queue()
        self._withdrawn: dict[int, set[bytes]] = {}  # MACs by VNI
        self._withdrew = asyncio.Event()
        self._claims = Claims(observer.links, observer.layer2, observer.subnets)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._probe())
            group.create_task(self._listen())
            group.create_task(self._forget())
            group.create_task(HostBridges(self._bridges, self._note_left).run())
            group.create_task(self._unlearn())

    async def _probe(self) -> None:
        """Probe silent hosts before the kernel forgets them."""
        while True:
            await asyncio.sleep(PROBE_S)
            await self._write(self._probes)

    def _probes(self) -> list[bytes]:
        silent = probing.requests(self._observer.links, self._observer.layer2)
        return list(islice(silent, PROBES))

    async def _listen(self) -> None:
        """Receive the announcements of hosts, and apply those that claim an address."""
        with open_neighbor_socket(self._netns) as sock:
            while True:
                frames = await receive(sock)
                heard = [
                    Heard(source[0], found) for frame, source in frames if (found := decode(frame))
                ]
                if claims := [one for one in heard if self._claims.matters(one)]:
                    await self._write(partial(self._requests, claims))
                if len(frames) == FRAMES:
                    await asyncio.sleep(PAUSE_S)

    def _requests(self, claims: list[Heard]) -> list[bytes]:
        return list(self._claims.requests(claims))

    def withdrawn(self, macs: Sequence[Mac]) -> None:
        """Let the bridges of hosts forget remote MACs that FRR withdrew, behind their legs.

        The host may come to such a bridge and be silent. Then the bridge would drop what is flooded
        to find it, because it comes from the leg.
        """
        if not self._legs:
            return
        for mac in macs:
            self._withdrawn.setdefault(mac.vni, set()).add(mac.mac)
        self._withdrew.set()

    async def _unlearn(self) -> None:
        while True:
            await self._withdrew.wait()
            self._withdrew.clear()
            macs, self._withdrawn = self._withdrawn, {}
            for leg, some in list(self._behind_legs(macs)):
                try:
                    await asyncio.to_thread(unlearn, leg, some)
                except OSError as error:
                    log.debug("the bridge %s still has MACs behind its leg: %s", leg.bridge, error)

    def _behind_legs(self, macs: Mapping[int, set[bytes]]) -> Iterator[tuple[Leg, set[bytes]]]:
        links = self._observer.links
        for name, leg in self._legs.items():
            port = links.named(name)
            if port and (some := macs.get(links.vni_of(port.master))):
                yield leg, some

    def _bridges(self) -> set[Bridge]:
        return {leg.bridge for leg in self._legs.values()}

    def _note_left(self, bridge: Bridge, macs: Collection[bytes]) -> None:
        self._left.put_nowait((bridge, macs))

    async def _forget(self) -> None:
        """Forget hosts whose port of a host's bridge went down: FRR withdraws them."""
        while True:
            bridge, macs = await self._left.get()
            legs = [name for name, leg in self._legs.items() if leg.bridge == bridge]
            await self._write(partial(self._drops, legs, macs))

    def _drops(self, legs: list[str], macs: Collection[bytes]) -> list[bytes]:
        found = [link for leg in legs if (link := self._observer.links.named(leg))]
        return [
            neighbors.drop_learned(link.index, mac)
            for link in found
            for mac in macs
            if self._observer.layer2.learned_on(link, mac)
        ]
