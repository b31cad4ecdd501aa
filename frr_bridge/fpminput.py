"""Input from zebra over FPM: which process may connect, in which order to process, what to record.

zebra writes to its kernel and to FPM over two sockets. A route may rely on a device or a nexthop
that it wrote to the kernel before. So pending netlink messages are processed ahead of FPM bytes.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from dualpath.rpc.peers import owner_of_peer
from frr_bridge.bridge import Bridge
from frr_bridge.recording.tape import BEHIND, Tape
from frr_bridge.rights import Rights
from frr_bridge.server import Caller, FpmServer
from frr_bridge.vty import Vty
from frr_bridge.wire.fpm import Frames

_ROOT = 0  # this user may do anything on this machine, and some installations run FRR as this user


class FpmInput:
    """Feeds the bridge with the frames of the one connection from zebra."""

    def __init__(
        self,
        bridge: Bridge,
        zebra: Vty,
        rights: Callable[[], Rights],
        tape: Tape,
        *,
        in_order: Callable[[], bool],
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        flush: Callable[[], None],
    ) -> None:
        self._bridge = bridge
        self._zebra = zebra
        self._rights = rights
        self._tape = tape
        self._in_order = in_order
        self._flush = flush
        self._ordered = True  # all netlink messages that precede these bytes were processed
        self.server = FpmServer(
            on_connected=on_connected,
            on_frames=self._frames,
            on_lost=on_lost,
            on_bytes=self._bytes,
            who=self._who,
        )

    def end_session(self) -> None:
        """End the session soon, not now: its bytes may be in the middle of processing."""
        asyncio.get_running_loop().call_soon(self.server.lose)

    def _who(self, client: socket.socket) -> Caller:
        """Find out whether the peer is zebra: another daemon of FRR could connect first."""
        owner = owner_of_peer(client)
        if owner is None:
            return Caller.UNKNOWN
        if owner.uid not in (self._rights().uid, _ROOT):
            return Caller.OTHER
        held = self._zebra.holds(owner.inode) if self._zebra.connect() else None
        if held is None:  # zebra has no vty yet, or we may not see its descriptors
            return Caller.UNKNOWN
        return Caller.ZEBRA if held else Caller.OTHER

    def _bytes(self, tail: bytes, data: bytes) -> None:
        """Process the netlink messages that zebra sent before these bytes; record the bytes."""
        self._ordered = self._in_order()
        if data:
            if not self._ordered:
                self._tape.mark(BEHIND)
            self._tape.fpm(tail, data)

    def _frames(self, frames: Frames) -> None:
        self._bridge.receive_frames(frames, in_order=self._ordered)
        self._flush()
