"""The nexthops that one grout holds: hops, and the group of each nexthop id. Pure.

A *hop* is grout's L3 nexthop of ours: one VRF and address (`HopKey`). grout has at most one per
address, so all its users share it: gateways of routes, remote VTEPs, remote hosts. A controller's
nexthop id is a *group* with hops as members (`ids` explains why).

**Parking.** Deleting a nexthop is slow: grout's only control thread walks over all routes, 0.2 s
for a million, and meanwhile answers no ARP and programs nothing. Leaving an unused hop in place is
wrong: it keeps its MAC, and the next user of the address would send to that MAC. So an unused hop
is *parked*: rewritten, under its id, with an address that nobody uses (100:: plus the id; RFC 6666
discards such packets). One cheap write frees the old address. Parked hops are deleted while grout
is idle (`upkeep.garbage`).

A parked gateway *shadows* its old address: grout made a route to the address when it resolved it,
and keeps that route to the parked hop, which drops packets for the neighbor itself (BGP's as well).
Deleting the hop deletes the route. So parked gateways do not wait until grout is idle:
from the second second on, one a second is deleted.

An unused group is *dying*: rewritten without members, so that its routes drop packets, and deleted
while grout is idle. Deleting it immediately would also delete its routes.

    nexthop 7 = via 10.0.0.1 dev eth1      hop   0x80000000 = VRF 1, 10.0.0.1
                                           group 0x40000007 = {0x80000000}
    route 10.1.0.0/16 nexthop 7            route -> 0x40000007
    nexthop 7 = via 10.0.0.2 dev eth1      hop   0x80000001 = VRF 1, 10.0.0.2
                                           group 0x40000007 = {0x80000001}   no route is written
                                           hop   0x80000000 = VRF 1, 100::8000:0   parked
    1 s without a request                  delete 0x80000000
    nexthop 7 withdrawn                    group 0x40000007 = {}             dying

Rejected (decision 0010): deleting immediately, since a withdrawn VTEP would stop grout for 0.2 s.
Turning an unused hop into a blackhole: grout still keeps its old address. Reusing a parked hop for
a gateway: grout never clears a nexthop's MAC. For that reason there is one exception: a hop that
was a remote host and is still a gateway is deleted immediately (`HopRequests.restart`).

Dumps, our own writes and grout's events keep the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from datapaths.grout.picture import ids
from datapaths.grout.picture.interfaces import IfaceTable
from datapaths.grout.wire import nexthops as wire
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.ifaces import VxlanInfo
from dualpath.model.layer2 import Neighbor, RemoteVtep
from dualpath.model.nexthops import BLACKHOLE, V4_MAPPED, Member, Nexthop, NexthopType

LINK_LOCAL = b"\xfe\x80"
PARK = b"\x01" + bytes(11)  # of 100::/64, the discard prefix (RFC 6666); the hop's id follows
NO_MAC = bytes.fromhex("026470000000")
"""The MAC of an overlay's hop while its router MAC is unknown: locally administered, nobody's.
Without a MAC grout would resolve the address, and it never takes a nexthop's MAC away again."""
HOST = n.GR_NH_F_REMOTE | n.GR_NH_F_NEIGH
KINDS = n.GR_NH_F_REMOTE | n.GR_NH_F_NEIGH

HopKey = tuple[int, bytes, int]
"""VRF, address, and the interface where grout distinguishes by it: link-local or no address."""
HopMember = tuple[int, int]
"""A member of a grout group: a hop's id, and its weight with the tag of `ids`."""


@dataclass(frozen=True, slots=True)
class Hop:
    """An L3 nexthop that we made."""

    id: int
    vrf: int
    iface: int
    address: bytes
    mac: bytes = wire.ZERO_MAC  # of a REMOTE hop; grout resolves a gateway's itself
    flags: int = 0  # GR_NH_F_REMOTE, GR_NH_F_NEIGH

    @property
    def key(self) -> HopKey:
        return hop_key(self.vrf, self.address, self.iface)

    def encode(self) -> wire.Nexthop:
        info = wire.L3(address=self.address, mac=self.mac, flags=self.flags)
        return wire.Nexthop(
            type=n.GR_NH_T_L3,
            id=self.id,
            origin=ids.ORIGIN,
            iface=self.iface,
            vrf=self.vrf,
            info=info,
        )


