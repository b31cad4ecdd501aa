"""One process at a time: a lock on a file, which the kernel takes back when its holder dies."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Held(Exception):
    """Another process has the lock."""


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock on `path`, whose directory exists. Raises Held at once when another has it.

    The file stays: without it, the next two could each lock a file of their own.
    """
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Held(path) from None
        yield
