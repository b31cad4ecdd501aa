"""Copy carriers between NICs, host legs and wires, and react to the death and return of grout.

The watch runs beside grout and outlives it: grout does not copy carriers, and traffic that tc sends
to a dead or hanging grout would be lost. It is level-triggered: after any change of a link it
checks all links, and corrects those that differ.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from datapaths.base import DatapathError
from datapaths.grout.ports.deathwatch import Deathwatch
from datapaths.grout.ports.devices import TAP
from datapaths.grout.ports.names import wire_of
from datapaths.grout.ports.splice import release
from datapaths.linux import netns
from datapaths.linux.filters import Filters
from datapaths.linux.linkinfo import Link
from datapaths.linux.links import Links
from datapaths.linux.marks import Mark
from datapaths.linux.punt import ALL_FRAMES
from datapaths.linux.twins import device_of as twin_of

log = logging.getLogger(__name__)

RTMGRP_LINK = 1  # linux/rtnetlink.h
AGAIN_S = 0.5  # between two attempts while grout is not running
ROUND_S = 10.0
READ_BYTES = 1 << 16


class Watch:
    """Keeps carriers and tc filters of all ports correct, in grout's and the kernel's namespace.

    `forwarding` is the kernel datapath's namespace, "" when only grout's exists. `silent` returns
    why grout does not answer, "" while it does. Call `wake` when that changes. `runs` returns False
    as soon as grout begins to end.
    """

    def __init__(
        self,
        locate: Callable[[], str],
        forwarding: str,
        silent: Callable[[], str] = str,
        runs: Callable[[], bool] = lambda: True,
    ) -> None:
        self._locate = locate
        self._forwarding = forwarding
        self._silent = silent
        self._death = Deathwatch(forwarding, runs)
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Look now."""
        self._changed.set()

    async def run(self) -> None:
        """Run until cancelled, across restarts of grout."""
        with self._death.watching():
            while True:
                try:
                    home = await asyncio.to_thread(self._locate)
                    with _held(home) as held:
                        await self._follow(held)
                except (OSError, DatapathError) as error:
                    log.debug("cannot watch links: %s", error)
                await asyncio.sleep(AGAIN_S)

    async def _follow(self, home: str) -> None:
        """Watch until grout runs in another namespace. `home` stays valid when grout dies."""
        changed = self._changed
        with ExitStack() as stack:
            for space in {home, self._forwarding or home}:
                stack.enter_context(_listening(space, changed))
            while True:
                changed.clear()
                await asyncio.to_thread(self.look, home)
                with suppress(TimeoutError):
                    async with asyncio.timeout(ROUND_S):
                        await changed.wait()
                    continue
                with suppress(OSError, DatapathError):  # grout died: go on watching
                    if not netns.same(home, await asyncio.to_thread(self._locate)):
                        return

    def look(self, home: str) -> None:
        """Correct carriers and tc filters by the present links. Blocks."""
        with Links(home) as links:
            for link, mark in links.marked("device"):
                if wire := mark.text("wire"):
                    _follow_carrier(links, link, links.find(wire))
            for link, mark in links.marked("twin"):
                _rewire(links, link, links.find(mark.text("port")))
        if self._forwarding and not netns.same(home, self._forwarding):
            with Links(self._forwarding) as links:
                shared = [link for link, mark in links.marked("port") if _is_shared(mark)]
                self._death.ports = {link.name: link.index for link in shared}
                for link in shared:
                    _follow_shared(links, link, self._silent())


def _follow_carrier(links: Links, device: Link, wire: Link | None) -> None:
    """Give a wire its device's carrier; set the device down if the wire was removed with grout."""
    if wire and device.up and wire.up != device.carrier:
        log.info("%s: carrier %s", device.name, "is back" if device.carrier else "lost")
        links.set_up(wire.name, device.carrier)
    elif not wire and device.up:
        log.warning("%s: its wire to grout is gone; setting it down", device.name)
        links.set_up(device.name, False)


def _rewire(links: Links, twin: Link, tap: Link | None) -> None:
    """Join a port's new TAP to its twin: grout creates new TAPs at each start.

    `Twins` joins the other direction, as it knows what a twin may send.
    """
    if not tap or tap.kind != TAP:
        return
    with Filters(links.netns) as filters:
        if not filters.has(ALL_FRAMES, tap.index, twin.index):
            log.info("%s: joined to %s", tap.name, twin.name)
            filters.detect(tap.index, twin.index)
    links.set_up(twin.name, tap.up and tap.carrier)


def _is_shared(mark: Mark) -> bool:
    return mark.text("wiring") == "shared"


def _follow_shared(links: Links, port: Link, silent: str) -> None:
    why = silent if links.find(wire_of(port.name)) else "its wire to grout is gone"
    if why and release(links.netns, port.name):
        log.warning("%s: %s; the kernel forwards its traffic again", port.name, why)
    if links.find(twin := twin_of(port.name)):
        links.set_up(twin, port.up and port.carrier)


@contextmanager
def _held(space: str) -> Iterator[str]:
    """Hold a namespace open, under a path that outlives the process through which it was found."""
    fd = os.open(netns.path_of(space), os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


@contextmanager
def _listening(space: str, changed: asyncio.Event) -> Iterator[None]:
    """Set an event whenever a link of a namespace changes."""
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    with netns.entered(space):
        sock = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)

    def read() -> None:
        with suppress(OSError):  # on ENOBUFS too, the answer is to look at all links
            while sock.recv(READ_BYTES):
                pass
        changed.set()

    loop = asyncio.get_running_loop()
    with sock:
        sock.bind((0, RTMGRP_LINK))
        loop.add_reader(sock, read)
        try:
            yield
        finally:
            loop.remove_reader(sock)
