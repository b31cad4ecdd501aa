"""Hears ARP and neighbour discovery of a whole namespace, as packet sockets see them: before tc."""

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
PAUSE_S = 0.02  # after so many: who floods a segment with ARP gets 5 % of a CPU at the most
FRAME_BYTES = 256  # all that is read of one

Frame = tuple[bytes, tuple[str, int, int, int, bytes]]
"""What was heard, and packet(7)'s address of it, which begins with the name of the device."""


def open_ear(netns: str) -> socket.socket:
    """Return a socket that hears announcements. Raises OSError."""
    # It hears all protocols for a moment, as only a device by name could be bound to later.
    with entered(netns):
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        ear = socket.socket(socket.AF_PACKET, kind, socket.htons(ETH_P_ALL))
    ear.setblocking(False)
    try:
        attach_filter(ear, socket_filter())
    except OSError:
        ear.close()
        raise
    return ear


async def hear(ear: socket.socket) -> list[Frame]:
    """Wait for a frame; return it and those behind it."""
    frames: list[Frame] = [await asyncio.get_running_loop().sock_recvfrom(ear, FRAME_BYTES)]
    while len(frames) < FRAMES:
        try:
            frames.append(ear.recvfrom(FRAME_BYTES))
        except BlockingIOError:
            break
    return frames


def attach_filter(sock: socket.socket, program: list[tuple[int, int, int, int]]) -> None:
    """Let through only what a classic BPF program accepts."""
    code = np.array(program, dtype=[("code", "=u2"), ("t", "u1"), ("f", "u1"), ("k", "=u4")])
    pointer = struct.pack("@HP", len(program), code.ctypes.data)  # struct sock_fprog
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, pointer)
