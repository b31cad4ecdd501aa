"""Let only one process run: a file lock, which the kernel releases when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Held(Exception):
    """Another process has the lock."""


@contextmanager
def alone(path: Path) -> Iterator[Callable[[], bool]]:
    """Lock the file `path` for the length of the block. Raises Held if another process has it.

    The directory must exist. The yielded function locks the file again if somebody removed it, and
    returns whether it did. It raises OSError, EBUSY if another process locked it first.

    The file is not removed at the end: otherwise the next two processes could each lock a file of
    their own. It is opened for reading: a file open for writing would prevent a read-only remount.
    """
    held = [_open(path)]

    def renew() -> bool:
        if path.exists() and os.path.samestat(os.fstat(held[0]), path.lstat()):
            return False
        fd = _open(path)
        try:
            _take(fd, path)
        except Held:
            os.close(fd)
            raise OSError(errno.EBUSY, "another process has its lock now", str(path)) from None
        os.close(held[0])
        held[0] = fd
        return True

    try:
        _take(held[0], path)
        yield renew
    finally:
        os.close(held[0])


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _take(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Held(path) from None


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock. Creates no file."""
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
