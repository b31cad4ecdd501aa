"""The manifests of one node while the controller runs: read, watched, and compiled.

A broken edit changes nothing. A rejected resource stays as it was; if a file cannot be parsed,
every resource stays as it was. The status names both. `versions` has the theory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from controller.intent.documents import ManifestError
from controller.intent.layout import Intent
from controller.intent.reasons import Reason
from controller.intent.schema import Owner, Resources
from controller.manifests import store
from controller.manifests.compiler import Compiler
from controller.manifests.files import ManifestFiles, Traces
from controller.manifests.versions import Versions
from controller.node.namespaces import NamespacePair
from controller.settings import Settings
from dualpath.model.view import ResourceStatus
from dualpath.model.violation import Violation
from dualpath.process.logs import WHOLE

log = logging.getLogger(__name__)

POLL_S = 0.5
LEFT_OUT = ("RawFRRConfig", "L3VNI")
"""Kinds that can be left out when FRR refuses them; without the Underlay, nothing would be left."""


class Manifests:
    """Turns the files of one node into intent, again after each change."""

    def __init__(self, settings: Settings) -> None:
        self.files = ManifestFiles(settings)
        self.versions = Versions()
        self.confirming = False  # a version is good once it is confirmed, not once FRR accepted it
        self._compiler = Compiler(settings)
        self._state_dir = settings.state_dir
        self._one_at_a_time = asyncio.Lock()
        self._seen: tuple[Traces, Traces] = (), ()
        self._read: Traces = ()  # the manifests that were read last
        self._rolled_back: Traces | None = None  # manifests that were rolled back unconfirmed
        self._broken: tuple[ResourceStatus, ...] = ()
        self._logged: set[Violation] = set()

    @property
    def nics(self) -> set[str]:
        ports = self._compiler.latest.ports
        return {port.name for port in ports if port.host is None and not port.loopback}

    # -- reading ------------------------------------------------------------------------------

    def read(self) -> Resources:
        """Read the files for the first time; use the stored version of a broken resource.

        Raises ManifestError when a file cannot be parsed and no earlier run stored anything.
        """
        self._read = self.files.manifests()
        good = store.restore(self._state_dir, self.files.overrides)
        try:
            found = self.files.load()
        except ManifestError as error:
            if not good.items:
                raise
            found = good
            self._report(error, "what was in force before the start stays")
        self.versions.begin(found, good)
        self._seen = self._read, self.files.passwords()
        self._compiler.generations.note(found)
        return self.versions.in_force

    def compile(self, namespaces: NamespacePair) -> Intent:
        """Compile for the node with these namespaces, and the NICs that it has now."""
        self._compiler.namespaces = namespaces
        return self._compile()

    async def watch(self, changed: Callable[[Intent], None]) -> None:
        """Look at files and NICs until cancelled; pass on each new intent."""
        before = self._seen, True
        while True:
            await asyncio.sleep(POLL_S)
            now = await asyncio.to_thread(self._look)
            # The same result twice: the writer has finished.
            if now != (self._seen, True) and now == before:
                async with self._one_at_a_time:
                    changed(await asyncio.to_thread(self._reload))
                self._seen = now[0][0], self.files.passwords()
            before = now

    def _look(self) -> tuple[tuple[Traces, Traces], bool]:
        return (self.files.manifests(), self.files.passwords()), self._compiler.up_to_date

    def _reload(self) -> Intent:
        """Read the files again, and compile the valid part of them."""
        self._broken = ()
        self._read = self.files.manifests()
        if self._rolled_back == self._read:
            self._report_roll_back()
            return self._compile()
        try:
            found = self.files.load()
            if found.empty and not self.versions.files.empty:
                raise ManifestError(f"{self.files.named}: no resource left; keep at least the Node")
        except ManifestError as error:
            self._report(error, "what was in force stays")
        else:
            found = self._with_our_namespaces(found)
            self.versions.edit(found)
            self._compiler.generations.note(found)
        return self._compile()

    def _with_our_namespaces(self, found: Resources) -> Resources:
        ours = self.versions.files.node.namespaces
        if found.node.namespaces == ours:
            return found
        text = "the Node's namespaces cannot change at run time: restart the controller"
        self._report(ManifestError(text))
        return replace(found, node=replace(found.node, namespaces=ours))

    def _compile(self) -> Intent:
        versions = self.versions
        intent = self._compiler.compile(versions.files, versions.in_force, self._broken)
        self._log_rejections(intent)
        return intent

    # -- what FRR accepts and refuses ---------------------------------------------------------

    async def refuse(self, intent: Intent, owner: Owner, why: str) -> Intent | None:
        """Leave out a resource that FRR refuses, or use its last good version; None if impossible.

        It is impossible for the Underlay, and for an intent that an edit has replaced meanwhile.
        """
        async with self._one_at_a_time:
            if owner[0] not in LEFT_OUT or intent is not self._compiler.latest:
                return None
            return await asyncio.to_thread(self._refuse, owner, why)

    def _refuse(self, owner: Owner, why: str) -> Intent:
        self.versions.refuse(owner, why)
        if self.versions.pending is not None:
            self.save_pending()  # the confirmed version is the one in force
        return self._compile()

    def accepted(self, intent: Intent) -> None:
        """Note that FRR accepted all of an intent: an edit that it refuses goes back to this."""
        if self.confirming and self.versions.changed:
            return
        if intent is self._compiler.latest and self.versions.accept():
            store.save(self._state_dir, self.versions.good)

    # -- confirming ---------------------------------------------------------------------------

    def save_pending(self) -> None:
        """Store the version in force; once confirmed, it is the last good one."""
        self.versions.pending = self.versions.in_force
        store.save(self._state_dir, self.versions.pending, store.PENDING)

    def confirm(self) -> None:
        """Store the pending version as the last good one."""
        self.versions.confirm()
        store.save(self._state_dir, self.versions.good)

    def roll_back(self) -> Intent:
        """Return to the last good version until the files change again."""
        self._rolled_back = self._read
        self.versions.roll_back()
        self._report_roll_back()
        return self._compile()

    def _report_roll_back(self) -> None:
        text = f"{self.files.named}: not confirmed in time; change or touch a file to try again"
        self._report(ManifestError(text), "what was in force before stays")

    def save_again(self) -> bool:
        """Store the last good version again if somebody removed its file; return whether so."""
        file = self._state_dir / store.NAME
        if not self.versions.good.items or file.exists():
            return False
        store.save(self._state_dir, self.versions.good)
        return file.exists()

    # -- messages for the user ----------------------------------------------------------------

    def _report(self, error: ManifestError, stays: str = "") -> None:
        """Log why the files cannot be used as a whole, and show it as a status."""
        for violation in error.violations:
            log.error("%s", violation, extra=WHOLE)
        if stays:
            log.error("%s: %s", self.files.named, stays)
        text = f"{error}; {stays}" if stays else str(error)
        status = ResourceStatus(
            "Manifests",
            self.files.named,
            False,
            Reason.VALIDATION_FAILED,
            text,
            violations=error.violations,
        )
        self._broken = (*self._broken, status)

    def _log_rejections(self, intent: Intent) -> None:
        """Log new errors of resources, one line for each error."""
        now = {v for status in intent.statuses for v in status.violations}
        for violation in sorted(now - self._logged, key=lambda v: (v.file, v.line, v.column)):
            log.error("%s", violation, extra=WHOLE)
        self._logged = now
