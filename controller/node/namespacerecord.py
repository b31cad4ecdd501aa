"""The namespaces that a controller uses, and those that it made: a file in its state directory.

`dualpath down` reads it, whether the controller runs or not.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from controller.node.namespaces import NamespacePair
from datapaths.linux import netns

log = logging.getLogger(__name__)

NAME = "namespaces.json"


@dataclass(frozen=True, slots=True)
class NamespaceRecord:
    """The namespaces of one controller. Its devices need no record: they are marked."""

    forwarding: str
    control: str = ""
    host: str = ""
    made: tuple[str, ...] = ()  # namespaces, by name or path
    pod: bool = False  # the control namespace is a pod's; the controller made only its name


def release_pods_name(state_dir: Path, pair: NamespacePair) -> NamespacePair:
    """Take the control namespace's name from a pod's namespace when FRR is to run in no pod.

    A namespace of our own can have the name then: frr-exec refuses a pod's. While the pod runs, it
    keeps name and devices, because FRR without its interfaces would withdraw all routes; the pair
    that is returned says so. Call this before `write`. Raises OSError.
    """
    before = read(state_dir)
    if not before or not before.pod or pair.pod or before.control != pair.control:
        return pair
    if not netns.exists(pair.control) or netns.pinned(pair.control):
        return pair
    if pair.make_control and netns.has_other_name(pair.control):
        log.info("namespace %s stays that of FRR's pod until the pod ends", pair.control)
        return replace(pair, after_pod=True)
    netns.remove(pair.control)
    log.info("namespace %s was that of FRR's pod; its name is free", pair.control)
    return pair


def write(state_dir: Path, pair: NamespacePair, host: str) -> Callable[[], bool]:
    """Record the namespaces, before absent ones are made. Raises OSError.

    Return a function that writes the file again if somebody removed it, and returns whether it did.
    """
    before = read(state_dir)
    made = set(before.made if before else ())
    for name, ours in (
        (pair.forwarding, pair.make_forwarding),
        (pair.control, pair.make_control),
    ):
        if ours and not netns.exists(name):
            made.add(name)
    if pair.after_pod:
        made.add(pair.control)
    pod = pair.pod or pair.after_pod
    found = NamespaceRecord(pair.forwarding, pair.control, host, tuple(sorted(made)), pod)
    _write(state_dir / NAME, found)

    def again() -> bool:
        if (state_dir / NAME).exists():
            return False
        _write(state_dir / NAME, found)
        return True

    return again


def _write(file: Path, found: NamespaceRecord) -> None:
    partial = file.with_suffix(".new")
    with partial.open("w", encoding="utf-8") as opened:
        json.dump(asdict(found), opened)
        opened.flush()
        os.fsync(opened.fileno())
    partial.replace(file)


def read(state_dir: Path) -> NamespaceRecord | None:
    """Return the record; None when the file is absent or malformed."""
    try:
        values = json.loads((state_dir / NAME).read_text(encoding="utf-8"))
        return NamespaceRecord(**{**values, "made": tuple(values["made"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget(state_dir: Path) -> None:
    (state_dir / NAME).unlink(missing_ok=True)