def hop_key(vrf: int, address: bytes, iface: int) -> HopKey:
    bound = not address or (len(address) == 16 and address.startswith(LINK_LOCAL))
    return vrf, address, iface if bound else 0


class HopTable:
    """Hops by id and key, groups by the controller's nexthop id."""

    def __init__(self, ifaces: IfaceTable) -> None:
        self._ifaces = ifaces
        self._hops: dict[int, Hop] = {}
        self._ids: dict[HopKey, int] = {}
        self.parked: set[int] = set()
        self.shadowing: set[int] = set()  # those of `parked` to which grout may still route
        self._next = ids.FIRST_HOP
        self.members: dict[int, tuple[HopMember, ...]] = {}  # by nexthop id
        self._users: dict[int, set[int]] = {}  # nexthop ids by hop
        self.records: dict[int, Nexthop] = {}
        self.drops: set[int] = set()
        self.taken_over: dict[HopKey, Hop] = {}  # remote hosts; local ones have their addresses
        self.dying: set[int] = set()  # nexthop ids whose groups have no members any more

    def clear(self) -> None:
        self._hops.clear()
        self._ids.clear()
        self._next = ids.FIRST_HOP
        for held in (self.members, self._users, self.records, self.drops, self.dying, self.parked):
            held.clear()
        self.shadowing.clear()

    def load(self, dumped: list[wire.Nexthop]) -> None:
        """Replace the table by a dump of all of grout's nexthops."""
        self.clear()
        groups: dict[int, tuple[HopMember, ...]] = {}
        for nexthop in dumped:
            if nexthop.origin != ids.ORIGIN:
                continue
            if ids.is_drop(nexthop.id):
                self.drops.add(nexthop.id)
            elif ids.is_group(nexthop.id) and isinstance(nexthop.info, wire.Group):
                groups[ids.nexthop_of(nexthop.id)] = nexthop.info.members
            elif ids.is_hop(nexthop.id):
                self._next = max(self._next, nexthop.id + 1)
                hop = hop_of(nexthop)
                if hop and not hop.address.startswith(PARK):
                    self.put(hop)
                else:
                    self.parked.add(nexthop.id)
                    self.shadowing.add(nexthop.id)  # it may have been a gateway
        self._load_groups(groups)

    def _load_groups(self, groups: dict[int, tuple[HopMember, ...]]) -> None:
        for nexthop_id, members in groups.items():
            if not members:
                self.dying.add(nexthop_id)
            elif not _is_multiple(members):
                self.set_members(nexthop_id, members, self._single(nexthop_id, members[0]))
        owners = {members[0]: nexthop_id for nexthop_id, members in self.members.items()}
        for nexthop_id, members in groups.items():
            if members and _is_multiple(members):
                self.set_members(nexthop_id, members, _group(nexthop_id, members, owners))

    def _single(self, nexthop_id: int, leg: HopMember) -> Nexthop:
        hop_id, packed = leg
        if hop_id == BLACKHOLE:
            return Nexthop(nexthop_id, NexthopType.BLACKHOLE)
        hop = self._hops.get(hop_id)
        if not hop:  # grout lost the member; reconciling repairs what differs
            return Nexthop(nexthop_id, NexthopType.DEVICE)
        _, tag = ids.unpack_weight(packed)
        iface = self._ifaces.get(hop.iface)
        vni = iface.info.vni if iface and isinstance(iface.info, VxlanInfo) else 0
        name = self._ifaces.device_name(hop.iface) if not vni else ""
        if not hop.address:
            return Nexthop(nexthop_id, NexthopType.DEVICE, device=name)
        gateway = (V4_MAPPED if tag & ids.MAPPED else b"") + hop.address
        return Nexthop(
            nexthop_id, NexthopType.GATEWAY, gateway, name, vni, onlink=bool(tag & ids.ONLINK)
        )

    def put(self, hop: Hop) -> None:
        """Note a hop as it is now, in place of any other hop with its key."""
        self.forget(hop.id)
        if (other := self._ids.get(hop.key)) is not None:
            self.forget(other)
        self._hops[hop.id] = hop
        self._ids[hop.key] = hop.id

    def forget(self, hop_id: int) -> Hop | None:
        hop = self._hops.pop(hop_id, None)
        if hop and self._ids.get(hop.key) == hop_id:
            del self._ids[hop.key]
        return hop

    def park(self, hop_id: int) -> None:
        """Note that a hop was parked."""
        hop = self.forget(hop_id)
        self.parked.add(hop_id)
        if hop and not hop.flags & KINDS:
            self.shadowing.add(hop_id)

    def collected(self, hop_id: int) -> None:
        """Note that a parked hop is deleted."""
        self.parked.discard(hop_id)
        self.shadowing.discard(hop_id)

    def take_id(self) -> int:
        """Return an id for a hop, unused since the last load."""
        self._next += 1
        return self._next - 1

    def get(self, hop_id: int) -> Hop | None:
        return self._hops.get(hop_id)

    def at(self, vrf: int, address: bytes, iface: int) -> Hop | None:
        return self._hops.get(self._ids.get(hop_key(vrf, address, iface), 0))

    def users(self, hop_id: int) -> set[int]:
        """Return the nexthop ids with a hop among their members."""
        return self._users.get(hop_id, set())

    def set_members(self, nexthop_id: int, members: tuple[HopMember, ...], record: Nexthop) -> None:
        self.drop_members(nexthop_id)
        self.dying.discard(nexthop_id)
        self.members[nexthop_id] = members
        self.records[nexthop_id] = record
        for hop_id, _ in members:
            self._users.setdefault(hop_id, set()).add(nexthop_id)

    def drop_members(self, nexthop_id: int) -> tuple[HopMember, ...]:
        """Forget a nexthop id's members, and return them."""
        self.records.pop(nexthop_id, None)
        members = self.members.pop(nexthop_id, ())
        for hop_id, _ in members:
            self._users[hop_id].discard(nexthop_id)
            if not self._users[hop_id]:
                del self._users[hop_id]
        return members

    def remote_vteps(self) -> Iterator[RemoteVtep]:
        for hop in list(self._hops.values()):
            if record := self.vtep_of(hop):
                yield record

    def neighbors(self) -> Iterator[Neighbor]:
        """Yield the remote hosts, and those taken over by local hosts until FRR withdraws them."""
        for hop in [*self._hops.values(), *self.taken_over.values()]:
            if record := self.neighbor_of(hop):
                yield record

    def vtep_of(self, hop: Hop) -> RemoteVtep | None:
        known = hop.flags & KINDS == n.GR_NH_F_REMOTE and hop.mac != NO_MAC
        vni = self._ifaces.vni_of(hop.iface) if known else 0
        return RemoteVtep(vni, hop.address, hop.mac) if vni else None

    def neighbor_of(self, hop: Hop) -> Neighbor | None:
        vni = self._ifaces.vni_of(hop.iface) if hop.flags & KINDS == HOST else 0
        return Neighbor(vni, hop.address, hop.mac) if vni else None


