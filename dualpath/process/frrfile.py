"""Names of the file with FRR's last good configuration, in the state directory.

frr-bridge writes it (`frr_bridge.lastconfig`) and the controller removes it. Its name has a digest
of the controller's settings, so that the controller need not read it. At most one file exists.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

PREFIX = "last-frr-conf."
PARTIAL = ".last-frr-conf."
"""Of a file that is not complete."""


def name_of(settings: bytes) -> str:
    """Return the name of the file for settings as the controller sends them."""
    return PREFIX + hashlib.sha256(settings).hexdigest()[:32]


def found(state_dir: Path) -> list[Path]:
    """Return the files. Raises OSError."""
    return [path for path in state_dir.iterdir() if path.name.startswith(PREFIX)]


def forget(state_dir: Path, but: str = "") -> None:
    """Remove all files but one, also those that are not complete. Raises OSError."""
    for path in state_dir.iterdir():
        if path.name.startswith((PREFIX, PARTIAL)) and path.name != but:
            path.unlink(missing_ok=True)


def forget_other(state_dir: Path, settings: bytes) -> None:
    """Remove the file unless it is that of `settings`. Raises OSError."""
    forget(state_dir, name_of(settings))
