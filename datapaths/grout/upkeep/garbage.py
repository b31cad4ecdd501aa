"""Remove emptied groups and parked hops while grout is idle: see `picture.hops`."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from datapaths.grout.channel import Refused
from datapaths.grout.client import GroutClient
from datapaths.grout.picture import ids
from datapaths.grout.wire.nexthops import encode_del

REST_S = 1.0  # grout is idle after this time without a request


async def collect_garbage(client: GroutClient) -> None:
    """Remove one at a time, while grout has had no other request for a second."""
    loop = asyncio.get_running_loop()
    hops = client.observer.hops
    while True:
        garbage = bool(hops.dying or hops.parked)
        if not garbage or loop.time() - client.channel.used_at < REST_S:
            await asyncio.sleep(REST_S)
            continue
        async with client.turn:
            await _remove_one(client)


async def _remove_one(client: GroutClient) -> None:
    hops, used_at = client.observer.hops, client.channel.used_at
    if hops.dying:
        nh_id = ids.group_of(hops.dying.pop())
    elif hops.parked:
        nh_id = hops.parked.pop()
    else:
        return
    with suppress(Refused):
        await client.channel.call("GR_NH_DEL", encode_del(client.channel.api, nh_id))
    client.channel.used_at = used_at  # a removal does not count as a use
