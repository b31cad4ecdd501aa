"""Receive ARP and neighbor discovery of a whole namespace with a packet socket, before tc."""

from __future__ import annotations

import asyncio
import socket
import struct

import numpy as np

from datapaths.linux.netns import entered
from datapaths.linux.wire.announcements import socket_filter

ETH_P_ALL = 3  # linux/if_ether.h
SO_ATTACH_FILTER = 26  # asm-generic/socket.h
FRAMES = 256  # in one go
PAUSE_S = 0.02  # after so many: a flood of ARP takes at most 5 % of a CPU
FRAME_BYTES = 256  # all that is read of one

Frame = tuple[bytes, tuple[str, int, int, int, bytes]]
"""A frame, and its packet(7) address, which begins with the name of the device."""


def open_neighbor_socket(netns: str) -> socket.socket:
    """Open a socket that receives announcements. Raises OSError."""
    # It receives every protocol until the filter is attached: a later bind takes a single device.
    with entered(netns):
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        sock = socket.socket(socket.AF_PACKET, kind, socket.htons(ETH_P_ALL))
    sock.setblocking(False)
    try:
        attach_filter(sock, socket_filter())
    except OSError:
        sock.close()
        raise
    return sock


async def receive(sock: socket.socket) -> list[Frame]:
    """Wait for a frame; return it and those that already wait behind it."""
    frames: list[Frame] = [await asyncio.get_running_loop().sock_recvfrom(sock, FRAME_BYTES)]
    while len(frames) < FRAMES:
        try:
            frames.append(sock.recvfrom(FRAME_BYTES))
        except BlockingIOError:
            break
    return frames


def attach_filter(sock: socket.socket, program: list[tuple[int, int, int, int]]) -> None:
    """Attach a classic BPF program; the socket receives only what it accepts."""
    code = np.array(program, dtype=[("code", "=u2"), ("t", "u1"), ("f", "u1"), ("k", "=u4")])
    pointer = struct.pack("@HP", len(program), code.ctypes.data)  # struct sock_fprog
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, pointer)
