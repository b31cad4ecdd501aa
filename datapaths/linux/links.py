"""Change the devices of one namespace: read, compare, write only what differs.

A needless RTM_NEWLINK makes FRR flush the device's neighbors.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import TypedDict, Unpack

from datapaths.linux import sysctls
from datapaths.linux.dryrun import DELETED, MISSING, Changes
from datapaths.linux.linkaddresses import LinkAddresses
from datapaths.linux.linkinfo import IFF_UP, Link, is_pair
from datapaths.linux.linkreader import LinkReader, called, ignored
from datapaths.linux.marks import DEVICE_GROUP, Mark, encode
from datapaths.linux.netns import path_of
from datapaths.linux.rules import Rules

IFF_NOARP, IFF_PROMISC = 0x80, 0x100  # linux/if.h


class Info(TypedDict, total=False):
    """Attributes of a device's kind that can change, by pyroute2's names."""

    br_ageing_time: int  # clock_t
    br_mcast_snooping: int
    br_stp_state: int
    br_vlan_default_pvid: int
    br_vlan_filtering: int
    vxlan_learning: int


class Creation(Info, total=False):
    """Attributes that a device can be created with, by pyroute2's names."""

    address: str
    mtu: int
    peer: str | dict[str, object]
    vrf_table: int
    vxlan_id: int
    vxlan_local: str
    vxlan_local6: str
    vxlan_port: int
    vxlan_udp_zero_csum6_rx: int


