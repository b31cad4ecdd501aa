"""Which local hosts are probed, and with which source address. Pure.

grout probes a neighbor itself after a long silence. Until the neighbor answers, grout queues the
packets for it, 32 at most: for three seconds with IPv6, as grout queues its own first probes too.
So Dualpath probes hosts earlier, with grout's addresses. The answer reaches grout, which takes it
for an answer to itself: neighbor and MAC are fresh, and no packet waits (decision 0040).
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
"""An interface by name, and the Ethernet frame to send out of it."""


def probes(ifaces: IfaceTable, bridges: BridgeTable, learning: Learning) -> Iterator[Frame]:
    """Yield a probe for each host behind an interface of Dualpath's, but not behind a VTEP."""
    for bridge, address, mac in learning.hosts():
        iface = ifaces.get(bridge)
        if not iface or (isinstance(iface.info, BridgeInfo) and not bridges.is_local(bridge, mac)):
            continue
        if source := _source(iface, address):
            yield iface.name, probe(source, Station(mac, address))


def _source(iface: Iface, target: bytes) -> Station | None:
    """Return the source of a probe: the gateway in the target's subnet, or an IPv6 link-local."""
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
    """Return the link-local address that grout gives an interface (RFC 4291 appendix A)."""
    return LINK_LOCAL + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]
