"""The datapath that forwards, and a switch in progress: one file in the state directory.

It is written before a switch does anything, and again when the switch is over. A controller that
starts reads it: a switch with `to` was interrupted, and is rolled back. Without the file the
datapath of the command line forwards. A file of an earlier boot is ignored: its devices are gone.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from controller.core.switchcontracts import SwitchState

NAME = "switch.json"
MODE = 0o600
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
FIELDS = {field.name for field in fields(SwitchState)}


@dataclass(frozen=True, slots=True)
class SwitchFile:
    """Reads and writes the file."""

    state_dir: Path

    def read(self) -> SwitchState | None:
        """Return the content that was written in this boot; None without one, or if malformed."""
        try:
            stored = json.loads((self.state_dir / NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if (
            not isinstance(stored, dict)
            or stored.pop("boot", "") != _boot()
            or not _is_sound(stored)
        ):
            return None
        stored |= {"ports": tuple(stored["ports"]), "before": tuple(stored["before"])}
        return SwitchState(**stored)

    def write(self, state: SwitchState) -> None:
        """Write the file, or remove it if there is no second datapath. Raises OSError."""
        file = self.state_dir / NAME
        if not state.second:
            file.unlink(missing_ok=True)
            return
        partial = file.with_suffix(".new")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            json.dump({**asdict(state), "boot": _boot()}, opened)
            opened.flush()
            os.fsync(opened.fileno())
        partial.replace(file)


def _is_sound(stored: dict[str, Any]) -> bool:
    if stored.keys() != FIELDS:
        return False
    lists = stored["ports"], stored["before"]
    if not all(isinstance(it, list) and all(isinstance(n, str) for n in it) for it in lists):
        return False
    if not all(isinstance(stored[name], bool) for name in ("second", "keep")):
        return False
    deadline = stored["deadline"]
    number = isinstance(deadline, int | float) and math.isfinite(deadline)
    return number and isinstance(stored["active"], str) and isinstance(stored["to"], str)


def _boot() -> str:
    return BOOT_ID.read_text().strip()
