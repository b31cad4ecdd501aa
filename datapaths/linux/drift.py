"""Watch for drift: another program changed a device or a setting that Dualpath made.

The kernel sends notifications for links, addresses, tc filters and a few settings, but not for most
settings below /proc/sys/net. So one request dumps all devices with their settings, twice a second
or, with many devices, so rarely that it costs half a percent of a CPU. The reply is compared with
the one before.

Drift reports only the purpose of the changed device ("twin", "vni", SETTINGS). The code that made
the device finds the difference and repairs it. Rejected: inotify on /proc/sys/net, because procfs
sends no events.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial

from datapaths.linux import sysctls
from datapaths.linux.netns import entered, path_of
from datapaths.linux.picture import SETTINGS, Picture
from datapaths.linux.wire import links as wire
from dualpath.netlink import numbers as n
from dualpath.netlink.message import DecodeError, Message, messages
from dualpath.netlink.socket import Notifications, Overrun, Requests, open_socket

log = logging.getLogger(__name__)

POLL_S = 0.4
SHARE = 200  # after a poll, sleep this many times the CPU time that it took
FEW = 8  # read so many devices one by one, and more in one dump
GROUPS = (
    n.RTNLGRP_LINK,
    n.RTNLGRP_TC,
    n.RTNLGRP_IPV4_IFADDR,
    n.RTNLGRP_IPV6_IFADDR,
    n.RTNLGRP_IPV4_NETCONF,
    n.RTNLGRP_IPV6_NETCONF,
)

Changed = Callable[[str, str], None]
"""Called with a namespace and the purpose of the changed device: `marks.Mark.what`, or SETTINGS."""


class Drift:
    """Watches any number of namespaces, in one event loop. `changed` must not block."""

    def __init__(self, changed: Changed) -> None:
        self._changed = changed
        self._watched: dict[int, _Watched] = {}  # by inode
        self._paused = 0
        self._pauses = 0  # counts them
        self._cpu_s = 0.0  # of the last poll

    def watch(self, name: str, settings: Mapping[str, int] | None = None) -> bool:
        """Watch one more namespace, and these of its settings; return whether it is a new one.

        Skip one that does not exist.
        """
        try:
            inode = os.stat(path_of(name)).st_ino
            if inode in self._watched:
                return False
            self._watched[inode] = _Watched(name, settings or {})
            if not self._paused:
                self._listen(self._watched[inode])
        except OSError as error:
            log.debug("cannot watch namespace %s: %s", name, error)
            return False
        return True

    def watch_only(self, names: Mapping[str, Mapping[str, int]]) -> bool:
        """Watch these namespaces, and stop watching others; return whether one is new."""
        new = [self.watch(name, settings) for name, settings in names.items()]
        wanted = {_inode(name) for name in names}
        for inode in self._watched.keys() - wanted:
            self._drop(self._watched.pop(inode))
        return any(new)

    def watches(self, name: str) -> bool:
        """Return whether a namespace is watched."""
        return _inode(name) in self._watched

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Read no notifications for the length of the `with` block."""
        for watched in self._watched.values() if not self._paused else ():
            asyncio.get_running_loop().remove_reader(watched.listening)
        self._paused += 1
        self._pauses += 1
        try:
            yield
        finally:
            self._paused -= 1
            for watched in self._watched.values() if not self._paused else ():
                self._listen(watched)

    async def look(self, own: Collection[str] = (), *, polling: bool = False) -> None:
        """Read all notifications and all devices; report changes, except of devices in `own`.

        If `own` names a few devices, read these alone. With `polling`, stop when a pause begins:
        the dump may show our own change half done. Stop watching a deleted namespace: our sockets
        would keep it alive, with its devices.
        """
        pauses = self._pauses
        for inode, watched in list(self._watched.items()):
            if polling and self._pauses != pauses:
                return
            if self._watched.get(inode) is not watched:
                continue  # `watch_only` dropped it during a dump
            if _inode(watched.name) != inode:
                self._drop(self._watched.pop(inode))
                continue
            self._read(watched, own)
            try:
                few = 0 < len(own) <= FEW
                read = partial(watched.read, own) if few else watched.dump
                dumped, cpu_s = await asyncio.to_thread(read)
                self._cpu_s += cpu_s
                if polling and self._pauses != pauses:
                    return
                with self._counted():
                    picture = watched.picture
                    changed = (picture.load_some if few else picture.load)(dumped, own)
            except (OSError, DecodeError) as error:
                log.debug("cannot dump the devices of namespace %s: %s", watched.name, error)
                continue
            if self._watched.get(inode) is watched:
                with self._counted():
                    self._report(watched, {*changed, SETTINGS})

    async def run(self) -> None:
        """Call `look` until cancelled, twice a second at most."""
        while True:
            await asyncio.sleep(max(POLL_S, SHARE * self._cpu_s))
            if not self._paused:
                self._cpu_s = 0.0
                await self.look(polling=True)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count the CPU time of the `with` block as that of a poll."""
        began_s = time.thread_time()
        yield
        self._cpu_s += time.thread_time() - began_s

    def close(self) -> None:
        for watched in self._watched.values():
            self._drop(watched)
        self._watched.clear()

    def _listen(self, watched: _Watched) -> None:
        asyncio.get_running_loop().add_reader(watched.listening, self._read, watched)

    def _drop(self, watched: _Watched) -> None:
        asyncio.get_running_loop().remove_reader(watched.listening)
        watched.close()

    def _read(self, watched: _Watched, own: Collection[str] = ()) -> None:
        changed: set[str] = set()
        try:
            while data := watched.listening.read():
                for message in messages(data):
                    changed |= watched.picture.update(message, own)
        except DecodeError as error:
            text = "namespace %s: cannot decode a notification (%s); comparing all devices"
            log.warning(text, watched.name, error)
            changed |= watched.picture.purposes()
        except Overrun:
            changed |= watched.picture.purposes()
        self._report(watched, changed)

    def _report(self, watched: _Watched, changed: Collection[str]) -> None:
        for what in sorted(changed):
            if what == SETTINGS:
                differing, before = watched.differing(), watched.reported
                watched.reported = differing
                if not differing:
                    continue
                if differing != before:
                    text = "namespace %s: another program changed %s; setting it again"
                    log.warning(text, watched.name, ", ".join(differing))
            self._changed(watched.name, what)


class _Watched:
    """One watched namespace: a socket for notifications, one for dumps, and the picture."""

    def __init__(self, name: str, settings: Mapping[str, int]) -> None:
        self.name = name
        self.settings = settings
        self.reported: list[str] = []  # settings that differed at the last report
        self.picture = Picture()
        with entered(name):
            self.listening = Notifications(open_socket(), GROUPS)
            self._asking = Requests(open_socket())  # of one thread at a time
        self._turn = threading.Lock()
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
        """Return a dump of all devices, and the CPU time that it took, in seconds. Blocks."""
        with self._turn:
            began_s = time.thread_time()
            found = self._asking.dump(wire.dump_request())
            return found, time.thread_time() - began_s

    def read(self, names: Collection[str]) -> tuple[list[Message], float]:
        """Return these devices, and the CPU time that it took. Skip those that are gone. Blocks."""
        with self._turn:
            began_s, found = time.thread_time(), list[Message]()
            for name in names:
                try:
                    found.append(self._asking.ask(wire.get_request(name)))
                except OSError as error:
                    if error.errno != errno.ENODEV:
                        raise
            return found, time.thread_time() - began_s


def _inode(name: str) -> int:
    with suppress(OSError):
        return os.stat(path_of(name)).st_ino
    return 0
