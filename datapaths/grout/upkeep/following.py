"""Follow changes by other programs in grout, and notice when grout has died or hangs."""

from __future__ import annotations

import asyncio

from datapaths.grout.client import GroutClient

ALIVE_S = 5.0  # between two GR_PING
INTERFACES_S = 0.5  # between two comparisons of interfaces
SHARE, LONGEST_S = 8, 10.0  # with many interfaces: 8 times what a comparison took, at most 10 s


async def receive_events(client: GroutClient) -> None:
    """Feed events to the picture until grout closes the connection. Raises Unavailable then."""
    while True:
        events = await client.events()
        async with client.turn:
            for event in events:
                client.observer.feed(client.channel.api, event)


async def check_alive(client: GroutClient) -> None:
    """Send a GR_PING every 5 s: a grout that hangs closes no connection."""
    while True:
        await asyncio.sleep(ALIVE_S)
        await client.channel.call("GR_PING")


async def compare_interfaces(client: GroutClient) -> None:
    """Compare grout's interfaces with the picture: a changed description causes no event."""
    loop, rest_s = asyncio.get_running_loop(), INTERFACES_S
    while True:
        await asyncio.sleep(rest_s)
        async with client.turn:
            began_s = loop.time()
            client.observer.compare(await client.overlay.interfaces())
            rest_s = min(max(INTERFACES_S, SHARE * (loop.time() - began_s)), LONGEST_S)
