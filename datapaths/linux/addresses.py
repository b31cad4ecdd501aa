"""Read all addresses of an interface, in the first of some namespaces that has it."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Sequence
from contextlib import nullcontext

from datapaths.linux.netns import entered, exists
from datapaths.linux.rtnl import BY_KERNEL, Rtnl

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def addresses_of(name: str, where: Sequence[str]) -> list[Interface]:
    """Return the addresses in the kernel's order, from the first namespace that has the interface.

    The namespace of this process ("") needs no privileges. Raises OSError (ENODEV) if no namespace
    has the interface.
    """
    for netns in dict.fromkeys(where):
        if not exists(netns):
            continue
        with entered(netns) if netns else nullcontext():
            rtnl = Rtnl()
        with rtnl:
            if index := _index(rtnl, name):
                return _read(rtnl, name, index)
    raise OSError(errno.ENODEV, "no such interface")


def _index(rtnl: Rtnl, name: str) -> int:
    try:
        [message] = rtnl.call(f"read {name}", "link", "get", ifname=name)
    except OSError as error:
        if error.errno == errno.ENODEV:
            return 0
        raise
    index: int = message["index"]
    return index


def _read(rtnl: Rtnl, name: str, index: int) -> list[Interface]:
    dump = {"family": socket.AF_UNSPEC, "index": index, **BY_KERNEL}
    found: list[Interface] = []
    for message in rtnl.call(f"read the addresses of {name}", "addr", "dump", **dump):
        attributes = dict(message["attrs"])
        text = attributes.get("IFA_LOCAL") or attributes["IFA_ADDRESS"]
        found.append(ipaddress.ip_interface(f"{text}/{message['prefixlen']}"))
    return found
