"""Rolls back a change that was not confirmed. Synchronous, as root, under the controller's lock.

A first start is undone as by `dualpath down`. After a change of manifests, only the NICs that it
took are given back: this code serves a dead controller, and a live one returns to the former
manifests itself.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from pathlib import Path

from controller.manifests import store, trial
from controller.manifests.trial import Trial
from controller.node import namespacerecord
from controller.node.supervisor import bridge_of
from controller.node.teardown import Step, given_back, undone
from datapaths.linux import netns
from datapaths.linux.resets import suppress_resets

log = logging.getLogger(__name__)

UNCONFIRMED = 4  # exit code: not confirmed in time, and everything was given back


def roll_back(state_dir: Path) -> bool:
    """Roll back the change on trial; return whether there was one. Log failing steps."""
    found = trial.claim(state_dir)
    if found is None:
        return False
    log.warning("not confirmed in time (`dualpath confirm`): rolling back")
    problems = 0
    for step in _steps(state_dir, found):
        problems += bool(step.problem)
        level = logging.ERROR if step.problem else logging.WARNING
        end = f": NOT DONE: {step.problem}" if step.problem else ""
        log.log(level, "%s %s: %s%s", step.what, step.name, step.detail, end)
    _let_speak(state_dir)
    if found.first and not problems:
        namespacerecord.forget(state_dir)
    store.forget_pending(state_dir)
    trial.end(state_dir)
    return True


def _let_speak(state_dir: Path) -> None:
    left = namespacerecord.read(state_dir)
    if left is not None and netns.exists(left.forwarding):
        try:
            suppress_resets(left.forwarding, False)
        except OSError as error:
            log.error("%s: %s", left.forwarding, error.strerror)


def _steps(state_dir: Path, found: Trial) -> Iterator[Step]:
    left = namespacerecord.read(state_dir)
    if left is None:
        return  # the start had not changed anything yet
    if not found.first:
        yield from given_back(left, found.keeps)
        return
    if bridge := bridge_of(state_dir):
        bridge.send_signal(signal.SIGTERM)
    yield from undone(left)
