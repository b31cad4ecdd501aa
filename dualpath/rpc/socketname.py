"""The path of a UNIX socket: created atomically, and created again if somebody removes it.

Somebody may remove a socket, or its directory, while a program listens. The program runs, but no
client can connect, so it has to bind again. A socket is bound to a temporary path and renamed. So
it never has a wider mode, and a library that unlinks its old socket at the end (gRPC, ZeroMQ) does
not unlink the new one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DIRECTORY_MODE = 0o750


class SocketName:
    """One path. If its directory was not a symbolic link at first, a later link is not followed."""

    def __init__(self, path: Path, mode: int) -> None:
        self.path = path
        self._mode = mode
        self._linked = path.parent.is_symlink()
        self._ours: tuple[int, int] | None = None

    @contextmanager
    def binding(self) -> Iterator[Path]:
        """Yield a temporary path; at the end of the block, rename the socket bound to it.

        Do not await in the block: the umask of the process is changed. Raises OSError.
        """
        self.make_directory()
        beside = self.path.with_name(f"{self.path.name[:-1]}~")  # as short: paths have 107 bytes
        beside.unlink(missing_ok=True)
        umask = os.umask(0o777 & ~self._mode)
        try:
            yield beside
        finally:
            os.umask(umask)
        beside.chmod(self._mode)
        self._ours = _identity(beside)
        beside.rename(self.path)

    def make_directory(self) -> None:
        """Create the directory if it does not exist. Raises OSError."""
        make_directory(self.path.parent, linked=self._linked)

    def lost(self) -> bool:
        """Return whether the path no longer leads to our socket."""
        try:
            return _identity(self.path) != self._ours
        except OSError:
            return True

    def remove(self) -> None:
        """Remove the socket's file, unless it is another process's."""
        if not self.lost():
            with suppress(OSError):
                self.path.unlink()


def make_directory(path: Path, *, linked: bool = False) -> None:
    """Create a directory if it does not exist. Raises OSError if something else has its path."""
    if path.is_symlink() and not linked:
        text = "it has become a symbolic link: remove it"
        raise OSError(errno.ELOOP, text, str(path))
    try:
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    except FileExistsError:
        text = "it is not a directory any more: remove it"
        raise OSError(errno.ENOTDIR, text, str(path)) from None


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
