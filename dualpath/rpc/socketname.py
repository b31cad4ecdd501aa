"""The name of a UNIX socket in the file system: made in one step, and noticed when it is gone.

Somebody may remove a socket, or its whole directory, under a program that listens. Nobody can
connect then, although the program is well; it has to bind again. A socket is bound beside its name
and renamed, so that it never has a wider mode, and libraries that unlink what they had bound (gRPC,
ZeroMQ) never unlink the next one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DIRECTORY_MODE = 0o750


class SocketName:
    """One name. Where its directory was no symbolic link at first, none is followed later."""

    def __init__(self, path: Path, mode: int) -> None:
        self.path = path
        self._mode = mode
        self._linked = path.parent.is_symlink()
        self._ours: tuple[int, int] | None = None

    @contextmanager
    def binding(self) -> Iterator[Path]:
        """Give the name to the socket that is bound, at once, to the yielded path. Raises OSError.

        Nothing may be awaited meanwhile: the umask is changed.
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
        """Make the directory unless it is there. Raises OSError."""
        make_directory(self.path.parent, linked=self._linked)

    def lost(self) -> bool:
        """Return whether the name is no longer that of our socket."""
        try:
            return _identity(self.path) != self._ours
        except OSError:
            return True

    def remove(self) -> None:
        """Take the name away, unless it is somebody else's; a stale one is in nobody's way."""
        if not self.lost():
            with suppress(OSError):
                self.path.unlink()


def make_directory(path: Path, *, linked: bool = False) -> None:
    """Make a directory unless it is there. Raises OSError where something else has its name."""
    if path.is_symlink() and not linked:
        text = "it is a symbolic link now: remove it"
        raise OSError(errno.ELOOP, text, str(path))
    try:
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    except FileExistsError:
        text = "it is no directory any more: remove it"
        raise OSError(errno.ENOTDIR, text, str(path)) from None


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
