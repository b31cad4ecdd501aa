"""Checks of a peer's values against their ranges. `dualpath.wire` checks the shapes. No I/O.

After these checks a datapath may rely on an address having 4 or 16 bytes, and on a name being valid
for a device.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

import numpy as np

from datapaths.base import (
    Batch,
    CaughtUp,
    Found,
    Learned,
    LearnedMac,
    LearnedNeighbor,
    Lost,
    PortChanged,
)
from dualpath.model.layer2 import EthernetSegment, Flood, Lsp, Mac, Neighbor, RemoteVtep
from dualpath.model.links import Address, Port, Vni, Vrf
from dualpath.model.nexthops import MOST_WEIGHT, Nexthop, NexthopType, is_reserved
from dualpath.model.records import Record
from dualpath.model.routes import U8, Op, RouteBatch

MOST_VNI = 0xFF_FFFF  # RFC 7348 section 5
MOST_NAME = 15  # IFNAMSIZ - 1, linux/if.h
MOST_SEGMENT = (1 << 30) - 1
MOST_MEMBERS = 4096
MTU = range(68, 65536)  # RFC 791 section 3.2


def check(batch: Batch) -> None:
    """Raise ValueError with the error in a batch to apply."""
    if isinstance(batch, RouteBatch):
        _routes(batch)
        return
    for record in batch.upserts:
        _record(record)
    for record in batch.withdrawals:
        _withdrawn(record)


def check_learned(event: Learned) -> None:
    """Raise ValueError with the error in an event of a learned stream."""
    match event:
        case LearnedMac(vni, mac):
            _vni(vni)
            _mac(mac)
        case LearnedNeighbor(vni, address, mac):
            _vni(vni)
            _ip(address)
            _mac(mac)
        case Lost(kind, records, routes):
            for record in records:
                _record(record)
            if any(record.kind is not kind for record in records):
                raise ValueError(f"a lost {kind.name} that is none")
            if routes is not None:
                _routes(routes)
        case PortChanged(name, _):
            _name(name)
        case CaughtUp():
            pass
        case _:
            assert_never(event)


def check_found(found: Found) -> None:
    """Raise ValueError with the error in the reply to a lookup."""
    if found.prefix:
        _ip(found.prefix)
        if found.length > len(found.prefix) * 8:
            raise ValueError(f"a prefix of {found.length} bits")
    ways = found.ways
    if len(ways) > MOST_MEMBERS:
        raise ValueError(f"a route with {len(ways)} ways; the limit is {MOST_MEMBERS}")
    for ip in (*(way.vtep for way in ways), *(way.nexthop.gateway for way in ways)):
        if ip:
            _ip(ip)
    if found.nexthop and found.nexthop.gateway:
        _ip(found.nexthop.gateway)
    for mac in filter(None, (way.mac for way in ways)):
        _mac(mac)


def _routes(batch: RouteBatch) -> None:
    if not batch.vrf:
        raise ValueError("routes without a VRF")
    if len(batch) and (batch.ops < Op.UPSERT).any() | (batch.ops > Op.WITHDRAW).any():
        raise ValueError("an op that is neither upsert nor withdraw")
    if (batch.prefixes & _host_bits(batch)).any():
        raise ValueError("a prefix with host bits")
    if ((batch.nexthops == 0) & (batch.ops == Op.UPSERT)).any():
        raise ValueError("an upsert without a nexthop")


def _host_bits(batch: RouteBatch) -> U8:
    """Return a mask per row, with a one for each host bit of its prefix."""
    bits = np.arange(batch.family.width * 8 + 1)[:, None] <= np.arange(batch.family.width * 8)
    masks: U8 = np.packbits(bits, axis=1)
    return masks[batch.lengths]


def _record(record: Record) -> None:
    match record:
        case Vrf(name):
            _name(name)
        case Vni():
            _segment(record)
        case Port():
            _port(record)
        case RemoteVtep(vni, vtep, mac):
            _vni(vni)
            _ip(vtep)
            _mac(mac)
        case Flood(vni, vtep):
            _vni(vni)
            _ip(vtep)
        case EthernetSegment():
            _ethernet_segment(record)
        case Mac(vni, mac, vtep):
            _vni(vni)
            _mac(mac)
            if vtep or not record.segment:
                _ip(vtep)
        case Neighbor(vni, address, mac):
            _vni(vni)
            _ip(address)
            _mac(mac)
        case Nexthop():
            _nexthop(record)
        case Lsp():
            pass
        case _:
            assert_never(record)


def _withdrawn(record: Record) -> None:
    """Check a withdrawal. A dump may show a broken VNI without address, a port with BROKEN_MTU."""
    match record:
        case Vni():
            _vni(record.vni)
        case Port():
            _port(replace(record, mtu=0))
        case _:
            _record(record)


def _segment(vni: Vni) -> None:
    _vni(vni.vni)
    if vni.layer not in (2, 3):
        raise ValueError(f"VNI {vni.vni}: layer {vni.layer} is neither 2 nor 3")
    if vni.vrf:
        _name(vni.vrf)
    _ip(vni.local)
    if not 0 < vni.port < 65536:
        raise ValueError(f"VNI {vni.vni}: there is no UDP port {vni.port}")
    if vni.mac:
        _mac(vni.mac)
    _addresses(vni.gateways)
    _mtu(vni.mtu)


def _port(port: Port) -> None:
    _name(port.name)
    if port.vrf:
        _name(port.vrf)
    if port.vni:
        _vni(port.vni)
    _addresses(port.addresses)
    if port.mtu:
        _mtu(port.mtu)
    if port.source_netns is not None:
        _netns(port.source_netns)
    if port.host:
        _netns(port.host.netns)
        for name in filter(None, (port.host.name, port.host.bridge)):
            _name(name)
        if port.host.mac:
            _mac(port.host.mac)
        _addresses(port.host.addresses)


def _nexthop(nexthop: Nexthop) -> None:
    if not nexthop.id or is_reserved(nexthop.id):
        raise ValueError(f"a nexthop cannot have the id {nexthop.id}")
    if nexthop.gateway or nexthop.type is NexthopType.GATEWAY:
        _ip(nexthop.gateway)
    if nexthop.device:
        _name(nexthop.device)
    if nexthop.vni:
        _vni(nexthop.vni)
    if len(nexthop.members) > MOST_MEMBERS:
        raise ValueError(f"a group of {len(nexthop.members)} members")
    for member in nexthop.members:
        if not 0 < member.weight <= MOST_WEIGHT:
            raise ValueError(f"a weight of {member.weight} is not in 1 to {MOST_WEIGHT}")


def _ethernet_segment(segment: EthernetSegment) -> None:
    if not 0 < segment.id <= MOST_SEGMENT:
        raise ValueError(f"there is no Ethernet segment {segment.id}")
    if not 0 < len(segment.vteps) <= MOST_MEMBERS:
        raise ValueError(f"an Ethernet segment of {len(segment.vteps)} VTEPs")
    for vtep in segment.vteps:
        _ip(vtep)


def _vni(vni: int) -> None:
    if not 0 < vni <= MOST_VNI:
        raise ValueError(f"there is no VNI {vni}")


def _ip(ip: bytes) -> None:
    if len(ip) not in (4, 16):
        raise ValueError(f"an address of {len(ip)} bytes")


def _mac(mac: bytes) -> None:
    if len(mac) != 6:
        raise ValueError(f"a MAC of {len(mac)} bytes")


def _addresses(addresses: Iterable[Address]) -> None:
    for address in addresses:
        _ip(address.ip)
        if address.length > len(address.ip) * 8:
            raise ValueError(f"a prefix of {address.length} bits")


def _mtu(mtu: int) -> None:
    if mtu not in MTU:
        raise ValueError(f"an MTU of {mtu} is not in {MTU.start} to {MTU.stop - 1}")


def _name(name: str) -> None:
    """Check the name of a device, like dev_valid_name() in net/core/dev.c."""
    size = len(name.encode())
    bad = any(char in "/:" or char.isspace() or not char.isprintable() for char in name)
    if not 0 < size <= MOST_NAME or bad or name in (".", ".."):
        raise ValueError(f"{name!r} cannot be the name of a device")


def _netns(name: str) -> None:
    """Check the name of a network namespace: one in /run/netns, or an absolute path."""
    if "\0" in name or ("/" in name and not name.startswith("/")) or name in (".", ".."):
        raise ValueError(f"{name!r} cannot name a network namespace")
