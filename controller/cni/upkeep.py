"""Keeps one interface: a loop that compares, then does one step: ADD, CHECK or DEL.

    no record, wanted             ADD
    ADDED, there, as wanted       keep; CHECK once a minute
    anything else                 wait until the datapath has let go of it, then DEL

So a changed list, a lost interface, a failed CHECK, a new namespace, a reboot and a crash during
ADD are one case: DEL with the record's values, then ADD. Plugins run in a thread; errors are
retried with growing pauses. Each interface has its own loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import ParamSpec, TypeVar

from controller.cni import attachment, protocol, records
from controller.cni.dhcp import DhcpDaemon
from controller.cni.interfaces import Namespace, Presence
from controller.cni.plugins import Plugins
from controller.cni.protocol import PluginError
from controller.cni.records import Record, Stage, Unreadable
from datapaths.base import DatapathError
from datapaths.linux import netns
from dualpath.model.cni import CniDevice
from dualpath.process.backoff import Backoff

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

LOOK_S = 2.0
CHECK_S = 60.0
WAIT_S = 0.2
DELETIONS = 5  # tries, over half a minute
FIRST_RETRY_S, LAST_RETRY_S = 1.0, 60.0
ERRORS = (PluginError, Unreadable, OSError, DatapathError)


class Step(Enum):
    """The next step for an interface."""

    ADD = "add"
    KEEP = "keep"
    WAIT = "wait"
    DELETE = "delete"
    END = "end"


def step(
    wanted: CniDevice | None, record: Record | None, presence: Presence, *, used: bool
) -> Step:
    """Return the next step; `used` is whether the datapath has the interface. Pure."""
    if record is None:
        return Step.ADD if wanted else Step.END
    if record.device == wanted and record.stage is Stage.ADDED and presence is not Presence.GONE:
        return Step.KEEP
    return Step.WAIT if used else Step.DELETE


@dataclass(frozen=True, slots=True)
class Tools:
    """Objects that all interfaces of a controller share."""

    forwarding: str
    host: str
    container: str
    plugins: Plugins
    daemon: DhcpDaemon
    namespace: Namespace
    used: Callable[[str], bool]
    """Return whether the datapath has a port of this name."""
    changed: Callable[[], None]
    """Is called when an interface became ready, or is no longer."""
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(32, "cni"))
    """Plugins run here: they may hang, and the default pool is for everybody."""


class Upkeep:
    """Keeps one interface. `waiting` says why it does not exist; "" if it does."""

    def __init__(self, name: str, tools: Tools) -> None:
        self._name = name
        self._tools = tools
        self._path = netns.path_of(tools.forwarding)
        self._wanted: CniDevice | None = None
        self._broken = ""  # what CHECK complained of, when the interface is to be made again
        self._fresh = False  # no CHECK has succeeded since ADD
        self._futile = 0  # how many new interfaces in a row failed CHECK
        self._deletions = 0  # how many calls of DEL in a row failed
        self._check_at = 0.0
        self._wake = asyncio.Event()
        self._backoff = Backoff(FIRST_RETRY_S, LAST_RETRY_S)
        self.settled = asyncio.Event()  # a first attempt has been made for what is wanted
        self.waiting = "its CNI plugins have not made it yet"
        self.remark = ""  # what is wrong with an interface that is kept

    async def want(self, device: CniDevice | None) -> None:
        """Note the wanted device; check at once whether it exists, as after a restart."""
        if device == self._wanted and device is not None:
            return
        self._wanted = device
        self._broken = ""
        self._backoff.reset()
        self.settled.clear()
        with suppress(*ERRORS):
            found, _, _ = await asyncio.to_thread(self._look)
            if found is Step.KEEP:
                self.waiting = ""
                self.settled.set()
        self._wake.set()

    def look_again(self) -> None:
        """Start a step now, with a CHECK."""
        self._check_at = 0.0
        self._wake.set()

    async def run(self) -> None:
        """Run until the interface is neither wanted nor left, or until cancelled."""
        while True:
            self._wake.clear()
            pause_s = await self._once()
            if pause_s is None:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()

    async def audit(self) -> str:
        """Return how the interface differs from the plugins' result; "" if it does not."""
        if self.waiting:
            return self.waiting
        try:
            found, record, _ = await self._in_thread(self._look)
            if found is not Step.KEEP or record is None:
                return "it is not as the plugins made it"
            if self._tools.namespace.stay:
                await self._in_thread(self._check, record)
        except ERRORS as error:
            return str(error)
        return ""

    async def _once(self) -> float | None:
        """Do one step; return the pause after it, None at the end."""
        try:
            found, record, presence = await self._in_thread(self._look)
            match found:
                case Step.END:
                    return None
                case Step.KEEP:
                    assert record
                    return await self._keep(record, presence)
                case Step.WAIT:
                    again = "the controller creates it again" if self._wanted else ""
                    self._set_waiting(self._broken or again)
                    return WAIT_S
                case Step.DELETE:
                    assert record
                    await self._in_thread(self._delete, record)
                    self._broken = ""
                    log.info("%s: removed by CNI (%s)", self._name, record.device.plugins)
                    return 0.0
                case Step.ADD:
                    await self._in_thread(self._add)
                    self._fresh, self._check_at = True, 0.0
                    return 0.0
        except ERRORS as error:
            pause_s = self._backoff.next_s()
            self._set_waiting(f"{_text(error)}; the controller retries")
            self.settled.set()
            return pause_s

    async def _keep(self, record: Record, presence: Presence) -> float:
        self._backoff.reset()
        self._set_waiting("")
        self.settled.set()
        now = asyncio.get_running_loop().time()
        leased = protocol.needs_daemon(record.device)
        if leased and await self._in_thread(self._tools.daemon.ensure):
            self._check_at = 0.0  # a new daemon has no leases; CHECK asks for them
            if presence is Presence.TAKEN:
                return self._make_again("the DHCP daemon was restarted, without its lease")
        if now >= self._check_at and self._tools.namespace.stay:
            self._check_at = now + CHECK_S
            try:
                await self._in_thread(self._check, record)
                self._fresh, self._futile = False, 0
                self._note("")
            except PluginError as error:
                return await self._checked_badly(record, error)
        return LOOK_S

    async def _checked_badly(self, record: Record, error: PluginError) -> float:
        """Decide whether to recreate an interface after a failed CHECK.

        Not if the plugin could not check, nor if a second new interface also fails CHECK, nor if a
        DHCP server does not answer while the address exists: ADD would need its answer too.
        """
        self._futile += self._fresh
        leased = any(protocol.is_leased(plugin) for plugin in record.device.conf()["plugins"])
        if (
            error.code in (0, protocol.IO_FAILURE, protocol.TRY_LATER)
            or self._futile > 1
            or (leased and not await self._in_thread(self._lacks_addresses, record))
        ):
            self._note(f"{error}; the interface is kept")
            return LOOK_S
        return self._make_again(str(error))

    def _make_again(self, why: str) -> float:
        log.warning("%s: %s; recreating it", self._name, why)
        self._broken = why
        return 0.0

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = partial(work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._tools.threads, call)

    def _look(self) -> tuple[Step, Record | None, Presence]:
        record = records.read(self._path, self._name)
        presence = self._tools.namespace.presence(record) if record else Presence.GONE
        used = self._tools.used(self._name) or presence is Presence.TAKEN
        if self._broken:
            presence = Presence.GONE
        return step(self._wanted, record, presence, used=used), record, presence

    def _add(self) -> None:
        wanted, tools = self._wanted, self._tools
        assert wanted
        if not netns.exists(tools.forwarding):
            raise OSError(0, f"no network namespace {tools.forwarding}")
        space = records.space_of(self._path)
        record = Record(
            wanted,
            tools.container,
            space,
            Stage.ADDING,
            plugins=tuple(map(str, tools.plugins.directories)),
            host=tools.host,
            dhcp_socket=str(tools.daemon.socket) if protocol.needs_daemon(wanted) else "",
        )
        log.info("%s: created by CNI (%s)", self._name, wanted.plugins)
        made = attachment.add(tools.plugins, record, tools.namespace, self._socket(record))
        addresses = ", ".join(protocol.addresses_of(made.result or {})) or "no address"
        log.info("%s: CNI created it with %s", self._name, addresses)

    def _check(self, record: Record) -> None:
        attachment.check(self._tools.plugins, record, self._socket(record))

    def _delete(self, record: Record) -> None:
        tools, socket = self._tools, self._socket(record)
        last = self._deletions >= DELETIONS
        self._deletions += 1
        delete = partial(
            attachment.delete, tools.plugins, record, tools.namespace, socket, last_try=last
        )
        if socket:
            tools.daemon.release(delete)
        else:
            delete()
        self._deletions = 0

    def _socket(self, record: Record) -> str:
        """Return the socket of our DHCP daemon once it listens; "" if not needed."""
        if not protocol.needs_daemon(record.device):
            return ""
        self._tools.daemon.ensure()
        return str(self._tools.daemon.socket)

    def _lacks_addresses(self, record: Record) -> bool:
        wanted = set(protocol.addresses_of(record.result or {}))
        return not wanted <= self._tools.namespace.addresses(self._name)

    def _set_waiting(self, waiting: str) -> None:
        if waiting != self.waiting:
            if waiting and self._wanted is None:  # so no status says it
                log.warning(
                    "%s: no manifest wants it, but it cannot be removed: %s", self._name, waiting
                )
            self.waiting = waiting
            self._tools.changed()

    def _note(self, remark: str) -> None:
        if remark != self.remark:
            if remark:
                log.warning("%s: %s", self._name, remark)
            self.remark = remark
            self._tools.changed()


def _text(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
