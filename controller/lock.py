"""One process at a time: a lock on a file, which the kernel takes back when its holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Held(Exception):
    """Another process has the lock."""


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock on `path`, whose directory exists. Raises Held at once when another has it.

    The file stays: without it, the next two could each lock a file of their own. It is opened for
    reading, as one that is open for writing keeps its file system from being made read-only.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(fd, path)
        yield
    finally:
        os.close(fd)


def _take(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Held(path) from None


def is_held(path: Path) -> bool:
    """Tell whether somebody holds the lock; makes no file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
