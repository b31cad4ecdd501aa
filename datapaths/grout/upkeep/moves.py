"""Let grout learn remote MACs that appear on a local port, so that FRR advertises them.

grout never moves an entry with GR_FDB_F_EXTERN. So the entry is deleted, and grout learns the MAC
from the host's next packet.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from datapaths.grout.channel import Refused
from datapaths.grout.client import GroutClient
from datapaths.grout.wire.bridges import FdbEntry, encode_fdb_del

log = logging.getLogger(__name__)

LOOK_S = 2.0  # between two looks at the FDB


async def watch_moves(client: GroutClient) -> None:
    """Look for moved MACs, and for takeovers that no local host confirmed."""
    while True:
        await asyncio.sleep(LOOK_S)
        async with client.turn:
            client.observer.return_unconfirmed()
        if not any(True for _ in client.observer.bridges.macs()):
            continue
        async with client.turn:
            for entry in client.observer.bridges.turned_up(await client.fdb()):
                await relearn(client, entry)


async def relearn(client: GroutClient, entry: FdbEntry) -> None:
    """Delete the entry of a MAC that is no longer remote; the caller has the turn."""
    log.info("MAC %s moved here from a VTEP: a local port received its packet", entry.mac.hex(":"))
    # First, as grout may report that it learned the MAC before it answers the request.
    client.observer.bridges.move(entry)
    payload = encode_fdb_del(client.channel.api, entry.bridge, entry.mac)
    with suppress(Refused):
        await client.channel.call("GR_FDB_DEL", payload)
