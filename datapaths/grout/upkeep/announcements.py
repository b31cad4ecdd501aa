"""Receive announcements of local hosts (ARP, IPv6 ND), for `picture.takeovers`."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from ipaddress import ip_address

from datapaths.base import Unsupported
from datapaths.grout.client import GroutClient
from datapaths.grout.ports.taps import Taps
from datapaths.grout.upkeep.arrivals import Arrivals
from datapaths.grout.upkeep.moves import relearn
from datapaths.linux.neighborsocket import FRAMES, PAUSE_S, open_neighbor_socket, receive
from datapaths.linux.wire.announcements import Announcement, decode, unanswered

log = logging.getLogger(__name__)

AGAIN_S = 5.0  # after a failure


async def hear_hosts(client: GroutClient, home: Callable[[], str], arrivals: Arrivals) -> None:
    """Let hosts take over remote addresses as soon as they announce them.

    `home` returns the namespace that grout runs in. It tells `arrivals` which hosts grout answers.
    """
    while True:
        try:
            where = await asyncio.to_thread(home)
            with open_neighbor_socket(where) as sock, Taps(where) as wires:
                await _receive(client, sock, wires, arrivals)
        except (OSError, Unsupported) as error:
            log.debug("cannot receive announcements: %s; retrying", error)
        await asyncio.sleep(AGAIN_S)


async def _receive(
    client: GroutClient, sock: socket.socket, wires: Taps, arrivals: Arrivals
) -> None:
    while True:
        frames = await receive(sock)
        for frame, source in frames:
            heard = decode(frame)
            if heard and (port := client.observer.takeovers.answered(source[0], heard)):
                arrivals.answered(port, heard.mac)
            # Nearly no announcement is a takeover, so most do not wait for the turn.
            if heard and client.observer.takeovers.find(source[0], heard):
                async with client.turn:
                    await _take_over(client, source[0], heard, frame, wires)
        if len(frames) == FRAMES:
            await asyncio.sleep(PAUSE_S)


async def _take_over(
    client: GroutClient, device: str, heard: Announcement, frame: bytes, wires: Taps
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
        wires.send(takeover.wire, unanswered(frame))
