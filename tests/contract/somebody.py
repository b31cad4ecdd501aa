"""Another program at grout's socket: grout sends a client no event of its own changes.

python -m tests.contract.somebody SOCKET add|has|del PREFIX
python -m tests.contract.somebody SOCKET forget BRIDGE MAC
python -m tests.contract.somebody SOCKET watch
"""

from __future__ import annotations

import asyncio
import ipaddress
import sys

import numpy as np

from datapaths.grout.channel import Channel, EventStream
from datapaths.grout.wire import bridges, ifaces, nexthops, routes
from datapaths.grout.wire import numbers as n
from dualpath.model.routes import Family

DROP = 77
ROUTES = ("GR_EVENT_IP_ROUTE_ADD", "GR_EVENT_IP6_ROUTE_ADD")


async def add(channel: Channel, prefix: str) -> None:
    """Add a static blackhole route."""
    drop = nexthops.Nexthop(
        type=n.GR_NH_T_BLACKHOLE, id=DROP, origin=n.GR_NH_ORIGIN_STATIC, vrf=n.GR_VRF_DEFAULT_ID
    )
    await channel.call("GR_NH_ADD", nexthops.encode_add(channel.api, drop))
    family, packed, length = _parse(prefix)
    rows = routes.encode_adds(
        channel.api,
        family,
        n.GR_VRF_DEFAULT_ID,
        np.frombuffer(packed, np.uint8).reshape(1, -1),
        np.array([length], np.uint8),
        np.array([DROP], np.uint32),
        n.GR_NH_ORIGIN_STATIC,
    )
    assert not (await channel.write(rows)).any()


async def has(channel: Channel, prefix: str) -> bool:
    family, packed, length = _parse(prefix)
    payload = routes.encode_list(channel.api, family, n.GR_VRF_DEFAULT_ID)
    version = "6" if family is Family.INET6 else "4"
    for run in await channel.collect(f"GR_IP{version}_ROUTE_LIST", payload):
        columns = routes.decode(channel.api, family, run.payloads)
        for i in range(len(columns)):
            found = columns.prefixes[i].tobytes(), columns.lengths[i], columns.origins[i]
            if found == (packed, length, n.GR_NH_ORIGIN_STATIC):
                return True
    return False


async def watch(path: str) -> int:
    """Count the routes written until standard input ends."""
    events = await EventStream.open(path, ROUTES)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    count = 0
    try:
        while True:
            async with asyncio.timeout(0.3):
                count += len(await events.read())
    except TimeoutError:
        return count


def _parse(prefix: str) -> tuple[Family, bytes, int]:
    network = ipaddress.ip_network(prefix)
    family = Family.INET if network.version == 4 else Family.INET6
    return family, network.network_address.packed, network.prefixlen


async def delete(channel: Channel, prefix: str) -> None:
    family, packed, length = _parse(prefix)
    rows = routes.encode_dels(
        channel.api,
        family,
        n.GR_VRF_DEFAULT_ID,
        np.frombuffer(packed, np.uint8).reshape(1, -1),
        np.array([length], np.uint8),
    )
    assert not (await channel.write(rows)).any()


async def forget(channel: Channel, bridge: str, mac: str) -> None:
    """Delete a MAC from a bridge."""
    everything = channel.api.pack("gr_iface_list_req")
    rows = [row async for row in channel.each("GR_IFACE_LIST", everything)]
    found = [ifaces.decode(channel.api, row) for row in rows]
    [identity] = [iface.id for iface in found if iface.name == bridge]
    request = bridges.encode_fdb_del(channel.api, identity, bytes.fromhex(mac), missing_ok=False)
    await channel.call("GR_FDB_DEL", request)


async def main(path: str, verb: str, prefix: str = "", mac: str = "") -> int:
    if verb == "watch":
        sys.stdout.write(f"{await watch(path)}\n")
        return 0
    channel = await Channel.open(path)
    try:
        if verb == "has":
            return 0 if await has(channel, prefix) else 1
        match verb:
            case "add":
                await add(channel, prefix)
            case "del":
                await delete(channel, prefix)
            case _:
                await forget(channel, prefix, mac)
        return 0
    finally:
        channel.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
