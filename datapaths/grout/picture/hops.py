"""The nexthops that grout holds: hops (L3) and what each identity is made of. Pure.

Kept by dumps, by our own writes and by what grout tells. A hop serves whoever names its address:
gateways of routes, remote VTEPs, remote hosts. Deleting one costs grout a walk over all its routes,
so a hop that nobody needs is *parked* at an address of its own, and removed when there is time.
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
PARK = b"\x01" + bytes(11)  # in 100::/64, which is there to be discarded (RFC 6666)
NO_MAC = bytes.fromhex("026470000000")
"""Of an overlay's hop whose router MAC is not known: locally administered, and nobody's. Without
one grout would ask for it; and a MAC that a nexthop has got, grout does not take away again."""
HOST = n.GR_NH_F_REMOTE | n.GR_NH_F_NEIGH
KINDS = n.GR_NH_F_REMOTE | n.GR_NH_F_NEIGH

Place = tuple[int, bytes, int]
"""VRF, address, and the interface where that is part of it: link-local, or no address at all."""
Leg = tuple[int, int]
"""Hop's id, and weight with its tag: a member of a grout group."""


@dataclass(frozen=True, slots=True)
class Hop:
    """An L3 nexthop of ours."""

    id: int
    vrf: int
    iface: int
    address: bytes
    mac: bytes = wire.ZERO_MAC  # of a REMOTE one; a gateway's is grout's to resolve
    flags: int = 0  # GR_NH_F_REMOTE, GR_NH_F_NEIGH

    @property
    def place(self) -> Place:
        return place(self.vrf, self.address, self.iface)

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


def place(vrf: int, address: bytes, iface: int) -> Place:
    bound = not address or (len(address) == 16 and address.startswith(LINK_LOCAL))
    return vrf, address, iface if bound else 0


