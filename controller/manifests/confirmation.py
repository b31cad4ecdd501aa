"""The controller's side of a change on trial: it begins the trial, follows it, and rolls it back.

With `--confirm-within`, two changes are put on trial: a first start on a machine, and manifests
that differ from the last confirmed ones. Without a confirmation in time, a first start is undone
completely, and after a change of manifests the last good ones are in force again. A trial that an
earlier controller began continues.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

from controller.intent.layout import Intent
from controller.manifests import store, trial, watchdog
from controller.manifests.source import Manifests
from controller.manifests.trial import Trial
from controller.settings import Settings
from datapaths.linux.resets import suppress_resets
from dualpath.process import options

log = logging.getLogger(__name__)

LOOK_S = 0.2


class Unconfirmed(Exception):
    """The first start was not confirmed in time: everything must be given back."""


@dataclass(frozen=True, slots=True)
class Before:
    """The state of the machine before a start."""

    first: bool  # no objects of Dualpath, or no good manifests so far
    nics: tuple[str, ...]  # NICs that Dualpath already had


class Confirmation:
    """Follows the change on trial in one state directory."""

    def __init__(
        self, settings: Settings, manifests: Manifests, forwarding: str, before: Before
    ) -> None:
        self._forwarding = forwarding
        self._before = before
        self._settings = settings
        self._state_dir = settings.state_dir
        self._manifests = manifests
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._running = False  # once it does, an error of the state directory does not end us
        self._on_trial: Trial | None = None  # its contents as we wrote them
        self._keeps: set[str] | None = None  # NICs that stay while a change is rolled back
        manifests.confirming = settings.confirm_s > 0

    def pending(self) -> str:
        """Return how to confirm the change on trial, and until when; "" if there is none."""
        found = self._on_trial
        return "" if found is None or self._keeps is not None else self._what(found)

    def begin(self) -> None:
        """Decide at a start what is on trial. Raises Unconfirmed, OSError."""
        first, nics = self._before.first, self._before.nics
        found = trial.read(self._state_dir)
        if found is None or found.confirmed:
            trial.end(self._state_dir)  # even one that a reboot ended
            if self._settings.confirm_s and (first or self._manifests.versions.changed):
                self._put_on_trial(first=first, keeps=nics)
            return
        self._manifests.confirming = True
        if trial.now() >= found.deadline or found.claimed:
            if found.first:
                raise Unconfirmed
            self._manifests.roll_back()
            trial.end(self._state_dir)
            return
        self._manifests.save_pending()
        self._write(Trial(found.deadline, found.boot, os.getpid(), found.first, found.keeps))
        log.warning("an earlier controller's change is still on trial: %s", self._what(found))

    def keep_sessions(self) -> None:
        """Keep TCP sessions over a NIC alive while the NIC is on trial. Raises OSError."""
        with ThreadPoolExecutor(1) as thread:  # pyroute2 refuses a thread whose event loop runs
            thread.submit(suppress_resets, self._forwarding, self._on_trial is not None).result()

    def changed(self, nics: tuple[str, ...]) -> None:
        """Put changed manifests on trial, before they are in force."""
        found = self._found()
        if found is not None and found.confirmed:
            self._stays()
            found = None
        if found is not None and (found.first or not self._settings.confirm_s):
            self._manifests.save_pending()  # the edit becomes part of the trial
            return
        if not self._settings.confirm_s:
            return
        taken_back = self._keeps is not None
        if not self._manifests.versions.changed:
            if found is not None and not taken_back:
                log.info("the manifests equal the confirmed ones again; the trial is over")
                self._over()
            return
        if found is not None and self._manifests.versions.in_force_is_pending and not taken_back:
            return  # for example only a NIC's MTU changed: the deadline stays
        self._put_on_trial(first=False, keeps=found.keeps if found is not None else nics)
        self._try(self.keep_sessions)

    async def run(self, replace: Callable[[Intent], None], nics: Callable[[], set[str]]) -> None:
        """Follow the trial until cancelled. Raises Unconfirmed."""
        self._running = True
        while True:
            await asyncio.sleep(LOOK_S)
            found = self._found()
            if found is None:
                continue
            if self._keeps is not None:
                if not nics() - self._keeps:  # until then, the watchdog gives them back if we die
                    self._over()
            elif found.confirmed:
                self._stays()
            elif trial.now() < found.deadline:
                self._try(self._keep_watchdog)
            elif self._claims():
                self._take_back(found, replace)

    def _found(self) -> Trial | None:
        """Return the change on trial; write its file again if somebody removed it."""
        found = trial.read(self._state_dir) if self._on_trial is not None else None
        if found is not None or self._on_trial is None:
            return found
        lost = replace(self._on_trial, claimed=self._keeps is not None)
        with suppress(OSError):  # retried at the next look
            trial.begin(self._state_dir, lost)
            log.warning("%s: somebody removed it; wrote it again", trial.NAME)
        return lost

    def _try(self, work: Callable[[], None]) -> None:
        """Do `work`, and only log a failure: the controller keeps the deadline itself."""
        try:
            work()
        except OSError as error:
            log.error(
                "a change on trial: %s; the controller continues and keeps the deadline", error
            )

    def _claims(self) -> bool:
        """End the time to confirm; without a state directory it has already ended."""
        try:
            return trial.claim(self._state_dir) is not None
        except OSError:
            return True

    def _stays(self) -> None:
        self._manifests.confirm()
        self._over()
        log.info("confirmed: the change stays")

    def _take_back(self, found: Trial, replace: Callable[[Intent], None]) -> None:
        if found.first:
            raise Unconfirmed
        log.error("not confirmed in time (`dualpath confirm`): restored the former manifests")
        replace(self._manifests.roll_back())
        self._keeps = {*found.keeps, *self._manifests.nics}

    def _over(self) -> None:
        self._on_trial = self._keeps = None
        self._manifests.confirming = (
            self._settings.confirm_s > 0
        )  # an earlier controller's trial may end here
        self._try(lambda: trial.end(self._state_dir))
        self._try(lambda: store.forget_pending(self._state_dir))
        self._try(self.keep_sessions)

    def _put_on_trial(self, *, first: bool, keeps: tuple[str, ...]) -> None:
        deadline = trial.now() + self._settings.confirm_s
        found = Trial(deadline, trial.boot(), os.getpid(), first, keeps)
        self._manifests.save_pending()
        self._keeps, self._on_trial = None, found
        if self._running:
            self._try(lambda: self._write(found))
        else:
            self._write(found)
        log.warning("%s", self._what(found))

    def _write(self, found: Trial) -> None:
        trial.begin(self._state_dir, found)
        self._on_trial = found
        self._keep_watchdog()

    def _keep_watchdog(self) -> None:
        ended = self._watchdog is None or self._watchdog.poll() is not None
        if ended and not watchdog.runs(self._state_dir):
            level, form = self._settings.log_level, self._settings.log_format
            self._watchdog = watchdog.start(self._state_dir, level, form)

    def _what(self, found: Trial) -> str:
        left_s = max(0.0, found.deadline - trial.now())
        what = "everything is given back" if found.first else "the former manifests are put back"
        usual = str(self._state_dir) == options.STATE_DIR
        option = "" if usual else f" --state-dir {self._state_dir}"
        return f"run `dualpath confirm{option}` within {left_s:.0f} s, or {what}"
