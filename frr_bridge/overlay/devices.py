"""FRR's devices by interface index: shadow devices, their VNIs, and what nexthops name.

zebra and the kernel refer to devices by index. An index means nothing outside this namespace, so no
index leaves this module: a VRF gets its name, a VXLAN device and its bridge get their VNI.

    index 2  br100  bridge              vni(2) == 100
    index 3  vx100  vxlan id 100, master 2
    index 6  ac110  silent access port  access_port(110) == 6
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.routes import DEFAULT_VRF
from dualpath.netlink.numbers import AF_UNSPEC
from frr_bridge.wire.inline import InlineNexthop
from frr_bridge.wire.link import LinkMessage

RT_TABLE_MAIN = 254
_ACCESS = "ac"  # and the VNI: the name of a silent access port


@dataclass(frozen=True, slots=True)
class Effect:
    """What one link message changes elsewhere."""

    resolves: bool = False  # nexthops over the device may resolve to something else
    bridges: tuple[int, ...] = ()  # bridges that got or lost a VNI: look at their rows again
    vxlan: int = 0  # VXLAN device that was added, moved or deleted: look at its flood rows again


class Vrfs(Mapping[int, str]):
    """The VRF's name for each routing table; immutable."""

    def __init__(self, names: dict[int, str]) -> None:
        self._names = names
        self._tables: dict[str, list[int]] = {}
        for table, name in names.items():
            self._tables.setdefault(name, []).append(table)

    def __getitem__(self, table: int) -> str:
        return self._names[table]

    def __iter__(self) -> Iterator[int]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def tables(self, name: str) -> list[int]:
        """Return the routing tables of the VRFs with a name; mostly one."""
        return self._tables.get(name, [])


