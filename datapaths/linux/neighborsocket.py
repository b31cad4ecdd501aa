"""Receive the ARP and ND frames of a whole namespace with a packet socket, ahead of tc."""

from __future__ import annotations

import asyncio
import socket
import struct

import numpy as np

from datapaths.linux.netns import entered
from datapaths.linux.wire.announcements import socket_filter

ETH_P_ALL = 3  # linux/if_ether.h
SO_ATTACH_FILTER = 26  # asm-generic/socket.h
FRAMES = 256  # most frames of one `receive`
PAUSE_S = 0.02  # after FRAMES frames: a flood of ARP costs at most 5 % of a CPU
FRAME_BYTES = 256  # bytes read of each frame
RECEIVE_BUFFER = 4 << 20  # bytes: some 5,000 frames, of hosts that announce themselves at once
SO_RCVBUFFORCE = 33  # asm-generic/socket.h

Frame = tuple[bytes, tuple[str, int, int, int, bytes]]
"""A frame, and its packet(7) address; the address begins with the device's name."""


def open_neighbor_socket(netns: str) -> socket.socket:
    """Open a socket that receives announcements. Raises OSError."""
    # Created with ETH_P_ALL, not bound later: bind(2) would limit the socket to one device. So the
    # socket receives all frames until the filter is attached.
    with entered(netns):
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        sock = socket.socket(socket.AF_PACKET, kind, socket.htons(ETH_P_ALL))
    sock.setblocking(False)
    try:
        _enlarge(sock)
        attach_filter(sock, socket_filter())
    except OSError:
        sock.close()
        raise
    return sock


def _enlarge(sock: socket.socket) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:  # in a user namespace: as far as net.core.rmem_max allows
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


async def receive(sock: socket.socket) -> list[Frame]:
    """Wait for a frame; return it and those that are queued behind it."""
    frames: list[Frame] = [await asyncio.get_running_loop().sock_recvfrom(sock, FRAME_BYTES)]
    while len(frames) < FRAMES:
        try:
            frames.append(sock.recvfrom(FRAME_BYTES))
        except BlockingIOError:
            break
    return frames


def attach_filter(sock: socket.socket, program: list[tuple[int, int, int, int]]) -> None:
    """Attach a classic BPF program: the socket receives only frames that it accepts."""
    code = np.array(program, dtype=[("code", "=u2"), ("t", "u1"), ("f", "u1"), ("k", "=u4")])
    pointer = struct.pack("@HP", len(program), code.ctypes.data)  # struct sock_fprog
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, pointer)
