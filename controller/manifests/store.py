"""Stores the last good manifests in a file of the state directory.

A start with broken manifests then keeps their earlier version in force, as a running controller
does. Only root may read the file, as it contains passwords.
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

NAME = "last-good"  # not the suffix of a manifest: the directory may be that of --config
PENDING = "last-good-if-confirmed"
MODE = 0o600


def save(directory: Path, resources: Resources, name: str = NAME) -> None:
    """Store these resources instead of the earlier ones; only log a failure."""
    file = directory / name
    partial = file.with_suffix(".new")
    try:
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(encode(resources))
        partial.replace(file)
    except OSError as error:
        log.warning("%s: %s; a restart will not find the last good manifests", file, error.strerror)


def promote(directory: Path) -> None:
    """Make the pending version the last good one. Raises OSError."""
    with suppress(FileNotFoundError):
        (directory / PENDING).replace(directory / NAME)


def forget_pending(directory: Path) -> None:
    """Remove the pending version, as it contains passwords. Raises OSError."""
    (directory / PENDING).unlink(missing_ok=True)


def restore(directory: Path, overrides: NodeOverrides) -> Resources:
    """Return the last good version; nothing if the file is absent or malformed."""
    file = directory / NAME
    try:
        return decode(file.read_text(encoding="utf-8"), str(file), overrides)
    except FileNotFoundError:
        return Resources()
    except (OSError, UnicodeDecodeError, ManifestError) as error:
        log.warning("%s: %s; ignoring the file", file, error)
        return Resources()
