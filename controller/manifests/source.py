"""Manifests as they are now: read, watched while running, and compiled for this node.

What is broken changes nothing: a resource that is rejected stays as it was, and so does all of it
while a file cannot be understood. Either is named in the status.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from controller.intent import layout
from controller.intent.documents import ManifestError
from controller.intent.generations import Generations
from controller.intent.lastgood import keep_last_good, reject, settle
from controller.intent.layout import UNDERLAY_MTU, Intent
from controller.intent.loader import files, load
from controller.intent.node import Namespaces, NodeOverrides
from controller.intent.passwords import PasswordReader
from controller.intent.schema import VALIDATION_FAILED, Owner, Resources
from controller.intent.written import encode
from controller.manifests import kept
from controller.manifests.numbering import looking
from controller.node.provision import Spaces, underlay_mtu
from controller.settings import Settings
from dualpath.model.view import ResourceStatus
from dualpath.model.violation import Violation
from dualpath.process.logs import WHOLE

log = logging.getLogger(__name__)

POLL_S = 0.5
LEFT_OUT = ("RawFRRConfig", "L3VNI")
"""What can be left out when FRR refuses it; without the Underlay nothing would be left."""

Trace = tuple[str, int, int, int]
"""What changes when a file does: its path, inode, time and size."""
Fingerprint = tuple[tuple[Trace, ...], tuple[Trace, ...]]


class Manifests:
    """The files of one node, and what was last good in them."""

    def __init__(self, settings: Settings) -> None:
        self._paths = settings.config
        self._named = ", ".join(map(str, settings.config))
        self._overrides = NodeOverrides(settings.node_name, settings.node_index)
        self._secrets = settings.secrets
        self._look_at = looking(settings.netns)
        self._fpm = settings.fpm_address
        self._dpdk = settings.datapath == "dpdk"
        self._state_dir = settings.state_dir
        self._turn = asyncio.Lock()
        self._generations = Generations()
        self._spaces = Spaces("", "", False, False)
        self._files = Resources()  # what the files say
        self._taken = Resources()  # the same, with what stays of earlier versions
        self._good = Resources()  # the last of these that FRR took
        self._latest = Intent()  # what was compiled of `_taken`
        self._refused: dict[Owner, str] = {}  # by FRR, with why
        self._seen: Fingerprint = (), ()
        self._consulted: set[Path] = set()
        self._mtu = UNDERLAY_MTU
        self._broken: tuple[ResourceStatus, ...] = ()
        self._logged: set[Violation] = set()
        self._tried: tuple[Trace, ...] = ()  # the files that were read last
        self._given_up: tuple[Trace, ...] | None = None  # those that nobody confirmed
        self._pending: Resources | None = None  # to be the good ones once they are confirmed
        self.confirming = False  # what is good is what somebody confirmed, not what FRR took

    @property
    def changed(self) -> bool:
        """Tell whether these are other manifests than the last good ones."""
        return encode(self._taken) != encode(self._good)

    @property
    def pending(self) -> bool:
        """Tell whether these are the manifests that wait to be confirmed."""
        return self._pending is not None and encode(self._taken) == encode(self._pending)

    @property
    def former(self) -> bool:
        """Tell whether there are last good ones."""
        return bool(self._good.items)

    @property
    def nics(self) -> set[str]:
        ports = self._latest.ports
        return {port.name for port in ports if port.host is None and not port.loopback}

    def keep_pending(self) -> None:
        """Keep these manifests, to be the last good ones once they are confirmed."""
        self._pending = self._taken
        kept.save(self._state_dir, self._pending, kept.PENDING)

    def confirm(self) -> None:
        """Let those that waited be the last good ones; a later edit was confirmed by nobody."""
        self._good, self._pending = self._pending or self._taken, None
        kept.save(self._state_dir, self._good)

    def put_back(self) -> Intent:
        """Return to the last good manifests until the files change again."""
        self._given_up, self._pending = self._tried, None
        self._files = self._taken = self._good
        self._refused = {}
        self._give_up()
        return self.compile(self._spaces)

    def _give_up(self) -> None:
        text = f"{self._named}: not confirmed in time; change or touch a file to try again"
        self._complain(ManifestError(text), "what was in force before stays")

    def read(self) -> Resources:
        """Read the files for the first time; what is broken in them is as it was in an earlier run.

        Raises ManifestError when nothing can be understood, and nothing was kept.
        """
        manifests, _ = self._fingerprint()
        self._tried = manifests
        earlier = kept.restore(self._state_dir, self._overrides)
        try:
            self._files = self._load()
        except ManifestError as error:
            if not earlier.items:
                raise
            self._files = earlier
            self._complain(error, "what was in force before the start stays")
        self._good = earlier
        self._taken = settle(earlier, self._files, self._files.node)
        self._seen = manifests, self._fingerprint()[1]
        self._generations.note(self._files)
        return self._taken

    def compile(self, spaces: Spaces) -> Intent:
        """Compile for the node as it is: its namespaces, and the MTU of its NICs."""
        self._spaces = spaces
        names = Namespaces(spaces.forwarding, spaces.control, self._files.node.namespaces.host)
        node = replace(self._files.node, namespaces=names)
        intent = layout.compile(self._taken, node, self._mtu)
        mtu = self._measured(intent)
        if mtu != self._mtu:
            self._mtu = mtu
            intent = layout.compile(self._taken, node, mtu)
        if not self._dpdk:
            intent = layout.without_dpdk(intent)
        self._log_rejections(intent)
        address, port = self._fpm
        self._latest = replace(
            intent,
            frr=replace(intent.frr, fpm_address=address, fpm_port=port),
            statuses=(*map(self._generations.number, intent.statuses), *self._broken),
        )
        return self._latest

    async def watch(self, changed: Callable[[Intent], None]) -> None:
        """Look at files and NICs until cancelled; tell of every intent that comes of a change."""
        before = self._seen, self._mtu
        while True:
            await asyncio.sleep(POLL_S)
            now = await asyncio.to_thread(self._look)
            if now != (self._seen, self._mtu) and now == before:  # nobody is writing any more
                async with self._turn:
                    changed(await asyncio.to_thread(self._again))
                self._seen = now[0][0], self._fingerprint()[1]
            before = now

    def _look(self) -> tuple[Fingerprint, int]:
        return self._fingerprint(), self._measured(self._latest)

    def _measured(self, intent: Intent) -> int:
        """Return the narrowest NIC's MTU; without any, what it was."""
        where = self._spaces.forwarding, self._files.node.namespaces.host
        return underlay_mtu(intent.ports, where) or self._mtu

    def _again(self) -> Intent:
        """Read the files again, and compile what is good."""
        self._broken = ()
        self._tried = self._fingerprint()[0]
        if self._given_up == self._tried:
            self._give_up()
            return self.compile(self._spaces)
        try:
            found = self._load()
            if found.empty and not self._files.empty:
                raise ManifestError(f"{self._named}: nothing is in it; leave the Node, at least")
        except ManifestError as error:
            self._complain(error, "what was in force stays")
        else:
            self._take(self._with_our_namespaces(found))
        return self.compile(self._spaces)

    async def refuse(self, intent: Intent, owner: Owner, why: str) -> Intent | None:
        """Leave out what FRR refuses, or take its earlier version; None if that cannot be.

        It cannot of an intent that is no longer the latest: there may be another edit by now.
        """
        async with self._turn:
            if owner[0] not in LEFT_OUT or intent is not self._latest:
                return None
            return await asyncio.to_thread(self._refuse, owner, why)

    def _refuse(self, owner: Owner, why: str) -> Intent:
        if owner in self._refused:  # it was the earlier version
            items = tuple(r for r in self._good.items if r.owner != owner)
            self._good = replace(self._good, items=items)
        self._refused[owner] = why
        self._judge()
        if self._pending is not None:
            self.keep_pending()  # what is confirmed is what is in force
        return self.compile(self._spaces)

    def applied(self, intent: Intent) -> None:
        """FRR took it all: an edit that it refuses goes back to this."""
        if self.confirming and self.changed:
            return
        if intent is self._latest and self._good is not self._taken:
            self._good = self._taken
            kept.save(self._state_dir, self._good)

    def _take(self, found: Resources) -> None:
        before = self._files.digests
        self._refused = {
            owner: why
            for owner, why in self._refused.items()
            if found.digests.get(owner) == before.get(owner)
        }
        self._files = found
        self._generations.note(found)
        self._judge()

    def _judge(self) -> None:
        taken = settle(self._taken, self._files, self._files.node)
        if self._refused:
            judged = reject(taken, self._refused, "FrrConfigurationFailed")
            taken = keep_last_good(self._good, judged)
        self._taken = taken

    def _with_our_namespaces(self, found: Resources) -> Resources:
        ours = self._files.node.namespaces
        if found.node.namespaces == ours:
            return found
        text = "the Node's namespaces cannot change at run time: restart the controller"
        self._complain(ManifestError(text))
        return replace(found, node=replace(found.node, namespaces=ours))

    def _complain(self, error: ManifestError, stays: str = "") -> None:
        for violation in error.violations:
            log.error("%s", violation, extra=WHOLE)
        if stays:
            log.error("%s: %s", self._named, stays)
        text = f"{error}; {stays}" if stays else str(error)
        status = ResourceStatus(
            "Manifests", self._named, False, VALIDATION_FAILED, text, violations=error.violations
        )
        self._broken = (*self._broken, status)

    def _log_rejections(self, intent: Intent) -> None:
        """Log what is newly wrong with a resource, each error on a line of its own."""
        now = {v for status in intent.statuses for v in status.violations}
        for violation in sorted(now - self._logged, key=lambda v: (v.file, v.line, v.column)):
            log.error("%s", violation, extra=WHOLE)
        self._logged = now

    def keep_again(self) -> bool:
        """Keep what was last good where somebody removed the file; tell whether it was."""
        file = self._state_dir / kept.NAME
        if not self._good.items or file.exists():
            return False
        kept.save(self._state_dir, self._good)
        return file.exists()

    def _load(self) -> Resources:
        passwords = PasswordReader(self._secrets)
        try:
            return load(self._paths, self._overrides, passwords, self._look_at)
        finally:
            self._consulted = passwords.consulted

    def _fingerprint(self) -> Fingerprint:
        """Return the traces of manifests and of passwords; what is not there leaves one too."""
        found = [file for path in self._paths for file in _files(path)]
        return tuple(map(_trace, found)), tuple(map(_trace, sorted(self._consulted)))


def _files(path: Path) -> list[Path]:
    try:
        return files(path)
    except OSError:
        return [path]


def _trace(file: Path) -> Trace:
    try:
        seen = file.stat()
    except OSError:
        return str(file), 0, 0, 0
    return str(file), seen.st_ino, seen.st_mtime_ns, seen.st_size
