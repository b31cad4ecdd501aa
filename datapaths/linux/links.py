"""The devices of one namespace: read them, and change only what differs.

A needless RTM_NEWLINK makes FRR flush the device's neighbors. Hence read, compare, write.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, Self, TypedDict, Unpack

from datapaths.base import Unavailable
from datapaths.linux import sysctls
from datapaths.linux.linkinfo import (
    IFF_UP,
    Link,
    is_link_local,
    is_pair,
    link_local,
    read_address,
    read_link,
)
from datapaths.linux.marks import DEVICE_GROUP, Mark, encode
from datapaths.linux.netns import entered, exists, path_of
from datapaths.linux.rtnl import BY_KERNEL, Rtnl
from datapaths.linux.rules import Rules
from dualpath.model.links import Address

IFF_NOARP, IFF_PROMISC = 0x80, 0x100  # linux/if.h
IFA_F_NODAD = 0x02  # linux/if_addr.h


class DryRunEnds(Exception):
    """End a dry run: the following steps need a device that does not exist yet."""


class Info(TypedDict, total=False):
    """Attributes of a device's kind that can change, by pyroute2's names."""

    br_ageing_time: int  # clock_t
    br_mcast_snooping: int
    br_stp_state: int
    br_vlan_default_pvid: int
    br_vlan_filtering: int
    vxlan_learning: int


class Creation(Info, total=False):
    """What a device can be created with, by pyroute2's names."""

    address: str
    mtu: int
    peer: str | dict[str, object]
    vrf_table: int
    vxlan_id: int
    vxlan_local: str
    vxlan_local6: str
    vxlan_port: int
    vxlan_udp_zero_csum6_rx: int