class Links(LinkReader):
    """A handle that reads one namespace's devices, and changes what differs.

    A `dry` handle writes nothing: `changes` lists what a call would change (see `dryrun`). A call
    that would create a device raises DryRunEnds.
    """

    def __init__(self, netns: str, *, dry: bool = False) -> None:
        super().__init__(netns)
        self.dry = dry
        self.changes = Changes(dry=dry)
        self.rules = Rules(self, self.changes.allow)
        self.addresses = LinkAddresses(self, self.changes)

    def close(self) -> None:
        """Close the handle, and free what it read at once, not when cycles are looked for."""
        super().close()
        del self.rules, self.addresses

    def load(self) -> None:
        """Read all devices and addresses in two dumps: for many devices, a request each is slow."""
        self.addresses.load(link.index for link in self.all())

    def forget(self, name: str) -> None:
        if link := self._links.get(name):
            self.addresses.forget(link.index)
        super().forget(name)

    def create(self, name: str, kind: str, **attributes: Unpack[Creation]) -> Link:
        """Create a device, in the group that shows that Dualpath made it, until it has a mark."""
        _check_names(attributes, Creation)
        self.changes.require(f"{name}: {MISSING}")
        wanted = {"kind": kind, "group": DEVICE_GROUP, **attributes}
        self.rtnl.call(f"create {kind} {name}", "link", "add", ifname=name, **wanted)
        return self.reload(name)

    def delete(self, name: str) -> None:
        """Delete a device, and with a veth its other end. Do nothing if it does not exist."""
        if (link := self.find(name)) and self.changes.allow(f"{name}: {DELETED}"):
            self.forget(name)
            other = self.at(link.peer) if link.kind == "veth" else None
            if other and is_pair(link, other):
                self.forget(other.name)
            with ignored(errno.ENODEV):
                self.rtnl.call(f"delete {name}", "link", "del", index=link.index)

    def change(
        self,
        name: str,
        *,
        mac: bytes | None = None,
        mtu: int | None = None,
        master: str | None = None,
        mark: Mark | None = None,
        alias: str | None = None,
    ) -> Link:
        """Set the given attributes that differ; `master` is a name, or ""."""
        link = self.get(name)
        attributes: dict[str, object] = {}
        if mac is not None and mac != link.mac:
            attributes["address"] = mac.hex(":")
        if mtu is not None and mtu != link.mtu:
            attributes["mtu"] = mtu
        text = encode(mark) if mark else alias
        if text is not None and text != link.alias:
            attributes["ifalias"] = text
        if master is not None and (index := self.get(master).index if master else 0) != link.master:
            attributes["master"] = index
            self.addresses.forget(link.index)  # joining a VRF cycles the device
        if attributes and self.changes.allow(f"{name}: {', '.join(attributes)}"):
            text = f"change {name} ({', '.join(attributes)})"
            self.rtnl.call(text, "link", "set", index=link.index, **attributes)
            return self.reload(name)
        return link

    def set_up(self, name: str, up: bool = True) -> Link:
        return self._set_flag(name, IFF_UP, up, "up")

    def set_noarp(self, name: str, on: bool = True) -> Link:
        return self._set_flag(name, IFF_NOARP, on, "noarp")

    def set_promiscuous(self, name: str, on: bool = True) -> Link:
        return self._set_flag(name, IFF_PROMISC, on, "promisc")

    def rename(self, name: str, new: str) -> Link:
        """Rename a device. It is down afterwards: the kernel renames no device that is up."""
        self.changes.require(f"{name}: name")
        link = self.set_up(name, False)
        self.rtnl.call(f"rename {name} to {new}", "link", "set", index=link.index, ifname=new)
        del self._links[name]
        return self.reload(new)

    def set_info(self, name: str, **wanted: Unpack[Info]) -> Link:
        """Set attributes of the device's kind, by pyroute2's names (`br_ageing_time`).

        Skip an attribute that this kernel does not show: it was built without the feature.
        """
        link = self.get(name)
        _check_names(wanted, Info)
        have = {key: link.info.get(key) for key in wanted}
        differing = {k: v for k, v in wanted.items() if have[k] not in (None, v)}
        if differing and self.changes.allow(f"{name}: {', '.join(differing)}"):
            text = f"change {name} ({', '.join(differing)})"
            self.rtnl.call(text, "link", "set", index=link.index, kind=link.kind, **differing)
            return self.reload(name)
        return link

    def set_port(self, name: str, *, learning: int, neigh_suppress: int) -> Link:
        """Set attributes of a bridge's port."""
        link = self.get(name)
        wanted = {"learning": learning, "neigh_suppress": neigh_suppress}
        have = {key: link.port.get(key) for key in wanted}
        differing = {key: value for key, value in wanted.items() if have[key] != value}
        if differing and self.changes.allow(f"{name}: {', '.join(differing)}"):
            text = f"change bridge port {name} ({', '.join(differing)})"
            self.rtnl.call(text, "brport", "set", index=link.index, **differing)
            return self.reload(name)
        return link

    def move(self, name: str, there: Links, new: str = "") -> Link:
        """Move a device to another namespace, as `new`; it arrives down and without addresses."""
        link = self.get(name)
        self.changes.require(f"{name}: namespace")
        fd = os.open(path_of(there.netns), os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = f"move {name} to {called(there.netns)}"
            as_new = {"ifname": new} if new else {}
            self.rtnl.call(text, "link", "set", index=link.index, net_ns_fd=fd, **as_new)
        finally:
            os.close(fd)
        del self._links[name]
        self.addresses.forget(link.index)
        return there.reload(new or name)

    def sysctl(self, settings: Mapping[str, int]) -> list[str]:
        """Write the settings that differ; return the keys that this kernel does not have."""
        if not self.dry:
            return sysctls.ensure(self.netns, settings)
        self.changes += sysctls.differing(self.netns, settings)
        return []

    def _set_flag(self, name: str, flag: int, on: bool, text: str) -> Link:
        link = self.get(name)
        if bool(link.flags & flag) == on or not self.changes.allow(f"{name}: {text}"):
            return link
        wanted = {"flags": flag if on else 0, "change": flag}
        self.rtnl.call(f"change {name} (flags)", "link", "set", index=link.index, **wanted)
        self.addresses.forget(link.index)
        return self.reload(name)


def _check_names(given: Mapping[str, object], names: type[Info]) -> None:
    """Reject attributes that pyroute2 would drop silently. Raises TypeError."""
    if unknown := given.keys() - names.__annotations__.keys():
        raise TypeError(f"unknown attributes: {', '.join(sorted(unknown))}")