def hop_of(nexthop: wire.Nexthop) -> Hop | None:
    """Return a nexthop of grout's as a hop, None when it is of another type."""
    if not isinstance(nexthop.info, wire.L3):
        return None
    info, flags = nexthop.info, nexthop.info.flags & KINDS
    mac = info.mac if flags & n.GR_NH_F_REMOTE else wire.ZERO_MAC
    return Hop(nexthop.id, nexthop.vrf, nexthop.iface, info.address, mac, flags)


def parked(hop_id: int) -> Hop:
    """Return a hop as it is when parked: with an address that nobody uses."""
    address = PARK + hop_id.to_bytes(4)
    return Hop(hop_id, n.GR_VRF_DEFAULT_ID, 0, address, NO_MAC, n.GR_NH_F_REMOTE)


def _is_multiple(members: tuple[HopMember, ...]) -> bool:
    return any(ids.unpack_weight(packed)[1] & ids.GROUP for _, packed in members)


def _group(
    nexthop_id: int, members: tuple[HopMember, ...], owners: dict[HopMember, int]
) -> Nexthop:
    """Return a group of the controller's; `owners` are the nexthop ids of single members."""
    found = []
    for hop_id, packed in members:
        weight, tag = ids.unpack_weight(packed)
        alone = hop_id, ids.pack_weight(1, tag & ~ids.GROUP)
        found.append(Member(owners.get(alone, 0), weight))
    found.sort(key=lambda member: member.id)  # grout orders members itself
    return Nexthop(nexthop_id, NexthopType.GROUP, members=tuple(found))
