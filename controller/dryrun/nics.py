"""Finds the NICs that a start would move, and the effects of each move. Reads only.

When a NIC moves to another namespace, three things can break: the SSH session that runs the
command, a default route, and TCP connections to the NIC's addresses.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from controller.dryrun.connections import ESTABLISHED, Ssh, Tcp, tcp_sockets
from controller.dryrun.report import Change, called
from datapaths.base import Unavailable
from datapaths.linux import netns, nics
from datapaths.linux.linkinfo import Link
from datapaths.linux.links import Links
from datapaths.linux.routelookup import default_gateways, output_device
from datapaths.linux.wire.nicstate import NicAddress, NicRoute
from dualpath.model.links import Address, Port
from dualpath.model.words import counted
from dualpath.netlink import numbers as n

ON_TOP = frozenset({"vlan", "macvlan", "ipvlan", "macvtap", "ipvtap", "vxlan", "macsec"})
"""Kinds whose IFLA_LINK is the device that they send through."""
VIA = 18  # RTA_VIA: a gateway of the other family


@dataclass(frozen=True, slots=True)
class Moving:
    """The findings about one NIC."""

    changes: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def moving(port: Port, home: str, forwarding: str, ssh: Ssh | None) -> Moving:
    """Return the effects of moving a NIC from `home`. A missing NIC is a problem."""
    try:
        with Links(home, dry=True) as links:
            if (link := links.find(port.name)) is None:
                return _absent(port, home)
            if why := nics.refusal(links, link):
                return Moving(problems=(why,))
            addresses, routes = nics.addresses_and_routes(links, link)
            details = *_addresses(addresses), *_routes(routes)
            where = f"{port.name}, from {called(home)} to {called(forwarding)}"
            change = Change("move", "nic", where, "", details or ("no address, no route",))
            return Moving((change,), tuple(_lost(links, link, addresses, ssh)))
    except Unavailable as error:
        return Moving(problems=(f"{port.name}: {error}",))


def _absent(port: Port, home: str) -> Moving:
    if port.devargs:
        return Moving()  # DPDK finds it by its PCI address
    return Moving(problems=(f"{port.name}: no such device in {called(home)}",))


def _addresses(addresses: Sequence[NicAddress]) -> Iterator[str]:
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    for entry in addresses:
        text = f"address {Address(entry.ip, entry.length)}"
        if entry.valid_until is None:
            yield text
        else:
            left_s = max(0, round(entry.valid_until - now))
            yield f"{text}, a lease that ends in {left_s} s unless its client renews it there"


def _routes(routes: Sequence[NicRoute]) -> Iterator[str]:
    for entry in routes:
        family, length = entry.fixed[0], entry.fixed[1]
        found = dict(entry.attributes)
        to = _network(family, found.get(n.RTA_DST, b""), length)
        via = f" via {_gateway(found)}" if _gateway(found) else ""
        table = f" table {entry.table}" if entry.table != n.RT_TABLE_MAIN else ""
        yield f"route {to}{via}{table}{'' if entry.portable else ', given back later, not used'}"


def _network(family: int, destination: bytes, length: int) -> str:
    if not length:
        return "default (IPv6)" if family == socket.AF_INET6 else "default"
    return f"{ipaddress.ip_address(destination)}/{length}"


def _gateway(found: dict[int, bytes]) -> str:
    packed = found.get(n.RTA_GATEWAY) or found.get(VIA, b"")[2:]
    return str(ipaddress.ip_address(packed)) if packed else ""


def _lost(
    links: Links, link: Link, addresses: Sequence[NicAddress], ssh: Ssh | None
) -> Iterator[str]:
    """Yield warnings about connections and routes that break when a NIC moves."""
    through = {link.index: link.name, **_on_top(links, link)}
    if len(through) > 1:
        names = ", ".join(sorted(set(through.values()) - {link.name}))
        yield f"{names} is on top of {link.name}: it loses its carrier when {link.name} moves"
    own = {entry.ip for entry in addresses}
    own |= {
        a.ip
        for index, name in through.items()
        if index != link.index
        for a in links.addresses.of(name)
    }
    if ssh and netns.same(links.netns, "") and _carries(links, set(through), own, ssh):
        yield (
            f"this SSH session ({ssh}) goes through {link.name} and ends when {link.name} moves; "
            "use another NIC, a console, or --confirm-within"
        )
    for family in (socket.AF_INET, socket.AF_INET6):
        for gateway in default_gateways(links, set(through), family):
            version = "IPv6" if family == socket.AF_INET6 else "IPv4"
            via = f" (via {gateway})" if gateway else ""
            yield (
                f"the {version} default route of {called(links.netns)}{via} goes through "
                f"{link.name}: what stays there loses it"
            )
    used = [it for it in tcp_sockets(links.netns) if it.state == ESTABLISHED and it.local in own]
    if used:
        yield _connections(link.name, used)


def _connections(name: str, used: Sequence[Tcp]) -> str:
    ports = ", ".join(str(port) for port in sorted({it.port for it in used})[:8])
    return (
        f"{counted(len(used), 'TCP connection')} to addresses of {name} would break (port {ports})"
    )


def _on_top(links: Links, below: Link) -> dict[int, str]:
    """Return the devices that are stacked on another one, directly or indirectly."""
    found: dict[int, str] = {}
    for link in links.all():
        if link.kind in ON_TOP and link.peer == below.index and link.index != below.index:
            found |= {link.index: link.name, **_on_top(links, link)}
    return found


def _carries(links: Links, through: set[int], own: set[bytes], ssh: Ssh) -> bool:
    """Return whether a session is to one of these addresses, or answered through these devices."""
    if ssh.zone:
        zone = links.find(ssh.zone)
        return zone is not None and zone.index in through
    if ssh.server in own:
        return True
    return output_device(links, ssh.client) in through