class Links:
    """A short-lived handle on one namespace's devices; use it in the thread that made it.

    It caches what it read, and updates the cache by its own changes only, so a handle lives for one
    batch. Every refusal of the kernel is an OSError that names the device. Raises Unavailable when
    the namespace does not exist.

    A `dry` handle writes nothing: `changes` lists, as text, what a call would change. So the code
    that creates a device also finds drift, and no second list of attributes can become outdated.
    A call that would create a device raises DryRunEnds.
    """

    def __init__(self, netns: str, *, dry: bool = False) -> None:
        if not exists(netns):
            raise Unavailable(f"there is no network namespace {netns}")
        self.netns = netns
        self.dry = dry
        self.changes: list[str] = []
        with entered(netns):
            self.rtnl = Rtnl()
        self.rules = Rules(self.rtnl, self._writes)
        self._links: dict[str, Link] = {}
        self._complete = False  # whether those are all
        self._addresses: dict[int, list[Address]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.rtnl.close()

    def load(self) -> None:
        """Read all devices and addresses at once: for work on many, a request each is slow."""
        self._addresses = {link.index: [] for link in self.all()}
        messages = self.rtnl.call("list addresses", "addr", "dump", family=socket.AF_UNSPEC)
        for message in messages:
            if address := read_address(message):
                self._addresses.setdefault(message["index"], []).append(address)

    def all(self) -> Sequence[Link]:
        if not self._complete:
            messages = self.rtnl.call("list devices", "link", "dump")
            self._links = {link.name: link for link in map(read_link, messages)}
            self._complete = True
        return list(self._links.values())

    def marked(self, what: str) -> Iterator[tuple[Link, Mark]]:
        """Yield our devices of one purpose."""
        for link in self.all():
            if (mark := link.mark) and mark.what == what:
                yield link, mark

    def find(self, name: str) -> Link | None:
        if name not in self._links and not self._complete:
            with _ignored(errno.ENODEV):
                self._refresh(name)
        return self._links.get(name)

    def get(self, name: str) -> Link:
        """Return a device. Raises OSError (ENODEV) when there is none of that name."""
        if link := self.find(name):
            return link
        raise OSError(errno.ENODEV, f"no interface {name} in namespace {self.netns or 'of ours'}")

    def name_of(self, index: int) -> str:
        """Return the name of a device by index, "" when there is none."""
        for link in self._links.values():
            if link.index == index:
                return link.name
        if index and not self._complete:
            with _ignored(errno.ENODEV):
                [message] = self.rtnl.call(f"read device {index}", "link", "get", index=index)
                return self._keep(message).name
        return ""

    def reload(self, name: str) -> Link:
        """Read a device again after somebody else created or changed it."""
        return self._refresh(name)

    def forget(self, name: str) -> None:
        """Take note that a device went with another one."""
        if link := self._links.pop(name, None):
            self._forget(link.index)

    def create(self, name: str, kind: str, **attributes: Unpack[Creation]) -> Link:
        """Create a device. Its group shows that it is ours, also before it has a mark."""
        _check_names(attributes, Creation)
        self._must_write(f"{name}: missing")
        wanted = {"kind": kind, "group": DEVICE_GROUP, **attributes}
        self.rtnl.call(f"create {kind} {name}", "link", "add", ifname=name, **wanted)
        return self._refresh(name)

    def delete(self, name: str) -> None:
        """Delete a device, and with a veth its other end. Do nothing if it does not exist."""
        if (link := self.find(name)) and self._writes(f"{name}: has to go"):
            self.forget(name)
            for other in list(self._links.values()):
                if is_pair(link, other):
                    self.forget(other.name)
            with _ignored(errno.ENODEV):
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
            self._forget(link.index)  # joining a VRF cycles the device
        if attributes and self._writes(f"{name}: {', '.join(attributes)}"):
            text = f"change {name} ({', '.join(attributes)})"
            self.rtnl.call(text, "link", "set", index=link.index, **attributes)
            return self._refresh(name)
        return link

    def set_up(self, name: str, up: bool = True) -> Link:
        return self._set_flag(name, IFF_UP, up, "up")

    def set_noarp(self, name: str, on: bool = True) -> Link:
        return self._set_flag(name, IFF_NOARP, on, "noarp")

    def set_promiscuous(self, name: str, on: bool = True) -> Link:
        return self._set_flag(name, IFF_PROMISC, on, "promisc")

    def rename(self, name: str, new: str) -> Link:
        """Give a device another name; it ends up down, since only then it may be renamed."""
        self._must_write(f"{name}: name")
        link = self.set_up(name, False)
        self.rtnl.call(f"rename {name} to {new}", "link", "set", index=link.index, ifname=new)
        del self._links[name]
        return self._refresh(new)

    def set_info(self, name: str, **wanted: Unpack[Info]) -> Link:
        """Set attributes of the device's kind, by pyroute2's names (`br_ageing_time`).

        What this kernel does not show it does not have: bridges without VLANs, for one.
        """
        link = self.get(name)
        _check_names(wanted, Info)
        have = {key: link.info.get(f"IFLA_{key.upper()}") for key in wanted}
        asked = {k: v for k, v in wanted.items() if have[k] not in (None, v)}
        if asked and self._writes(f"{name}: {', '.join(asked)}"):
            text = f"change {name} ({', '.join(asked)})"
            self.rtnl.call(text, "link", "set", index=link.index, kind=link.kind, **asked)
            return self._refresh(name)
        return link

    def set_port(self, name: str, *, learning: int, neigh_suppress: int) -> Link:
        """Set attributes of a bridge's port."""
        link = self.get(name)
        wanted = {"learning": learning, "neigh_suppress": neigh_suppress}
        have = {key: link.port.get(f"IFLA_BRPORT_{key.upper()}") for key in wanted}
        asked = {key: value for key, value in wanted.items() if have[key] != value}
        if asked and self._writes(f"{name}: {', '.join(asked)}"):
            text = f"change bridge port {name} ({', '.join(asked)})"
            self.rtnl.call(text, "brport", "set", index=link.index, **asked)
            return self._refresh(name)
        return link

    def move(self, name: str, there: Links, new: str = "") -> Link:
        """Give a device to another namespace; it arrives down, without addresses, as `new`."""
        link = self.get(name)
        self._must_write(f"{name}: namespace")
        fd = os.open(path_of(there.netns), os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = f"move {name} to namespace {there.netns or 'of ours'}"
            as_new = {"ifname": new} if new else {}
            self.rtnl.call(text, "link", "set", index=link.index, net_ns_fd=fd, **as_new)
        finally:
            os.close(fd)
        del self._links[name]
        self._forget(link.index)
        return there._refresh(new or name)

    def addresses(self, name: str) -> list[Address]:
        """Return a device's lasting addresses, link-local ones too, in the kernel's order."""
        index = self.get(name).index
        if index not in self._addresses:
            text, of_any = f"read the addresses of {name}", {"family": socket.AF_UNSPEC}
            messages = self.rtnl.call(text, "addr", "dump", index=index, **of_any, **BY_KERNEL)
            self._addresses[index] = [a for a in map(read_address, messages) if a]
        return list(self._addresses[index])

    def forget_addresses(self, name: str) -> None:
        """Read a device's addresses again when they are asked for next."""
        self._forget(self.get(name).index)

    def set_addresses(
        self, name: str, wanted: Sequence[Address], ours: Sequence[Address] = ()
    ) -> None:
        """Add the missing addresses of `wanted`; then remove those of `ours` that are not wanted.

        IPv6 addresses skip duplicate detection: twins and anycast gateways are duplicates.
        """
        have = self.addresses(name)
        for address in wanted:
            if address not in have:
                self._address("add", name, address)
        for address in ours:
            if address in have and address not in wanted:
                self._address("del", name, address)

    def ensure_link_local(self, name: str) -> None:
        """Add the fe80 address that follows from the device's MAC, unless it has one."""
        if not any(is_link_local(address) for address in self.addresses(name)):
            self._address("add", name, link_local(self.get(name).mac))

    def sysctl(self, settings: Mapping[str, int]) -> list[str]:
        """Make settings so; return the keys that this kernel does not have."""
        if not self.dry:
            return sysctls.ensure(self.netns, settings)
        self.changes += sysctls.differing(self.netns, settings)
        return []

    def _writes(self, change: str) -> bool:
        """Note a change; return whether to carry it out."""
        self.changes.append(change)
        return not self.dry

    def end_dry_run(self, change: str) -> None:
        """Note a change, and end a dry run here: the following steps would write."""
        if self.dry:
            self._must_write(change)

    def _must_write(self, change: str) -> None:
        if not self._writes(change):
            raise DryRunEnds(change)

    def _address(self, command: str, name: str, address: Address) -> None:
        link = self.get(name)
        if not self._writes(f"{name}: address {address}"):
            return
        flags = {"flags": IFA_F_NODAD} if len(address.ip) == 16 and command == "add" else {}
        family = socket.AF_INET6 if len(address.ip) == 16 else socket.AF_INET
        text = str(ipaddress.ip_address(address.ip))
        with _ignored(errno.EEXIST if command == "add" else errno.EADDRNOTAVAIL):
            self.rtnl.call(
                f"{command} address {address} on {name}",
                "addr",
                command,
                index=link.index,
                family=family,
                address=text,
                prefixlen=address.length,
                **flags,
            )
        self._forget(link.index)

    def _set_flag(self, name: str, flag: int, on: bool, text: str) -> Link:
        link = self.get(name)
        if bool(link.flags & flag) == on or not self._writes(f"{name}: {text}"):
            return link
        wanted = {"flags": flag if on else 0, "change": flag}
        self.rtnl.call(f"change {name} (flags)", "link", "set", index=link.index, **wanted)
        self._forget(link.index)
        return self._refresh(name)

    def _refresh(self, name: str) -> Link:
        messages = self.rtnl.call(f"read {name}", "link", "get", ifname=name)
        return self._keep(messages[0])

    def _keep(self, message: Any) -> Link:  # noqa: ANN401  pyroute2 is not typed
        link = read_link(message)
        self._links[link.name] = link
        return link

    def _forget(self, index: int) -> None:
        self._addresses.pop(index, None)


def _check_names(given: Mapping[str, object], names: type[Info]) -> None:
    """Refuse attributes that pyroute2 would drop silently. Raises TypeError."""
    if unknown := given.keys() - names.__annotations__.keys():
        raise TypeError(f"unknown attributes: {', '.join(sorted(unknown))}")


class Unrepairable(str):
    """A fault that cannot be put right: making the device would fail with this reason."""


class Dry(Protocol):
    """A handle that notes what it would write."""

    changes: list[str]


def faults(handles: Iterable[Dry], work: Callable[[], object]) -> list[str]:
    """Return what `work` would change through dry handles; an error is a fault as well."""
    handles = list(handles)
    for handle in handles:
        handle.changes.clear()
    found: list[str] = []
    try:
        work()
    except DryRunEnds:
        pass  # noted already
    except (Unavailable, OSError) as error:
        found.append(Unrepairable(getattr(error, "strerror", None) or str(error)))
    return [change for handle in handles for change in handle.changes] + found


@contextmanager
def _ignored(number: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != number:
            raise
