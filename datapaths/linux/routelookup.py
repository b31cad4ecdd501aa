"""Ask a namespace's kernel for routes: the device to an address, default gateways. Reads only."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Iterator

from datapaths.linux.links import Links

UNICAST, TABLE_LOCAL = 1, 255  # linux/rtnetlink.h


def output_device(links: Links, address: bytes) -> int:
    """Return the index of the device that packets to an address leave by; 0 for none."""
    to = ipaddress.ip_address(address)
    family = socket.AF_INET6 if to.version == 6 else socket.AF_INET
    wanted = {"dst": str(to), "dst_len": to.max_prefixlen, "family": family}
    try:
        found = links.rtnl.call(f"look up {to}", "route", "get", **wanted)
    except OSError:
        return 0
    return int(found[0].get_attr("RTA_OIF") or 0)


def default_gateways(links: Links, devices: Collection[int], family: int) -> Iterator[str]:
    """Yield the gateway of each default route over these devices, in all tables.

    A default route without a gateway yields "".
    """
    for message in links.rtnl.call("list routes", "route", "dump", family=family):
        if message["dst_len"] or message["type"] != UNICAST or message["table"] == TABLE_LOCAL:
            continue
        hops = message.get_attr("RTA_MULTIPATH") or ()
        paths = [(message.get_attr("RTA_OIF"), message), *((hop["oif"], hop) for hop in hops)]
        for index, path in paths:
            if index in devices:
                yield path.get_attr("RTA_GATEWAY") or ""
