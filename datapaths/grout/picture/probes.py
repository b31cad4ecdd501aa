"""Which hosts are asked whether they are still there, and by whom. Pure.

grout asks a neighbour itself when it has not heard from it for long. Until that one has answered,
packets for it are held, and 32 are the most: with IPv6 that takes three seconds, as grout holds its
own first probes, too. So hosts are asked before, in grout's name. The answer passes grout, which
takes it for one to itself: neighbour and MAC are fresh, and no packet waits.
"""

from __future__ import annotations

from collections.abc import Iterator

from datapaths.grout.picture.bridges import BridgeTable
from datapaths.grout.picture.interfaces import IfaceTable
from datapaths.grout.picture.learning import Learning
from datapaths.grout.wire.ifaces import BridgeInfo, Iface, PortInfo
from datapaths.grout.wire.probes import Station, probe
from datapaths.linux import marks
from dualpath.model.links import Address

LINK_LOCAL = bytes.fromhex("fe80000000000000")

Frame = tuple[str, bytes]
"""Interface by name, and what is sent out of it."""


def probes(ifaces: IfaceTable, bridges: BridgeTable, learning: Learning) -> Iterator[Frame]:
    """Yield a question to each host behind an interface of ours; not to those behind a VTEP."""
    for bridge, address, mac in learning.hosts():
        iface = ifaces.get(bridge)
        if not iface or (isinstance(iface.info, BridgeInfo) and not bridges.is_local(bridge, mac)):
            continue
        if asker := _asker(iface, address):
            yield iface.name, probe(asker, Station(mac, address))


def _asker(iface: Iface, target: bytes) -> Station | None:
    """Return who asks for an address: the gateway in its subnet, by IPv6 at least a link-local."""
    mark = marks.decode(iface.description)
    if not mark or not isinstance(iface.info, BridgeInfo | PortInfo):
        return None
    mac = iface.info.mac
    for own in mark.addresses:
        if _covers(own, target):
            return Station(mac, own.ip)
    return Station(mac, _link_local(mac)) if len(target) == 16 else None


def _covers(own: Address, target: bytes) -> bool:
    if len(own.ip) != len(target):
        return False
    host_bits = len(target) * 8 - own.length
    return int.from_bytes(own.ip) >> host_bits == int.from_bytes(target) >> host_bits


def _link_local(mac: bytes) -> bytes:
    """Return the address that grout gives an interface by itself (RFC 4291 appendix A)."""
    return LINK_LOCAL + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]
