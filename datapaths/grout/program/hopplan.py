"""Nexthops, remote VTEPs and remote hosts into requests about hops and groups. Pure."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Generator, Iterator
from dataclasses import replace

from datapaths.grout.channel import Request
from datapaths.grout.picture import ids
from datapaths.grout.picture.hops import HOST, KINDS, NO_MAC, Hop, HopTable, Leg, parked, place
from datapaths.grout.picture.interfaces import IfaceTable
from datapaths.grout.wire import nexthops as wire
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.ifaces import Iface
from datapaths.grout.wire.table import Api
from dualpath.model.layer2 import Neighbor, RemoteVtep
from dualpath.model.nexthops import BLACKHOLE, V4_MAPPED, Nexthop, NexthopType

MOST_MEMBERS = 64


class Refused(Exception):
    """A row that cannot even be asked for."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(reason)
        self.errno = number


class HopPlanner:
    """Keeps one hop per place, whoever needs it."""

    def __init__(self, api: Api, ifaces: IfaceTable, hops: HopTable) -> None:
        self._api = api
        self._ifaces = ifaces
        self._hops = hops

    def put_nexthop(self, said: Nexthop) -> Iterator[Request]:
        nexthop = _normal(said)
        if self._hops.records.get(nexthop.id) == nexthop:
            return
        try:
            group = ids.group_of(nexthop.id)
        except ValueError as error:
            raise Refused(errno.EINVAL, str(error)) from error
        legs = yield from self._legs(nexthop)
        before = self._hops.legs.get(nexthop.id, ())
        if nexthop.id in self._hops.dying:  # its routes are to go, and not to come back
            yield "GR_NH_DEL", wire.encode_del(self._api, group)
        yield self._group(group, legs)
        self._hops.set_legs(nexthop.id, legs, nexthop)
        if nexthop.type is not NexthopType.GROUP and before and before != legs:
            yield from self._follow(nexthop.id, before[0], legs[0])
        for hop_id, _ in before:
            yield from self._release(hop_id)

    def drop_nexthop(self, identity: int) -> Iterator[Request]:
        """Empty an identity's group: what still goes there is dropped. It is removed later.

        grout walks over all its routes to delete a nexthop: 0.2 s of a million.
        """
        if identity not in self._hops.legs:
            return
        yield self._group(ids.group_of(identity), ())
        for hop_id, _ in self._hops.drop_legs(identity):
            yield from self._release(hop_id)
        self._hops.dying.add(identity)

    def put_vtep(self, record: RemoteVtep) -> Iterator[Request]:
        vxlan = self._l3vni(record.vni)
        yield from self._put_remote(vxlan, record.vtep, record.mac, n.GR_NH_F_REMOTE)

    def drop_vtep(self, record: RemoteVtep) -> Iterator[Request]:
        vxlan = self._ifaces.vxlan(record.vni)
        hop = self._hops.at(vxlan.vrf, record.vtep, vxlan.id) if vxlan else None
        if not vxlan or not hop or hop.iface != vxlan.id or hop.mac == NO_MAC:
            return
        if self._hops.users(hop.id):
            yield from self._write(replace(hop, mac=NO_MAC))
        else:
            yield from self._park(hop)

    def put_neighbor(self, record: Neighbor) -> Iterator[Request]:
        bridge = self._ifaces.bridge(record.vni)
        if not bridge:
            raise Refused(errno.ENODEV, f"there is no L2VNI {record.vni} in grout")
        taken = self._hops.claimed.get(place(bridge.vrf, record.address, bridge.id))
        if taken and taken.mac == record.mac:
            return  # a local host has the address now; FRR will withdraw this one
        self._hops.claimed.pop(place(bridge.vrf, record.address, bridge.id), None)
        yield from self._put_remote(bridge, record.address, record.mac, HOST)

    def claim_neighbor(self, record: Neighbor) -> Iterator[Request]:
        """Make way for a local host of that address; what was programmed stands."""
        bridge = self._ifaces.bridge(record.vni)
        hop = self._hops.at(bridge.vrf, record.address, bridge.id) if bridge else None
        yield from self.drop_neighbor(record)
        if hop:
            self._hops.claimed[hop.place] = hop

    def drop_neighbor(self, record: Neighbor) -> Iterator[Request]:
        bridge = self._ifaces.bridge(record.vni)
        hop = self._hops.at(bridge.vrf, record.address, bridge.id) if bridge else None
        if bridge:
            self._hops.claimed.pop(place(bridge.vrf, record.address, bridge.id), None)
        if not bridge or not hop or hop.iface != bridge.id or hop.flags & KINDS != HOST:
            return
        if self._hops.users(hop.id):
            yield from self._start_afresh(hop)
        else:
            yield from self._park(hop)

    def _put_remote(
        self, iface: Iface, address: bytes, mac: bytes, flags: int
    ) -> Iterator[Request]:
        old = self._hops.at(iface.vrf, address, iface.id)
        if old and old.iface != iface.id:
            if self._is_needed(old):
                raise self._taken(old)
            yield from self._park(old)
            old = None
        identity = old.id if old else self._hops.take_id()
        hop = Hop(identity, iface.vrf, iface.id, address, mac, flags)
        if hop != old:
            yield from self._write(hop)

    def _start_afresh(self, hop: Hop) -> Iterator[Request]:
        """Let grout resolve a gateway that was a remote host: it keeps a MAC until it is deleted.

        With the hop its memberships go, and the routes stay with their groups.
        """
        yield "GR_NH_DEL", wire.encode_del(self._api, hop.id)
        yield from self._write(replace(hop, mac=wire.ZERO_MAC, flags=0))
        for identity in sorted(self._hops.users(hop.id)):
            yield self._group(ids.group_of(identity), self._hops.legs[identity])

    def _release(self, hop_id: int) -> Iterator[Request]:
        hop = self._hops.get(hop_id)
        if hop and not self._is_needed(hop):
            yield from self._park(hop)

    def _is_needed(self, hop: Hop) -> bool:
        return _is_remote(hop) or bool(self._hops.users(hop.id))

    def _write(self, hop: Hop) -> Iterator[Request]:
        yield "GR_NH_ADD", wire.encode_add(self._api, hop.encode())
        self._hops.put(hop)

    def _park(self, hop: Hop) -> Iterator[Request]:
        yield "GR_NH_ADD", wire.encode_add(self._api, parked(hop.id).encode())
        self._hops.park(hop.id)

    def _legs(self, nexthop: Nexthop) -> Generator[Request, None, tuple[Leg, ...]]:
        match nexthop.type:
            case NexthopType.GROUP:
                return self._members(nexthop)
            case NexthopType.BLACKHOLE:
                if BLACKHOLE not in self._hops.drops:
                    yield drop_request(self._api, BLACKHOLE)
                    self._hops.drops.add(BLACKHOLE)
                return ((BLACKHOLE, ids.pack_weight(1, 0)),)
            case NexthopType.GATEWAY | NexthopType.DEVICE:
                return (yield from self._leg(nexthop))
            case _:
                reason = f"{nexthop.type.name} is no nexthop of its own, but a route's reserved one"
                raise Refused(errno.EINVAL, reason)

    def _leg(self, nexthop: Nexthop) -> Generator[Request, None, tuple[Leg, ...]]:
        iface = self._l3vni(nexthop.vni) if nexthop.vni else self._device(nexthop.device)
        address = nexthop.gateway
        tag = ids.ONLINK if nexthop.onlink else 0
        if len(address) == 16 and address.startswith(V4_MAPPED):
            address, tag = address.removeprefix(V4_MAPPED), tag | ids.MAPPED
        hop = self._hops.at(iface.vrf, address, iface.id)
        if hop and hop.iface != iface.id and self._is_anothers(hop, nexthop.id):
            raise self._taken(hop)
        if hop and hop.iface != iface.id:  # its MAC is not to go along
            yield from self._park(hop)
            hop = None
        if not hop:
            remote = (NO_MAC, n.GR_NH_F_REMOTE) if nexthop.vni else (wire.ZERO_MAC, 0)
            hop = Hop(self._hops.take_id(), iface.vrf, iface.id, address, *remote)
            yield from self._write(hop)
        return ((hop.id, ids.pack_weight(1, tag)),)

    def _is_anothers(self, hop: Hop, identity: int) -> bool:
        return _is_remote(hop) or bool(self._hops.users(hop.id) - {identity})

    def _members(self, nexthop: Nexthop) -> tuple[Leg, ...]:
        legs = []
        for member in nexthop.members:
            alone = self._hops.legs.get(member.id, ())
            record = self._hops.records.get(member.id)
            if not alone or not record or record.type is NexthopType.GROUP:
                raise Refused(errno.EINVAL, f"its member, nexthop {member.id}, does not exist")
            legs.append(_as_member(alone[0], member.weight))
        if not 0 < len(legs) <= MOST_MEMBERS:
            raise Refused(errno.EINVAL, f"a group has 1 to {MOST_MEMBERS} members, not {len(legs)}")
        return tuple(legs)

    def _follow(self, identity: int, before: Leg, after: Leg) -> Iterator[Request]:
        """Rewrite the groups of which a nexthop that changed is a member."""
        for group, record in list(self._hops.records.items()):
            if record.type is not NexthopType.GROUP:
                continue
            weights = {member.id: member.weight for member in record.members}
            if identity not in weights or before == after:
                continue
            legs = tuple(
                _as_member(self._hops.legs[member.id][0], member.weight)
                for member in record.members
            )
            yield self._group(ids.group_of(group), legs)
            self._hops.set_legs(group, legs, record)

    def _group(self, identity: int, legs: tuple[Leg, ...]) -> Request:
        nexthop = wire.Nexthop(
            type=n.GR_NH_T_GROUP, id=identity, origin=ids.ORIGIN, info=wire.Group(members=legs)
        )
        return "GR_NH_ADD", wire.encode_add(self._api, nexthop)

    def _l3vni(self, vni: int) -> Iface:
        vxlan = self._ifaces.vxlan(vni)
        if not vxlan or vxlan.mode != n.GR_IFACE_MODE_VRF:
            raise Refused(errno.ENODEV, f"there is no L3VNI {vni} in grout")
        return vxlan

    def _device(self, name: str) -> Iface:
        iface = self._ifaces.device(name) if name else None
        if not iface:
            raise Refused(errno.ENODEV, f"there is no interface {name or '(unnamed)'} in grout")
        return iface

    def _taken(self, hop: Hop) -> Refused:
        iface = self._ifaces.get(hop.iface)
        name = iface.name if iface else f"interface {hop.iface}"
        address = ipaddress.ip_address(hop.address)
        reason = f"grout knows an address once in a VRF, and has {address} behind {name}"
        return Refused(errno.EADDRINUSE, reason)


def drop_request(api: Api, identity: int) -> Request:
    """Return the request that makes one of the nexthops that drop packets."""
    nexthop = wire.Nexthop(
        type=ids.DROPS[identity], id=identity, origin=ids.ORIGIN, vrf=n.GR_VRF_DEFAULT_ID
    )
    return "GR_NH_ADD", wire.encode_add(api, nexthop)


def _is_remote(hop: Hop) -> bool:
    """Tell whether a RemoteVtep or a Neighbor wants a hop."""
    return bool(hop.flags & KINDS) and hop.mac != NO_MAC


def _as_member(alone: Leg, weight: int) -> Leg:
    hop_id, packed = alone
    _, tag = ids.unpack_weight(packed)
    return hop_id, ids.pack_weight(weight, tag | ids.GROUP)


def _normal(nexthop: Nexthop) -> Nexthop:
    """Return a nexthop as a dump shows it: over an overlay it is always on link."""
    if nexthop.type is NexthopType.GATEWAY and nexthop.vni:
        return Nexthop(nexthop.id, nexthop.type, nexthop.gateway, "", nexthop.vni, True)
    return nexthop
