"""Forget hosts that left with a port of a host's bridge: grout keeps their MACs until these age."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping

from datapaths.grout.client import GroutClient
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.bridges import FdbEntry, encode_fdb_del
from datapaths.linux.hostbridges import Bridge, HostBridges


async def forget_left(client: GroutClient, legs: Callable[[], Mapping[str, Bridge]]) -> None:
    """Delete the entries of MACs that left. `legs` returns the host bridge of each port."""
    left: asyncio.Queue[tuple[Bridge, Collection[bytes]]] = asyncio.Queue()

    def note(bridge: Bridge, macs: Collection[bytes]) -> None:
        left.put_nowait((bridge, macs))

    watching = asyncio.create_task(HostBridges(lambda: legs().values(), note).run())
    try:
        while True:
            bridge, macs = await left.get()
            ports = [port for port, at in legs().items() if at == bridge]
            async with client.turn:
                for entry in list(_learned(client, ports, macs)):
                    await _forget(client, entry)
    finally:
        watching.cancel()
        await asyncio.wait([watching])


def _learned(
    client: GroutClient, ports: Collection[str], macs: Collection[bytes]
) -> Iterator[FdbEntry]:
    """Yield the entries of MACs that grout learned on one of these ports."""
    observer = client.observer
    for name in ports:
        port = observer.ifaces.named(name)
        for mac in macs if port else ():
            assert port
            entry = observer.bridges.get(port.domain, mac)
            flags = entry.flags & (n.GR_FDB_F_LEARN | n.GR_FDB_F_EXTERN) if entry else 0
            if entry and entry.iface == port.id and flags == n.GR_FDB_F_LEARN:
                yield entry


async def _forget(client: GroutClient, entry: FdbEntry) -> None:
    payload = encode_fdb_del(client.channel.api, entry.bridge, entry.mac)
    await client.channel.call("GR_FDB_DEL", payload)
    client.observer.bridges.pop(entry.bridge, entry.mac)  # grout reports no change of ours
    client.observer.learning.mac_changed(entry.bridge, entry.mac)
