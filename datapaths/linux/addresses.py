"""All addresses of an interface, borrowed ones too, wherever of some namespaces it is now."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Sequence
from contextlib import closing, nullcontext

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from datapaths.linux.netns import entered, exists

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def addresses_of(name: str, where: Sequence[str]) -> list[Interface]:
    """Return the addresses in the kernel's order, from the first namespace that has the interface.

    Needs no rights for the namespace of this process. Raises OSError when none has the interface.
    """
    for netns in dict.fromkeys(where):
        if not exists(netns):
            continue
        with entered(netns) if netns else nullcontext():
            ipr = IPRoute(strict_check=True)  # strict: the kernel heeds a dump's filter
        with closing(ipr):
            if index := _index(ipr, name):
                return _read(ipr, index)
    raise OSError(errno.ENODEV, "there is no such interface")


def _index(ipr: IPRoute, name: str) -> int:
    try:
        [message] = ipr.link("get", ifname=name)
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return 0
        raise OSError(error.code, str(error)) from None
    index: int = message["index"]
    return index


def _read(ipr: IPRoute, index: int) -> list[Interface]:
    dump = {"family": socket.AF_UNSPEC, "index": index, "dump_filter": lambda _: True}
    found: list[Interface] = []
    for message in ipr.addr("dump", **dump):
        attributes = dict(message["attrs"])
        text = attributes.get("IFA_LOCAL") or attributes["IFA_ADDRESS"]
        found.append(ipaddress.ip_interface(f"{text}/{message['prefixlen']}"))
    return found
