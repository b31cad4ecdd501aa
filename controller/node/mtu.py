"""The MTU of the underlay: that of the node's narrowest NIC."""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Sequence

from datapaths.linux import netns
from dualpath.model.links import Port

_SIOCGIFMTU = 0x8921  # linux/sockios.h
_IFREQ = struct.Struct("=16si20x")  # struct ifreq with ifr_mtu in linux/if.h


def underlay_mtu(ports: Sequence[Port], where: Sequence[str]) -> int:
    """Return the narrowest NIC's MTU, in whichever of these namespaces it is; 0 without a NIC."""
    names = [port.name for port in ports if port.host is None and not port.loopback]
    found = [mtu for space in where for name in names if (mtu := _mtu(space, name))]
    return min(found, default=0)


def _mtu(namespace: str, name: str) -> int:
    try:
        with netns.entered(namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            answer = fcntl.ioctl(asking, _SIOCGIFMTU, _IFREQ.pack(name.encode(), 0))
    except OSError:  # no such namespace, or no such device in it
        return 0
    mtu: int = _IFREQ.unpack(answer)[1]
    return mtu