class ShadowDevices:
    """Every device of FRR's namespace, and the VNI of each bridge."""

    def __init__(self) -> None:
        self.links: dict[int, LinkMessage] = {}
        self._vrfs: Vrfs | None = None  # kept until a VRF is added, changed or deleted
        self._vxlan_of: dict[int, int] = {}  # bridge's index -> its VXLAN device's
        self._placed: dict[int, tuple[int, int]] = {}  # VXLAN device's -> (bridge's index, VNI)
        self._bridges: dict[int, dict[int, None]] = {}  # VNI -> indexes of bridges; mostly one
        self._last_vni: dict[int, int] = {}  # bridge's index -> VNI, also without that device
        self._access: dict[int, int] = {}  # VNI -> its silent access port's index
        self._access_ports: set[int] = set()
        self._removed: list[LinkMessage] = []  # since `take_removed`
        self._renewed: set[int] = set()  # VNIs, since `renewed`
        self._unseen: dict[int, None] = {}  # indexes that a dump has not repeated yet

    # -- questions ------------------------------------------------------------------------

    def vrfs(self) -> Vrfs:
        """Return the names of the VRFs: the same object as before unless some VRF changed."""
        if self._vrfs is None:
            names = {link.vrf_table: link.name for link in self.links.values() if link.vrf_table}
            self._vrfs = Vrfs({RT_TABLE_MAIN: DEFAULT_VRF} | names)
        return self._vrfs

    def vnis(self) -> set[int]:
        """Return the VNIs that have a VXLAN device in a bridge."""
        return set(self._bridges)

    def vni(self, bridge: int) -> int:
        """Return the VNI of a bridge, or 0."""
        vxlan = self._vxlan_of.get(bridge)
        return self.links[vxlan].vxlan_id if vxlan else 0

    def vxlan(self, bridge: int) -> int | None:
        """Return the interface index of a bridge's VXLAN device."""
        return self._vxlan_of.get(bridge)

    def bridge_of(self, vni: int) -> int:
        """Return the interface index of a VNI's shadow bridge, or 0."""
        return next(iter(self._bridges.get(vni, ())), 0)

    def access_port(self, vni: int) -> int:
        """Return the interface index of a VNI's silent access port, or 0."""
        return self._access.get(vni, 0)

    def is_access_port(self, index: int) -> bool:
        return index in self._access_ports

    def resolve(self, identity: int, nexthop: InlineNexthop) -> Nexthop | None:
        """Return a nexthop with names in place of indexes; None while its device is unknown.

        An onlink gateway on a bridge with a VXLAN device is a VTEP of that L3VNI. It remains one
        after the VXLAN device was deleted, until the bridge is deleted too: the kernel deletes them
        one after the other.
        """
        if nexthop.type is NexthopType.BLACKHOLE:
            return Nexthop(identity, nexthop.type)
        vni, device = nexthop.vni, ""
        if not vni and nexthop.oif:
            link = self.links.get(nexthop.oif)
            if link is None:
                return None
            device = link.name
            if nexthop.gateway and nexthop.onlink:
                vni = self._last_vni.get(nexthop.oif, 0)
        if vni:
            return Nexthop(identity, nexthop.type, nexthop.gateway, vni=vni, onlink=True)
        return Nexthop(identity, nexthop.type, nexthop.gateway, device, onlink=nexthop.onlink)

    # -- changes --------------------------------------------------------------------------

    def learn(self, link: LinkMessage) -> Effect:
        """Note a device, or its deletion."""
        if link.family != AF_UNSPEC:
            return Effect()  # only about a bridge port; the same change also arrives as AF_UNSPEC
        before = self.links.get(link.index)
        if link.deleted:
            return self.forget(link.index)
        self._unseen.pop(link.index, None)
        if before:
            self._forget_access(before)
        self.links[link.index] = link
        if link.vrf_table or (before and before.vrf_table):
            self._note_vrf(before, link)
        if vni := _access_vni(link.name):
            self._access[vni] = link.index
            self._access_ports.add(link.index)
        bridges: tuple[int, ...] = ()
        placed = link.kind == "vxlan" and (before is None or _place(before) != _place(link))
        if placed:
            bridges = self._place_vxlan(link)
        if before is None or _standing(before) != _standing(link):
            self._renewed |= {self._vni_of(link)} - {0}
        resolves = before is None or _meaning(before) != _meaning(link)
        return Effect(resolves, bridges, link.index if placed else 0)

    def forget(self, index: int) -> Effect:
        """Drop a deleted device."""
        gone = self.links.pop(index, None)
        if gone is None:
            return Effect()
        if gone.vrf_table:
            self._vrfs = None
        bridges: tuple[int, ...] = ()
        if gone.kind == "vxlan":
            bridges = self._unplace_vxlan(index)
        self._forget_access(gone)
        self._last_vni.pop(index, None)
        self._removed.append(gone)
        return Effect(True, bridges, index if gone.kind == "vxlan" else 0)

    def take_removed(self) -> list[LinkMessage]:
        """Return the devices that were deleted since the last call."""
        removed, self._removed = self._removed, []
        return removed

    def renewed(self) -> set[int]:
        """Return the VNIs whose shadow devices were added, moved or came up since the last call.

        The kernel has forgotten what the mirror wrote there.
        """
        renewed, self._renewed = self._renewed, set()
        return renewed

    def begin_dump(self) -> None:
        self._unseen = dict.fromkeys(self.links)

    def take_unseen(self) -> list[int]:
        """End a dump; return the devices that it did not repeat."""
        unseen, self._unseen = list(self._unseen), {}
        return unseen

    def _place_vxlan(self, vxlan: LinkMessage) -> tuple[int, ...]:
        """Give a VXLAN device's bridge its VNI; return the bridges that got or lost one."""
        left = self._unplace_vxlan(vxlan.index)
        if not vxlan.master:
            return left
        bridge, vni = vxlan.master, vxlan.vxlan_id
        self._unplace_vxlan(self._vxlan_of.get(bridge, 0))  # the last one gives a bridge its VNI
        self._vxlan_of[bridge] = vxlan.index
        self._placed[vxlan.index] = bridge, vni
        self._bridges.setdefault(vni, {})[bridge] = None
        self._last_vni[bridge] = vni
        return tuple(dict.fromkeys((*left, bridge)))

    def _unplace_vxlan(self, index: int) -> tuple[int, ...]:
        if index not in self._placed:
            return ()
        bridge, vni = self._placed.pop(index)
        del self._vxlan_of[bridge]
        del self._bridges[vni][bridge]
        if not self._bridges[vni]:
            del self._bridges[vni]
        return (bridge,)

    def _note_vrf(self, before: LinkMessage | None, link: LinkMessage) -> None:
        if before is None or (before.name, before.vrf_table) != (link.name, link.vrf_table):
            self._vrfs = None

    def _forget_access(self, link: LinkMessage) -> None:
        self._access_ports.discard(link.index)
        vni = _access_vni(link.name)
        if self._access.get(vni) == link.index:
            del self._access[vni]

    def _vni_of(self, shadow: LinkMessage) -> int:
        """Return the VNI that a shadow device belongs to, or 0."""
        return _access_vni(shadow.name) or shadow.vxlan_id or self.vni(shadow.index)


def _access_vni(name: str) -> int:
    """Return the VNI whose silent access port has this name, or 0."""
    number = name.removeprefix(_ACCESS)
    return int(number) if number != name and number.isdecimal() else 0


def _standing(link: LinkMessage) -> tuple[str, int, bool]:
    return link.name, link.master, link.up


def _meaning(link: LinkMessage) -> tuple[str, str, int, int]:
    return link.name, link.kind, link.vxlan_id, link.master


def _place(vxlan: LinkMessage) -> tuple[int, int]:
    return vxlan.vxlan_id, vxlan.master
