"""Remove emptied groups and parked hops while grout is idle: see `picture.hops`."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from datapaths.grout.channel import Refused
from datapaths.grout.client import GroutClient
from datapaths.grout.picture import ids
from datapaths.grout.picture.hops import HopTable
from datapaths.grout.wire.nexthops import encode_del

REST_S = 1.0  # grout is idle after this time without a request


async def collect_garbage(client: GroutClient) -> None:
    """Remove one at a time, while grout has had no other request for a second.

    Parked gateways do not wait for that: remove one a second of those that were there at the last
    look.
    """
    loop = asyncio.get_running_loop()
    hops = client.observer.hops
    before: frozenset[int] = frozenset()  # parked gateways at the last look
    while True:
        idle = loop.time() - client.channel.used_at >= REST_S
        if idle and (hops.dying or hops.parked):
            async with client.turn:
                await _remove(client, _next(hops))
            continue
        due, before = before & hops.shadowing, frozenset(hops.shadowing)
        if due:
            async with client.turn:
                await _remove(client, min(due))
        await asyncio.sleep(REST_S)


def _next(hops: HopTable) -> int:
    """Take the next group or hop to delete, 0 if none is left."""
    if hops.dying:
        return ids.group_of(hops.dying.pop())
    return next(iter(hops.parked), 0)


async def _remove(client: GroutClient, nh_id: int) -> None:
    used_at = client.channel.used_at
    if ids.is_hop(nh_id):
        if nh_id not in client.observer.hops.parked:
            return  # grout was restarted meanwhile
        client.observer.hops.collected(nh_id)
    if nh_id:
        with suppress(Refused):
            await client.channel.call("GR_NH_DEL", encode_del(client.channel.api, nh_id))
    client.channel.used_at = used_at  # a removal does not count as a use
