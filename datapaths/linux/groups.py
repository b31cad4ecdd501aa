"""Join multicast MACs on a device: it must accept them although no socket listens there."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from collections.abc import Iterable

from datapaths.linux.netns import entered

SIOCADDMULTI = 0x8931  # linux/sockios.h
IFREQ = struct.Struct("=16sH6s16x")  # linux/if.h struct ifreq: name, sockaddr of no family


def join(netns: str, device: str, macs: Iterable[bytes]) -> None:
    """Add MACs to a device's receive filter. The kernel drops them when the device moves."""
    with entered(netns):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        for mac in macs:
            _join(sock, IFREQ.pack(device.encode(), socket.AF_UNSPEC, mac))


def _join(sock: socket.socket, request: bytes) -> None:
    try:
        fcntl.ioctl(sock, SIOCADDMULTI, request)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a device without a filter accepts everything
            raise