class HopTable:
    """Hops by id and place, groups by identity."""

    def __init__(self, ifaces: IfaceTable) -> None:
        self._ifaces = ifaces
        self._hops: dict[int, Hop] = {}
        self._places: dict[Place, int] = {}
        self.parked: set[int] = set()
        self._next = ids.FIRST_HOP
        self.legs: dict[int, tuple[Leg, ...]] = {}  # by identity
        self._users: dict[int, set[int]] = {}  # hop: identities
        self.records: dict[int, Nexthop] = {}
        self.drops: set[int] = set()
        self.claimed: dict[Place, Hop] = {}  # remote hosts whose addresses local ones have taken
        self.dying: set[int] = set()  # identities whose group is still there, with no members

    def clear(self) -> None:
        self._hops.clear()
        self._places.clear()
        self._next = ids.FIRST_HOP
        for held in (self.legs, self._users, self.records, self.drops, self.dying, self.parked):
            held.clear()

    def load(self, dumped: list[wire.Nexthop]) -> None:
        """Take a dump of all of grout's nexthops."""
        self.clear()
        groups: dict[int, tuple[Leg, ...]] = {}
        for nexthop in dumped:
            if nexthop.origin != ids.ORIGIN:
                continue
            if ids.is_drop(nexthop.id):
                self.drops.add(nexthop.id)
            elif ids.is_group(nexthop.id) and isinstance(nexthop.info, wire.Group):
                groups[ids.identity_of(nexthop.id)] = nexthop.info.members
            elif ids.is_hop(nexthop.id):
                self._next = max(self._next, nexthop.id + 1)
                hop = hop_of(nexthop)
                if hop and not hop.address.startswith(PARK):
                    self.put(hop)
                else:
                    self.parked.add(nexthop.id)
        self._load_groups(groups)

    def _load_groups(self, groups: dict[int, tuple[Leg, ...]]) -> None:
        for identity, legs in groups.items():
            if not legs:
                self.dying.add(identity)
            elif not _is_multiple(legs):
                self.set_legs(identity, legs, self._single(identity, legs[0]))
        owners = {legs[0]: identity for identity, legs in self.legs.items()}
        for identity, legs in groups.items():
            if legs and _is_multiple(legs):
                self.set_legs(identity, legs, _group(identity, legs, owners))

    def _single(self, identity: int, leg: Leg) -> Nexthop:
        hop_id, packed = leg
        if hop_id == BLACKHOLE:
            return Nexthop(identity, NexthopType.BLACKHOLE)
        hop = self._hops.get(hop_id)
        if not hop:  # a member that grout has lost: what differs is put right
            return Nexthop(identity, NexthopType.DEVICE)
        _, tag = ids.unpack_weight(packed)
        iface = self._ifaces.get(hop.iface)
        vni = iface.info.vni if iface and isinstance(iface.info, VxlanInfo) else 0
        name = self._ifaces.device_name(hop.iface) if not vni else ""
        if not hop.address:
            return Nexthop(identity, NexthopType.DEVICE, device=name)
        gateway = (V4_MAPPED if tag & ids.MAPPED else b"") + hop.address
        return Nexthop(
            identity, NexthopType.GATEWAY, gateway, name, vni, onlink=bool(tag & ids.ONLINK)
        )

    def put(self, hop: Hop) -> None:
        """Take a hop as it is now; one that had its place before has it no more."""
        self.forget(hop.id)
        if (other := self._places.get(hop.place)) is not None:
            self.forget(other)
        self._hops[hop.id] = hop
        self._places[hop.place] = hop.id

    def forget(self, hop_id: int) -> Hop | None:
        hop = self._hops.pop(hop_id, None)
        if hop and self._places.get(hop.place) == hop_id:
            del self._places[hop.place]
        return hop

    def park(self, hop_id: int) -> None:
        """A hop was parked."""
        self.forget(hop_id)
        self.parked.add(hop_id)

    def take_id(self) -> int:
        """Return an id for a hop that none has had since the last load."""
        self._next += 1
        return self._next - 1

    def get(self, hop_id: int) -> Hop | None:
        return self._hops.get(hop_id)

    def at(self, vrf: int, address: bytes, iface: int) -> Hop | None:
        return self._hops.get(self._places.get(place(vrf, address, iface), 0))

    def users(self, hop_id: int) -> set[int]:
        """Return the identities that have a hop, groups with a member of it included."""
        return self._users.get(hop_id, set())

    def set_legs(self, identity: int, legs: tuple[Leg, ...], record: Nexthop) -> None:
        self.drop_legs(identity)
        self.dying.discard(identity)
        self.legs[identity] = legs
        self.records[identity] = record
        for hop_id, _ in legs:
            self._users.setdefault(hop_id, set()).add(identity)

    def drop_legs(self, identity: int) -> tuple[Leg, ...]:
        """Forget what an identity is made of; return the legs it had."""
        self.records.pop(identity, None)
        legs = self.legs.pop(identity, ())
        for hop_id, _ in legs:
            self._users[hop_id].discard(identity)
            if not self._users[hop_id]:
                del self._users[hop_id]
        return legs

    def remote_vteps(self) -> Iterator[RemoteVtep]:
        for hop in list(self._hops.values()):
            if record := self.vtep_of(hop):
                yield record

    def neighbors(self) -> Iterator[Neighbor]:
        """Yield the remote hosts; one that a local host took over counts until FRR says so."""
        for hop in [*self._hops.values(), *self.claimed.values()]:
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
    """Return what a hop becomes that is to be out of the way: it names no address that there is."""
    address = PARK + hop_id.to_bytes(4)
    return Hop(hop_id, n.GR_VRF_DEFAULT_ID, 0, address, NO_MAC, n.GR_NH_F_REMOTE)


def _is_multiple(legs: tuple[Leg, ...]) -> bool:
    return any(ids.unpack_weight(packed)[1] & ids.GROUP for _, packed in legs)


def _group(identity: int, legs: tuple[Leg, ...], owners: dict[Leg, int]) -> Nexthop:
    members = []
    for hop_id, packed in legs:
        weight, tag = ids.unpack_weight(packed)
        alone = hop_id, ids.pack_weight(1, tag & ~ids.GROUP)
        members.append(Member(owners.get(alone, 0), weight))
    # grout keeps them in an order of its own.
    members.sort(key=lambda member: member.id)
    return Nexthop(identity, NexthopType.GROUP, members=tuple(members))
