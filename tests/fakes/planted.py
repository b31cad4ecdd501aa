"""Files that FRR's user may plant in root's way, and a watch over files that must stay."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from frr_bridge.rights import Rights

FRR = Rights(uid=4242, gid=4243, groups=(4243, 4244))
SECRET = "root:$6$secret\n"


@dataclass(frozen=True, slots=True)
class Outside:
    """A directory of root's, with a secret in it."""

    path: Path

    @property
    def secret(self) -> Path:
        return self.path / "shadow"

    def state(self) -> dict[str, tuple[int, int, int, bytes]]:
        """Return owner, group, mode and contents of the directory and all in it."""
        found = {".": self._of(self.path)}
        for entry in self.path.iterdir():
            found[entry.name] = self._of(entry)
        return found

    @staticmethod
    def _of(path: Path) -> tuple[int, int, int, bytes]:
        status = path.lstat()
        contents = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        return status.st_uid, status.st_gid, status.st_mode, contents


@contextlib.contextmanager
def untouched(path: Path) -> Iterator[Outside]:
    """Create a directory of root's, and check after the block that it is unchanged."""
    path.mkdir()
    outside = Outside(path)
    outside.secret.write_text(SECRET)
    outside.secret.chmod(0o600)
    (path / "vtysh.conf").write_text("root's\n")
    before = outside.state()
    yield outside
    assert outside.state() == before


def _device(path: Path, _: Outside) -> None:
    os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))  # /dev/zero


def _socket(path: Path, _: Outside) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _huge(path: Path, _: Outside) -> None:
    path.touch(0o644)
    os.truncate(path, 1 << 40)


OBSTACLES: dict[str, Callable[[Path, Outside], object]] = {
    "a link to a file": lambda path, outside: path.symlink_to(outside.secret),
    "a link to nothing": lambda path, outside: path.symlink_to(outside.path / "new"),
    "a link to a device": lambda path, _: path.symlink_to("/dev/zero"),
    "a hard link": lambda path, outside: path.hardlink_to(outside.secret),
    "a FIFO": lambda path, _: os.mkfifo(path),
    "a device": _device,
    "a socket": _socket,
    "a huge file": _huge,
}
