"""Read and set the lasting addresses of one namespace's devices."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable, Sequence

from datapaths.linux.dryrun import Changes
from datapaths.linux.linkinfo import is_link_local, link_local, read_address
from datapaths.linux.linkreader import LinkReader, ignored
from datapaths.linux.rtnl import BY_KERNEL
from datapaths.linux.wire.links import addresses_request
from dualpath.model.links import Address

IFA_F_NODAD = 0x02  # linux/if_addr.h
RT_SCOPE_HOST = 254  # linux/rtnetlink.h
LOOPBACK = Address(bytes([127, 0, 0, 1]), 8)


class LinkAddresses:
    """The addresses of the devices that a LinkReader reads; cached like those."""

    def __init__(self, links: LinkReader, changes: Changes) -> None:
        self._links = links
        self._changes = changes
        self._addresses: dict[int, list[Address]] = {}  # by device index

    def load(self, indexes: Iterable[int]) -> None:
        """Read the addresses of all devices in one dump; `indexes` are those of the devices."""
        self._addresses = {index: [] for index in indexes}
        for message in self._links.dump("list addresses", addresses_request()):
            index, address = read_address(message)
            if address:
                self._addresses.setdefault(index, []).append(address)

    def of(self, name: str) -> list[Address]:
        """Return a device's lasting addresses, link-local ones too, in the kernel's order."""
        index = self._links.get(name).index
        if index not in self._addresses:
            found: list[Address] = []
            request = addresses_request(index=index)
            for message in self._links.dump(f"read the addresses of {name}", request):
                of, address = read_address(message)
                if of == index and address:
                    found.append(address)
            self._addresses[index] = found
        return list(self._addresses[index])

    def forget(self, index: int) -> None:
        """Drop a device's addresses from the cache: the next call of `of` reads them again."""
        self._addresses.pop(index, None)

    def set(self, name: str, wanted: Sequence[Address], ours: Sequence[Address] = ()) -> None:
        """Add the missing addresses of `wanted`, then remove those of `ours` that are not wanted.

        IPv6 addresses skip duplicate address detection: twins and anycast gateways are duplicates.
        """
        have = self.of(name)
        for address in wanted:
            if address not in have:
                self._write("add", name, address)
        for address in ours:
            if address in have and address not in wanted:
                self._write("del", name, address)

    def ensure_link_local(self, name: str) -> None:
        """Add the fe80 address that follows from the device's MAC, unless it has one."""
        if not any(is_link_local(address) for address in self.of(name)):
            self._write("add", name, link_local(self._links.get(name).mac))

    def ensure_loopback(self) -> None:
        """Add 127.0.0.1/8 to `lo` if it is missing; it is none of the lasting addresses."""
        index = self._links.get("lo").index
        dump = {"family": socket.AF_INET, **BY_KERNEL}
        messages = self._links.rtnl.call(
            "read the addresses of lo", "addr", "dump", index=index, **dump
        )
        if str(LOOPBACK) not in {f"{m.get_attr('IFA_LOCAL')}/{m['prefixlen']}" for m in messages}:
            self._write("add", "lo", LOOPBACK, scope=RT_SCOPE_HOST)

    def _write(self, command: str, name: str, address: Address, **more: int) -> None:
        index = self._links.get(name).index
        if not self._changes.allow(f"{name}: address {address}"):
            return
        flags = {"flags": IFA_F_NODAD} if len(address.ip) == 16 and command == "add" else {}
        family = socket.AF_INET6 if len(address.ip) == 16 else socket.AF_INET
        with ignored(errno.EEXIST if command == "add" else errno.EADDRNOTAVAIL):
            self._links.rtnl.call(
                f"{command} address {address} on {name}",
                "addr",
                command,
                index=index,
                family=family,
                address=str(ipaddress.ip_address(address.ip)),
                prefixlen=address.length,
                **flags,
                **more,
            )
        self.forget(index)
