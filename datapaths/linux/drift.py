"""Tells that somebody changed a device or a setting of ours, in any of some namespaces.

The kernel notifies of links, addresses, tc filters and a few settings. Of most settings below
/proc/sys/net it does not, so twice a second all devices are dumped, settings and all, and
compared: one request, whose cost grows with the devices.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress

from datapaths.linux import sysctls
from datapaths.linux.netns import entered, path_of
from datapaths.linux.picture import SETTINGS, Picture
from datapaths.linux.wire import devices as wire
from dualpath.netlink.message import DecodeError, Message, messages
from dualpath.netlink.socket import Notifications, Overrun, Requests, open_socket

log = logging.getLogger(__name__)

POLL_S = 0.4
SHARE = 8  # a poll rests so many times the CPU time that it took
# linux/rtnetlink.h: RTNLGRP_LINK, TC, IPV4_IFADDR, IPV6_IFADDR, IPV4_NETCONF, IPV6_NETCONF
GROUPS = (1, 4, 5, 9, 24, 25)

Changed = Callable[[str, str], None]
"""Called with a namespace and the purpose of what changed in it: `marks.Mark.what`, or SETTINGS."""


class Drift:
    """Follows any number of namespaces. For one event loop; `changed` must not block."""

    def __init__(self, changed: Changed) -> None:
        self._changed = changed
        self._spaces: dict[int, _Space] = {}  # by inode
        self._paused = 0
        self._pauses = 0  # counts them
        self._cpu_s = 0.0  # of the last poll

    def watch(self, name: str, settings: Mapping[str, int] | None = None) -> None:
        """Follow a namespace too, and these settings of it. One that is not there is left out."""
        try:
            inode = os.stat(path_of(name)).st_ino
            if inode not in self._spaces:
                self._spaces[inode] = _Space(name, settings or {})
                if not self._paused:
                    self._listen(self._spaces[inode])
        except OSError as error:
            log.debug("cannot watch namespace %s: %s", name, error)

    def watch_only(self, names: Mapping[str, Mapping[str, int]]) -> None:
        """Follow these namespaces, and no others any more."""
        for name, settings in names.items():
            self.watch(name, settings)
        wanted = {_inode(name) for name in names}
        for inode in self._spaces.keys() - wanted:
            self._drop(self._spaces.pop(inode))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let notifications wait in the kernel."""
        for space in self._spaces.values() if not self._paused else ():
            asyncio.get_running_loop().remove_reader(space.listening)
        self._paused += 1
        self._pauses += 1
        try:
            yield
        finally:
            self._paused -= 1
            for space in self._spaces.values() if not self._paused else ():
                self._listen(space)

    async def look(self, own: Collection[str] = (), *, polling: bool = False) -> None:
        """Take all that there is to know now; of devices named in `own` nothing is told.

        A look that is `polling` gives way to a pause: what it dumped may be our own half work.

        A namespace that is gone is followed no more: our sockets would keep it, and its devices.
        """
        pauses = self._pauses
        for inode, space in list(self._spaces.items()):
            if polling and self._pauses != pauses:
                return
            if _inode(space.name) != inode:
                self._drop(self._spaces.pop(inode))
                continue
            self._take(space, own)
            try:
                dumped, cpu_s = await asyncio.to_thread(space.dump)
                self._cpu_s += cpu_s
                if polling and self._pauses != pauses:
                    return
                began_s = time.thread_time()
                changed = space.picture.load(dumped, own)
                self._cpu_s += time.thread_time() - began_s
            except (OSError, DecodeError) as error:
                log.debug("cannot look at namespace %s: %s", space.name, error)
                continue
            if self._spaces.get(inode) is space:
                self._tell(space, {*changed, SETTINGS})

    async def run(self) -> None:
        """Look twice a second until cancelled."""
        while True:
            await asyncio.sleep(max(POLL_S, SHARE * self._cpu_s))
            if not self._paused:
                self._cpu_s = 0.0
                await self.look(polling=True)

    def close(self) -> None:
        for space in self._spaces.values():
            self._drop(space)
        self._spaces.clear()

    def _listen(self, space: _Space) -> None:
        asyncio.get_running_loop().add_reader(space.listening, self._take, space)

    def _drop(self, space: _Space) -> None:
        asyncio.get_running_loop().remove_reader(space.listening)
        space.close()

    def _take(self, space: _Space, own: Collection[str] = ()) -> None:
        changed: set[str] = set()
        try:
            while data := space.listening.read():
                for message in messages(data):
                    changed |= space.picture.take(message, own)
        except DecodeError as error:
            log.warning("notifications of devices in %s: %s", space.name, error)
            changed |= space.picture.purposes()
        except Overrun:
            changed |= space.picture.purposes()
        self._tell(space, changed)

    def _tell(self, space: _Space, changed: Collection[str]) -> None:
        for what in sorted(changed):
            if what == SETTINGS:
                differing, said = space.differing(), space.said
                space.said = differing
                if not differing:
                    continue
                if differing != said:
                    text = "namespace %s: somebody changed %s; setting it again"
                    log.warning(text, space.name, ", ".join(differing))
            self._changed(space.name, what)


class _Space:
    """One namespace: a socket that listens, one that asks, and what they showed."""

    def __init__(self, name: str, settings: Mapping[str, int]) -> None:
        self.name = name
        self.settings = settings
        self.said: list[str] = []  # settings that differed when it was last told
        self.picture = Picture()
        with entered(name):
            self.listening = Notifications(open_socket(), GROUPS)
            self._asking = Requests(open_socket())
        self._named = os.open(path_of(name), os.O_RDONLY | os.O_CLOEXEC)
        self.picture.load(self.dump()[0])

    def close(self) -> None:
        self.listening.close()
        self._asking.close()
        os.close(self._named)

    def differing(self) -> list[str]:
        """Return the settings that differ."""
        return sysctls.differing(f"/proc/self/fd/{self._named}", self.settings)

    def dump(self) -> tuple[list[Message], float]:
        """Return what the kernel says of all devices, and the CPU time. Blocks for a moment."""
        began_s = time.thread_time()
        found = self._asking.dump(wire.dump_request())
        return found, time.thread_time() - began_s


def _inode(name: str) -> int:
    with suppress(OSError):
        return os.stat(path_of(name)).st_ino
    return 0
