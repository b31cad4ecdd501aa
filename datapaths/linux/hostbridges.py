"""Notice hosts that leave with their port of a host's bridge, and MACs that it learns behind a leg.

A leg ends in a bridge of the host, and VMs or pods are behind other ports of that bridge. If such a
port goes down or is removed, its hosts are gone, but the leg stays up. So the forwarding bridge
would keep their MACs until these age, and FRR would advertise them meanwhile:

    host's bridge        port tap7 loses its carrier: the kernel flushes its MACs (RTM_DELNEIGH)
    forwarding bridge    leg pe-e-110 is up: all MACs stay; `left` lets the datapath remove them

The kernel also deletes a MAC that aged. That host is only silent, so its port decides: it is asked
for after the notification, because a port's own notification comes before the flush for `ip link
set down`, and after it for a lost carrier.

Rejected: a table of all MACs by port, which costs memory for every host. The age in the
notification (NDA_CACHEINFO): a bridge flushes early after a change of the spanning tree, too.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import NamedTuple

from datapaths.linux import netns
from datapaths.linux.wire.links import IFINFOMSG, get_request
from dualpath.netlink import numbers as n
from dualpath.netlink.message import DecodeError, attribute, messages, request
from dualpath.netlink.neighborcolumns import NDMSG
from dualpath.netlink.socket import Notifications, Overrun, Requests, open_socket

log = logging.getLogger(__name__)

LOOK_S = 1.0  # until a new namespace is watched, and a deleted one is released
READS = 256  # notifications at once
PAUSE_S = 0.005  # after so many: a host that invents MACs takes no more time than other tasks
MOST = 1 << 16  # deleted MACs that are kept until all notifications are read


class Bridge(NamedTuple):
    """A bridge of a host."""

    netns: str
    name: str


class Leg(NamedTuple):
    """A host leg: the bridge that it ends in, and the device that is its port there."""

    bridge: Bridge
    end: str


@dataclass(slots=True)
class Flushes:
    """The MACs that the bridges of a namespace deleted or learned, with the port. Pure."""

    deleted: dict[tuple[int, bytes], int] = field(default_factory=dict)  # by bridge and MAC
    learned: dict[tuple[int, bytes], int] = field(default_factory=dict)

    def feed(self, data: bytes) -> None:
        """Process notifications. A MAC that is learned again was not lost. Raises DecodeError."""
        for message in messages(data):
            if message.type not in (n.RTM_NEWNEIGH, n.RTM_DELNEIGH):
                continue
            family, _, _, port, _, _, _ = message.fixed(NDMSG)
            if family != socket.AF_BRIDGE:
                continue
            got = message.attributes(NDMSG)
            master, mac = got.u32(n.NDA_MASTER), got.raw(n.NDA_LLADDR)
            if not master or len(mac) != 6:
                continue
            now, before = self.deleted, self.learned
            if message.type == n.RTM_NEWNEIGH:
                now, before = before, now
            now[master, mac] = port
            before.pop((master, mac), None)

    def take(self, carries: Callable[[int, int], bool]) -> Iterator[tuple[int, list[bytes]]]:
        """Yield the bridges and MACs whose port does not carry frames for its bridge any more."""
        deleted, self.deleted = self.deleted, {}
        ports = {(port, bridge) for (bridge, _), port in deleted.items()}
        down = {pair for pair in ports if not carries(*pair)}
        found: dict[int, list[bytes]] = {}
        for (bridge, mac), port in deleted.items():
            if (port, bridge) in down:
                found.setdefault(bridge, []).append(mac)
        yield from found.items()

    def take_learned(self) -> Iterator[tuple[int, int, list[bytes]]]:
        """Yield bridges, ports and the MACs that were learned behind them."""
        learned, self.learned = self.learned, {}
        found: dict[tuple[int, int], list[bytes]] = {}
        for (bridge, mac), port in learned.items():
            found.setdefault((bridge, port), []).append(mac)
        for (bridge, port), macs in found.items():
            yield bridge, port, macs


class HostBridges:
    """Watches the namespaces of host bridges until cancelled.

    `bridges` returns the bridges that have a leg. `left` is called with MACs that left one of them,
    and `learned` with MACs that one of them learned, and their port, which may be a leg's end.
    """

    def __init__(
        self,
        bridges: Callable[[], Collection[Bridge]],
        left: Callable[[Bridge, Sequence[bytes]], None],
        learned: Callable[[Leg, Sequence[bytes]], None] | None = None,
    ) -> None:
        self._bridges = bridges
        self._left = left
        self._learned = learned
        self._watched: dict[str, _Watched] = {}

    async def run(self) -> None:
        try:
            while True:
                self._look()
                await asyncio.sleep(LOOK_S)
        finally:
            for name in list(self._watched):
                self._drop(name)

    def _look(self) -> None:
        """Watch the namespaces of the present bridges. An open socket keeps a namespace alive."""
        wanted = {bridge.netns for bridge in self._bridges()}
        for name, watched in list(self._watched.items()):
            if name not in wanted or netns.identity(name) != watched.identity:
                self._drop(name)
        for name in wanted - self._watched.keys():
            try:
                watched = _Watched(name)
            except OSError as error:
                log.debug("cannot watch the bridges of namespace %s: %s", name, error)
                continue
            self._watched[name] = watched
            self._listen(name, watched)

    def _drop(self, name: str) -> None:
        watched = self._watched.pop(name)
        asyncio.get_running_loop().remove_reader(watched.listening)
        watched.close()

    def _listen(self, name: str, watched: _Watched) -> None:
        if self._watched.get(name) is watched:
            asyncio.get_running_loop().add_reader(watched.listening, self._read, name, watched)

    def _read(self, name: str, watched: _Watched) -> None:
        datagrams: list[bytes] = []
        try:
            datagrams = watched.listening.datagrams(READS)
            watched.flushes.feed(b"".join(datagrams))
        except (Overrun, DecodeError) as error:
            # The probes of silent hosts find what was missed.
            log.debug("namespace %s: notifications of its bridges were lost (%s)", name, error)
        if len(datagrams) == READS:
            loop = asyncio.get_running_loop()
            loop.remove_reader(watched.listening)
            loop.call_later(PAUSE_S, self._listen, name, watched)
            if len(watched.flushes.deleted) + len(watched.flushes.learned) < MOST:
                return  # the next ones may say that a MAC is learned again
        self._pass_on(name, watched)

    def _pass_on(self, name: str, watched: _Watched) -> None:
        known = {bridge.name for bridge in self._bridges() if bridge.netns == name}
        for index, macs in watched.flushes.take(watched.carries):
            bridge = watched.name_of(index)
            if bridge in known:
                self._left(Bridge(name, bridge), macs)
        for index, port, macs in watched.flushes.take_learned():
            if not self._learned:
                break
            bridge = watched.name_of(index)
            if bridge in known:
                self._learned(Leg(Bridge(name, bridge), watched.name_of(port)), macs)


def unlearn(leg: Leg, macs: Iterable[bytes]) -> None:
    """Let a host's bridge forget MACs that it learned behind a leg. Blocks. Raises OSError.

    Those that it has behind another port stay.
    """
    with netns.entered(leg.bridge.netns), Requests(open_socket()) as asking:
        index = asking.ask(get_request(leg.end)).fixed(IFINFOMSG)[3]
        for mac in macs:
            asking.errno_of(_forgotten(index, mac))  # ENOENT: it is behind another port


def _forgotten(index: int, mac: bytes) -> bytes:
    body = NDMSG.pack(n.AF_BRIDGE, 0, 0, index, 0, n.NTF_MASTER, 0)
    return request(n.RTM_DELNEIGH, 0, body + attribute(n.NDA_LLADDR, mac))


class _Link(NamedTuple):
    name: str
    running: bool
    master: int


class _Watched:
    """One namespace: a socket for notifications, one for questions, and what waits."""

    def __init__(self, name: str) -> None:
        self.flushes = Flushes()
        self.identity = netns.identity(name)
        with netns.entered(name), ExitStack() as opened:
            listening = opened.enter_context(closing(open_socket()))
            asking = opened.enter_context(closing(open_socket()))
            self.listening = Notifications(listening, (n.RTNLGRP_NEIGH,))
            self._asking = Requests(asking)
            opened.pop_all()

    def close(self) -> None:
        self.listening.close()
        self._asking.close()

    def carries(self, port: int, bridge: int) -> bool:
        """Return whether a port of a bridge is up, with a carrier, or nothing is known about it."""
        try:
            link = self._link(port)
        except OSError as error:
            return error.errno != errno.ENODEV
        return link.running and link.master == bridge

    def name_of(self, index: int) -> str:
        """Return the name of a device, "" if nothing is known about it."""
        try:
            return self._link(index).name
        except OSError:
            return ""

    def _link(self, index: int) -> _Link:
        """Return a device as it is now. Raises OSError, ENODEV if there is none."""
        answer = self._asking.ask(get_request(index=index))
        try:
            _, _, _, _, flags, _ = answer.fixed(IFINFOMSG)
            got = answer.attributes(IFINFOMSG)
        except DecodeError as error:
            raise OSError(errno.EBADMSG, f"malformed answer: {error}") from error
        running = n.IFF_UP | n.IFF_LOWER_UP
        return _Link(got.text(n.IFLA_IFNAME), flags & running == running, got.u32(n.IFLA_MASTER))
