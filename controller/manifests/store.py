"""The last manifests that FRR took, in a file of the state directory.

They are for a start with manifests that are broken: an earlier version stays in force then as it
does while the controller runs. Nobody but root may read the file, as passwords are in it.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from controller.intent.documents import ManifestError
from controller.intent.node import NodeOverrides
from controller.intent.schema import Resources
from controller.intent.written import decode, encode

log = logging.getLogger(__name__)

NAME = "last-good"  # no suffix of a manifest's: the directory may be that of --config
PENDING = "last-good-if-confirmed"
MODE = 0o600


def save(directory: Path, resources: Resources, name: str = NAME) -> None:
    """Keep these resources instead of those kept before; whatever fails is said, and no more."""
    file = directory / name
    partial = file.with_suffix(".new")
    try:
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(encode(resources))
        partial.replace(file)
    except OSError as error:
        log.warning("%s: %s; a restart will not know what was last good", file, error.strerror)


def promote(directory: Path) -> None:
    """Let what was kept to be confirmed be the last good. Raises OSError."""
    with suppress(FileNotFoundError):
        (directory / PENDING).replace(directory / NAME)


def forget_pending(directory: Path) -> None:
    """Remove what was kept to be confirmed; passwords are in it. Raises OSError."""
    (directory / PENDING).unlink(missing_ok=True)


def restore(directory: Path, overrides: NodeOverrides) -> Resources:
    """Return what was kept; nothing when there is no such file, or not one of ours."""
    file = directory / NAME
    try:
        return decode(file.read_text(encoding="utf-8"), str(file), overrides)
    except FileNotFoundError:
        return Resources()
    except (OSError, UnicodeDecodeError, ManifestError) as error:
        log.warning("%s: %s; it is left alone", file, error)
        return Resources()
