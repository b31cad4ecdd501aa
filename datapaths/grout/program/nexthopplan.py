"""Plan requests for the controller's nexthops: a group for each id, and its hops. Pure.

`picture.ids` explains the groups.
"""

from __future__ import annotations

import errno
from collections.abc import Generator, Iterator

from datapaths.grout.channel import Request
from datapaths.grout.picture import ids
from datapaths.grout.picture.hops import NO_MAC, Hop, HopMember, HopTable
from datapaths.grout.picture.interfaces import IfaceTable
from datapaths.grout.program.hoprequests import HopRequests, RowRefused, l3vni
from datapaths.grout.wire import nexthops as wire
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.ifaces import Iface
from datapaths.grout.wire.table import Api
from dualpath.model.nexthops import BLACKHOLE, V4_MAPPED, Nexthop, NexthopType

MOST_MEMBERS = 64


class NexthopPlanner:
    """Plans Nexthop records."""

    def __init__(self, ifaces: IfaceTable, requests: HopRequests) -> None:
        self._ifaces = ifaces
        self._requests = requests
        self._hops: HopTable = requests.table

    def put(self, record: Nexthop) -> Iterator[Request]:
        nexthop = _normal(record)
        if self._hops.records.get(nexthop.id) == nexthop:
            return
        try:
            group = ids.group_of(nexthop.id)
        except ValueError as error:
            raise RowRefused(errno.EINVAL, str(error)) from error
        members = yield from self._members(nexthop)
        before = self._hops.members.get(nexthop.id, ())
        if nexthop.id in self._hops.dying:  # the routes of its former use must not return
            yield "GR_NH_DEL", wire.encode_del(self._requests.api, group)
        yield self._requests.group(group, members)
        self._hops.set_members(nexthop.id, members, nexthop)
        if nexthop.type is not NexthopType.GROUP and before and before != members:
            yield from self._update_groups_of(nexthop.id)
        for hop_id, _ in before:
            yield from self._requests.release(hop_id)

    def drop(self, nexthop_id: int) -> Iterator[Request]:
        """Empty a nexthop's group: routes to it drop packets. The group is dying now."""
        if nexthop_id not in self._hops.members:
            return
        yield self._requests.group(ids.group_of(nexthop_id), ())
        for hop_id, _ in self._hops.drop_members(nexthop_id):
            yield from self._requests.release(hop_id)
        self._hops.dying.add(nexthop_id)

    def _members(self, nexthop: Nexthop) -> Generator[Request, None, tuple[HopMember, ...]]:
        match nexthop.type:
            case NexthopType.GROUP:
                return self._members_of_group(nexthop)
            case NexthopType.BLACKHOLE:
                if BLACKHOLE not in self._hops.drops:
                    yield drop_request(self._requests.api, BLACKHOLE)
                    self._hops.drops.add(BLACKHOLE)
                return ((BLACKHOLE, ids.pack_weight(1, 0)),)
            case NexthopType.GATEWAY | NexthopType.DEVICE:
                return (yield from self._member(nexthop))
            case _:
                reason = f"{nexthop.type.name} is no nexthop of its own, but a route's reserved one"
                raise RowRefused(errno.EINVAL, reason)

    def _member(self, nexthop: Nexthop) -> Generator[Request, None, tuple[HopMember, ...]]:
        iface = l3vni(self._ifaces, nexthop.vni) if nexthop.vni else self._device(nexthop.device)
        address = nexthop.gateway
        tag = ids.ONLINK if nexthop.onlink else 0
        if len(address) == 16 and address.startswith(V4_MAPPED):
            address, tag = address.removeprefix(V4_MAPPED), tag | ids.MAPPED
        hop = self._hops.at(iface.vrf, address, iface.id)
        if hop and hop.iface != iface.id:
            if self._requests.is_needed_by_others(hop, nexthop.id):
                raise self._requests.conflict(hop)
            yield from self._requests.park(hop)  # a new hop does not inherit its MAC
            hop = None
        if not hop:
            remote = (NO_MAC, n.GR_NH_F_REMOTE) if nexthop.vni else (wire.ZERO_MAC, 0)
            hop = Hop(self._hops.take_id(), iface.vrf, iface.id, address, *remote)
            yield from self._requests.write(hop)
        return ((hop.id, ids.pack_weight(1, tag)),)

    def _members_of_group(self, nexthop: Nexthop) -> tuple[HopMember, ...]:
        members = []
        for member in nexthop.members:
            alone = self._hops.members.get(member.id, ())
            record = self._hops.records.get(member.id)
            if not alone or not record or record.type is NexthopType.GROUP:
                raise RowRefused(errno.EINVAL, f"its member, nexthop {member.id}, does not exist")
            members.append(_as_member(alone[0], member.weight))
        if not 0 < len(members) <= MOST_MEMBERS:
            reason = f"a group has 1 to {MOST_MEMBERS} members, not {len(members)}"
            raise RowRefused(errno.EINVAL, reason)
        return tuple(members)

    def _update_groups_of(self, nexthop_id: int) -> Iterator[Request]:
        """Rewrite the controller's groups with this nexthop, whose own member changed."""
        for group, record in list(self._hops.records.items()):
            if record.type is not NexthopType.GROUP:
                continue
            if all(member.id != nexthop_id for member in record.members):
                continue
            members = tuple(
                _as_member(self._hops.members[member.id][0], member.weight)
                for member in record.members
            )
            yield self._requests.group(ids.group_of(group), members)
            self._hops.set_members(group, members, record)

    def _device(self, name: str) -> Iface:
        iface = self._ifaces.device(name) if name else None
        if not iface:
            raise RowRefused(errno.ENODEV, f"grout has no interface {name or '(unnamed)'}")
        return iface


def drop_request(api: Api, nexthop_id: int) -> Request:
    """Return the request that makes the nexthop of a reserved id, which drops packets."""
    nexthop = wire.Nexthop(
        type=ids.DROPS[nexthop_id], id=nexthop_id, origin=ids.ORIGIN, vrf=n.GR_VRF_DEFAULT_ID
    )
    return "GR_NH_ADD", wire.encode_add(api, nexthop)


def _as_member(alone: HopMember, weight: int) -> HopMember:
    """Return a nexthop's own member as a member of a controller's group."""
    hop_id, packed = alone
    _, tag = ids.unpack_weight(packed)
    return hop_id, ids.pack_weight(weight, tag | ids.GROUP)


def _normal(nexthop: Nexthop) -> Nexthop:
    """Return a nexthop as a dump shows it: over an overlay it is always onlink."""
    if nexthop.type is NexthopType.GATEWAY and nexthop.vni:
        return Nexthop(nexthop.id, nexthop.type, nexthop.gateway, "", nexthop.vni, True)
    return nexthop
