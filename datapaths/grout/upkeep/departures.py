"""Forget hosts that left with a port of a host's bridge: grout keeps their MACs until these age."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from datapaths.grout.client import GroutClient
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.bridges import FdbEntry, encode_fdb_del
from datapaths.linux.hostbridges import Bridge, HostBridges, Leg

TOGETHER = 256  # entries that are deleted in one turn


class Departures:
    """Deletes the entries of MACs that left. `legs` returns the host leg of each port.

    `behind` is called with a port, and a MAC that grout learned there, when the host's bridge
    learns that MAC behind the leg.
    """

    def __init__(
        self,
        client: GroutClient,
        legs: Callable[[], Mapping[str, Leg]],
        behind: Callable[[str, bytes], None],
    ) -> None:
        self._client = client
        self._behind = behind
        self._legs = legs
        self._left: asyncio.Queue[tuple[Bridge, Sequence[bytes]]] = asyncio.Queue()

    async def watch(self) -> None:
        """Notice MACs that leave, until cancelled."""
        await HostBridges(self._bridges, self._note, self._note_learned).run()

    async def forget(self) -> None:
        """Delete their entries, until cancelled. Raises Unavailable."""
        while True:
            bridge, macs = await self._left.get()
            ports = [port for port, leg in self._legs().items() if leg.bridge == bridge]
            while macs:
                macs, some = macs[TOGETHER:], macs[:TOGETHER]
                async with self._client.turn:
                    await _forget(self._client, list(_learned(self._client, ports, some)))

    def _bridges(self) -> set[Bridge]:
        return {leg.bridge for leg in self._legs().values()}

    def _note(self, bridge: Bridge, macs: Sequence[bytes]) -> None:
        self._left.put_nowait((bridge, macs))

    def _note_learned(self, leg: Leg, macs: Sequence[bytes]) -> None:
        ports = [port for port, its_leg in self._legs().items() if its_leg == leg]
        for port in ports:
            for entry in _learned(self._client, [port], macs):
                self._behind(port, entry.mac)


def _learned(
    client: GroutClient, ports: Collection[str], macs: Collection[bytes]
) -> Iterator[FdbEntry]:
    """Yield the entries of MACs that grout learned on one of these ports."""
    observer = client.observer
    for name in ports:
        port = observer.ifaces.named(name)
        if not port:
            continue
        for mac in macs:
            entry = observer.bridges.get(port.domain, mac)
            flags = entry.flags & (n.GR_FDB_F_LEARN | n.GR_FDB_F_EXTERN) if entry else 0
            if entry and entry.iface == port.id and flags == n.GR_FDB_F_LEARN:
                yield entry


async def _forget(client: GroutClient, entries: Sequence[FdbEntry]) -> None:
    api = client.channel.api
    requests = [("GR_FDB_DEL", encode_fdb_del(api, one.bridge, one.mac)) for one in entries]
    await client.channel.send(requests)  # a refused one has no bridge any more
    for one in entries:
        client.observer.bridges.pop(one.bridge, one.mac)  # grout reports no change of ours
        client.observer.learning.mac_changed(one.bridge, one.mac)
