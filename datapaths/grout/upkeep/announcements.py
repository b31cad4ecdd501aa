"""Receive announcements of local hosts (ARP, IPv6 ND), for `picture.takeovers`.

If a remote MAC moved here, grout learns it from the repeated frame. A host announces itself once,
and a burst of frames may be lost before grout: of 200 hosts at once, grout 0.19.3 learned 127. So a
frame is repeated until grout has learned its MAC.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from ipaddress import ip_address

from datapaths.base import Unsupported
from datapaths.grout.client import GroutClient
from datapaths.grout.ports.taps import Taps
from datapaths.grout.upkeep.moves import relearn
from datapaths.linux.neighborsocket import FRAMES, PAUSE_S, open_neighbor_socket, receive
from datapaths.linux.wire.announcements import Announcement, decode

log = logging.getLogger(__name__)

AGAIN_S = 5.0  # after a failure
REPEAT_S = 0.05  # until grout should have learned a MAC; doubled each time
REPEATS = 7  # of a frame, within six seconds
TOGETHER = 32  # frames sent without a pause
AWAITED = 4096  # most MACs whose frames are kept


async def hear_hosts(client: GroutClient, home: Callable[[], str]) -> None:
    """Let hosts take over remote addresses and MACs as soon as they announce them.

    `home` returns the namespace that grout runs in.
    """
    while True:
        try:
            where = await asyncio.to_thread(home)
            with open_neighbor_socket(where) as sock, Taps(where) as wires:
                repeats = Repeats(client.observer.bridges.is_awaited, wires.send)
                repeating = asyncio.create_task(repeats.run())
                try:
                    await _receive(client, sock, repeats)
                finally:
                    repeating.cancel()
                    await asyncio.wait([repeating])
        except (OSError, Unsupported) as error:
            log.debug("cannot receive announcements: %s; retrying", error)
        await asyncio.sleep(AGAIN_S)


class Repeats:
    """Sends frames to grout, and repeats each until its MAC is no longer `awaited`."""

    def __init__(
        self, awaited: Callable[[int, bytes], bool], send: Callable[[str, bytes], None]
    ) -> None:
        self._awaited = awaited
        self._send = send
        self._kept: dict[tuple[int, bytes], tuple[str, bytes, int, float]] = {}

    @property
    def waiting(self) -> int:
        """The number of MACs whose frames are kept."""
        return len(self._kept)

    def send(self, bridge: int, mac: bytes, wire: str, frame: bytes) -> None:
        """Send a frame of a host; keep it if its MAC is awaited."""
        self._send(wire, frame)
        if self._awaited(bridge, mac) and len(self._kept) < AWAITED:
            due_s = asyncio.get_running_loop().time() + REPEAT_S
            self._kept.setdefault((bridge, mac), (wire, frame, REPEATS, due_s))

    async def run(self) -> None:
        while True:
            await asyncio.sleep(REPEAT_S)
            sent = 0
            for key in list(self._kept):
                sent += self._look(key)
                if sent >= TOGETHER:
                    break

    def _look(self, key: tuple[int, bytes]) -> bool:
        """Repeat a frame if it is time; forget it if grout has learned the MAC."""
        wire, frame, left, due_s = self._kept[key]
        now_s = asyncio.get_running_loop().time()
        if not left or not self._awaited(*key):
            del self._kept[key]
            return False
        if now_s < due_s:
            return False
        self._send(wire, frame)
        wait_s = REPEAT_S * 2 ** (REPEATS - left + 1)
        del self._kept[key]
        self._kept[key] = wire, frame, left - 1, now_s + wait_s  # behind the others
        return True


async def _receive(client: GroutClient, sock: socket.socket, repeats: Repeats) -> None:
    while True:
        frames = await receive(sock)
        for frame, source in frames:
            heard = decode(frame)
            # Nearly no announcement is a takeover, so most do not wait for the turn.
            if heard and client.observer.takeovers.find(source[0], heard):
                async with client.turn:
                    await _take_over(client, source[0], heard, frame, repeats)
        if len(frames) == FRAMES:
            await asyncio.sleep(PAUSE_S)


async def _take_over(
    client: GroutClient, device: str, heard: Announcement, frame: bytes, repeats: Repeats
) -> None:
    """Remove what conflicts with an announcement, and send grout the frame once more."""
    takeover = client.observer.takeovers.find(device, heard)
    if not takeover:
        return
    if takeover.entry:
        await relearn(client, takeover.entry)
    if takeover.neighbor:
        address = ip_address(heard.address)
        log.info("%s moved here from a VTEP: %s announced it", address, heard.mac.hex(":"))
        await client.release_neighbor(takeover.neighbor)
    if takeover.wire:
        repeats.send(takeover.bridge, heard.mac, takeover.wire, frame)
