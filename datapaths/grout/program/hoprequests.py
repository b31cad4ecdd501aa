"""Requests for single hops: write, park, release, restart. Pure; each updates the picture.

All users of an address share its one hop; `picture.hops` explains hops and parking.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Iterator
from dataclasses import replace

from datapaths.grout.channel import Request
from datapaths.grout.picture import ids
from datapaths.grout.picture.hops import KINDS, NO_MAC, Hop, HopMember, HopTable, parked
from datapaths.grout.picture.interfaces import IfaceTable
from datapaths.grout.wire import nexthops as wire
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.ifaces import Iface
from datapaths.grout.wire.table import Api


class RowRefused(Exception):
    """A row that cannot be expressed in requests."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(reason)
        self.errno = number


class HopRequests:
    """Makes requests for hops, one hop per address, and updates the picture by each."""

    def __init__(self, api: Api, ifaces: IfaceTable, hops: HopTable) -> None:
        self.api = api
        self._ifaces = ifaces
        self.table = hops

    def write(self, hop: Hop) -> Iterator[Request]:
        yield "GR_NH_ADD", wire.encode_add(self.api, hop.encode())
        self.table.put(hop)

    def park(self, hop: Hop) -> Iterator[Request]:
        yield "GR_NH_ADD", wire.encode_add(self.api, parked(hop.id).encode())
        self.table.park(hop.id)

    def release(self, hop_id: int) -> Iterator[Request]:
        """Park a hop, unless another user needs it."""
        hop = self.table.get(hop_id)
        if hop and not self.is_needed(hop):
            yield from self.park(hop)

    def restart(self, hop: Hop) -> Iterator[Request]:
        """Make grout resolve a gateway that was a remote host until now.

        grout keeps a nexthop's MAC until it deletes the nexthop, so this one is deleted at once.
        Its memberships go with it and are written again; the groups, and so the routes, stay.
        """
        yield "GR_NH_DEL", wire.encode_del(self.api, hop.id)
        yield from self.write(replace(hop, mac=wire.ZERO_MAC, flags=0))
        for nexthop_id in sorted(self.table.users(hop.id)):
            yield self.group(ids.group_of(nexthop_id), self.table.members[nexthop_id])

    def group(self, group_id: int, members: tuple[HopMember, ...]) -> Request:
        """Return the request that gives a group exactly these members."""
        nexthop = wire.Nexthop(
            type=n.GR_NH_T_GROUP, id=group_id, origin=ids.ORIGIN, info=wire.Group(members=members)
        )
        return "GR_NH_ADD", wire.encode_add(self.api, nexthop)

    def is_needed(self, hop: Hop) -> bool:
        return is_remote(hop) or bool(self.table.users(hop.id))

    def is_needed_by_others(self, hop: Hop, nexthop_id: int) -> bool:
        return is_remote(hop) or bool(self.table.users(hop.id) - {nexthop_id})

    def conflict(self, hop: Hop) -> RowRefused:
        """Return why a row cannot have the address of a hop on another interface."""
        iface = self._ifaces.get(hop.iface)
        name = iface.name if iface else f"interface {hop.iface}"
        address = ipaddress.ip_address(hop.address)
        reason = f"grout allows an address once per VRF, and has {address} on {name} already"
        return RowRefused(errno.EADDRINUSE, reason)


def is_remote(hop: Hop) -> bool:
    """Return whether a RemoteVtep or a Neighbor needs a hop."""
    return bool(hop.flags & KINDS) and hop.mac != NO_MAC


def l3vni(ifaces: IfaceTable, vni: int) -> Iface:
    """Return the VXLAN interface of an L3VNI. Raises RowRefused."""
    vxlan = ifaces.vxlan(vni)
    if not vxlan or vxlan.mode != n.GR_IFACE_MODE_VRF:
        raise RowRefused(errno.ENODEV, f"grout has no L3VNI {vni}")
    return vxlan
