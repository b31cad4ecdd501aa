"""Which namespaces a controller uses, and which of them it made: a file of its state directory.

`dualpath down` reads it, whether the controller is still there or not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from controller.node.provision import Spaces
from datapaths.linux import netns

NAME = "footprint.json"


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a controller left on the machine beside devices, which are marked."""

    forwarding: str
    control: str = ""
    host: str = ""
    made: tuple[str, ...] = ()  # namespaces, by name or path


def note(state_dir: Path, spaces: Spaces, host: str) -> Callable[[], bool]:
    """Write down the namespaces, before those that are absent are made. Raises OSError.

    What is returned writes it again where somebody removed it, and tells whether it did.
    """
    before = read(state_dir)
    made = set(before.made if before else ())
    for name, ours in (
        (spaces.forwarding, spaces.make_forwarding),
        (spaces.control, spaces.make_control),
    ):
        if ours and not netns.exists(name):
            made.add(name)
    found = Footprint(spaces.forwarding, spaces.control, host, tuple(sorted(made)))
    _write(state_dir / NAME, found)

    def again() -> bool:
        if (state_dir / NAME).exists():
            return False
        _write(state_dir / NAME, found)
        return True

    return again


def _write(file: Path, found: Footprint) -> None:
    partial = file.with_suffix(".new")
    with partial.open("w", encoding="utf-8") as opened:
        json.dump(asdict(found), opened)
        opened.flush()
        os.fsync(opened.fileno())
    partial.replace(file)


def read(state_dir: Path) -> Footprint | None:
    """Return what was written down; None when there is nothing, or nothing that makes sense."""
    try:
        told = json.loads((state_dir / NAME).read_text(encoding="utf-8"))
        return Footprint(**{**told, "made": tuple(told["made"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget(state_dir: Path) -> None:
    (state_dir / NAME).unlink(missing_ok=True)
