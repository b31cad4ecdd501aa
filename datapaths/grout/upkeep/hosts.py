"""Probe local hosts long before grout would, so that no packet waits for address resolution.

`picture.probes` explains this and selects the hosts; this module has the clock and the socket.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

from datapaths.base import Unsupported
from datapaths.grout.client import GroutClient
from datapaths.grout.picture.probes import probes
from datapaths.grout.ports.taps import Taps
from datapaths.grout.wire import nexthops
from datapaths.grout.wire import numbers as n

log = logging.getLogger(__name__)

HOSTS_S = 5.0  # between two looks whether a round is due
ROUNDS = 4  # of probes within the lifetime that grout gives a neighbor
PACE_S = 0.001  # between two probes


async def probe_hosts(client: GroutClient, home: Callable[[], str]) -> None:
    """Probe each local host four times within grout's lifetime of a neighbor.

    `home` returns the namespace that grout runs in.
    """
    loop = asyncio.get_running_loop()
    probed_at = -math.inf
    while True:
        await asyncio.sleep(HOSTS_S)
        answer = await client.channel.call("GR_NH_CONFIG_GET")
        config = client.channel.api.one("gr_nh_config_get_resp", answer)
        if loop.time() - probed_at < int(config["lifetime_reachable_sec"]) / ROUNDS:
            continue
        probed_at = loop.time()
        await _forget_failed(client)
        await _probe(client, home)


async def _forget_failed(client: GroutClient) -> None:
    """Forget the neighbors that grout has given up: no event reports that."""
    api = client.channel.api
    async with client.turn:
        payload = nexthops.encode_list(api, type_=n.GR_NH_T_L3)
        for run in await client.channel.collect("GR_NH_LIST", payload):
            for nexthop in nexthops.given_up(api, run.payloads):
                if isinstance(nexthop.info, nexthops.L3):
                    client.observer.learning.neighbor_changed(
                        nexthop.iface, nexthop.info, gone=True
                    )


async def _probe(client: GroutClient, home: Callable[[], str]) -> None:
    observer = client.observer
    try:
        # Only the search goes to a thread: a cancellation loses what a thread opens.
        where = await asyncio.to_thread(home)
        taps = Taps(where)
    except (OSError, Unsupported) as error:
        log.warning("cannot probe local hosts: %s; retrying in the next round", error)
        return
    with taps:
        for name, frame in probes(observer.ifaces, observer.bridges, observer.learning):
            taps.send(name, frame)
            await asyncio.sleep(PACE_S)
