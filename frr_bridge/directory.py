"""Files and sockets in directories that another user owns, without following that user's links.

FRR's user owns /etc/frr and /run/frr. If root opened a path there, that user could replace it with
a link, a FIFO or a device, before or after a check. Root would then write, give away or read any
file. So a directory is opened once, component by component, and its entries by its descriptor:

- a link is followed only in a directory that only root can write to (/var/run is one);
- a new file is created with O_EXCL and changed by its descriptor only, so its name does not matter;
- an existing file is checked before it is opened for reading (O_PATH): it must be a regular file
  with one name, of bounded size, that the owner of the directory may read anyway;
- a socket is checked in the same way, and that user must listen on it.

Renaming and removing need no such care: they act on names, and the names belong to the owner.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import stat
import struct
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from frr_bridge.rights import Rights

LARGEST = 64 << 20
"""Bytes read of a file. A frr.conf of 4,000 VRFs has 3 MB."""
MOST_ENTRIES = 1000
"""Most entries to remove from a private directory; its owner may have filled it meanwhile."""
MOST_LINKS = 40  # as in the kernel, path_resolution(7)
UCRED = struct.Struct("=iII")  # struct ucred in sys/socket.h: pid, uid, gid
PRIVATE_FILE, PRIVATE_DIRECTORY = 0o600, 0o700
AS_IT_IS = "surrogateescape"  # a file in Latin-1 is written back unchanged
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Unsafe(OSError):
    """A file or socket that must not be used; the text gives the reason."""


class Directory:
    """A directory of `rights`' user, held open for the length of a block."""

    def __init__(self, path: Path, rights: Rights) -> None:
        self.path = path
        self._rights = rights
        self._fd = -1

    def __enter__(self) -> Directory:
        self._fd = open_directory(self.path)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        self._fd = -1

    def read(self, name: str) -> str | None:
        """Return a file's contents, None when it does not exist. Raises Unsafe."""
        try:
            look = os.open(name, _LOOK, dir_fd=self._fd)
        except FileNotFoundError:
            return None
        try:
            self._check(name, os.fstat(look))
            # Open it by the descriptor: the name may lead to another file now, but this one was
            # checked.
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            with open(os.open(f"/proc/self/fd/{look}", flags), "rb") as file:
                data = file.read(LARGEST + 1)
        finally:
            os.close(look)
        if len(data) > LARGEST:
            raise self._unsafe(name, f"it has more than {LARGEST >> 20} MiB")
        return data.decode("utf-8", errors=AS_IT_IS)

    def exists(self, name: str) -> bool:
        """Report whether the name is in use."""
        try:
            os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    @contextlib.contextmanager
    def candidate(self, prefix: str, text: str, mode: int) -> Iterator[Path]:
        """Write `text` to a new file; remove it after the block unless it was renamed."""
        name = f"{prefix}{secrets.token_hex(8)}"
        self.create(name, text, mode)
        try:
            yield self.path / name
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._fd)

    def create(self, name: str, text: str, mode: int) -> None:
        """Create a file of the directory's user. Raises FileExistsError when the name is in use."""
        _create(self._fd, name, text, mode, self._rights)

    def replace(self, name: str, by: str) -> None:
        """Rename the file `by` to `name`, and replace the file of that name."""
        os.rename(by, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    @contextlib.contextmanager
    def private(self, prefix: str, files: Mapping[str, str]) -> Iterator[Path]:
        """Create a directory that only the user may enter, with files; remove it afterwards."""
        name = f"{prefix}{secrets.token_hex(8)}"
        os.mkdir(name, PRIVATE_DIRECTORY, dir_fd=self._fd)
        try:
            with self._own(name) as inner:
                try:
                    for file, text in files.items():
                        _create(inner, file, text, PRIVATE_FILE, self._rights)
                    _give(inner, self._rights)
                    yield self.path / name
                finally:
                    _empty(inner)
        finally:
            with contextlib.suppress(OSError):
                os.rmdir(name, dir_fd=self._fd)

    @contextlib.contextmanager
    def _own(self, name: str) -> Iterator[int]:
        """Open the directory that was just created, and no other one."""
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._fd)
        try:
            found = os.fstat(fd)
            ours = found.st_uid == os.geteuid()
            if not ours or stat.S_IMODE(found.st_mode) != PRIVATE_DIRECTORY or os.listdir(fd):
                raise self._unsafe(name, "another process replaced it")
            yield fd
        finally:
            os.close(fd)

    def _check(self, name: str, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise self._unsafe(name, f"it is {_KINDS.get(stat.S_IFMT(found.st_mode), 'no file')}")
        if found.st_nlink != 1:
            raise self._unsafe(name, f"it has {found.st_nlink} names (hard links)")
        if found.st_size > LARGEST:
            raise self._unsafe(name, f"it has more than {LARGEST >> 20} MiB")
        rights = self._rights
        readable = (
            (found.st_uid == rights.uid and found.st_mode & stat.S_IRUSR)
            or (found.st_gid in (rights.gid, *rights.groups) and found.st_mode & stat.S_IRGRP)
            or found.st_mode & stat.S_IROTH
        )
        if not readable:
            raise self._unsafe(name, "FRR's user may not read it")

    def _unsafe(self, name: str, why: str) -> Unsafe:
        return Unsafe(errno.EPERM, f"not used: {why}", str(self.path / name))


_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def connect_to(path: Path, uid: int) -> socket.socket:
    """Connect to a UNIX socket that a process of user `uid` listens on, and return it non-blocking.

    Raises Unsafe if another user's process listens: with a link in place of a daemon's socket,
    FRR's user could make root send commands to a service that obeys root. Raises OSError when no
    process listens.
    """
    directory = open_directory(path.parent)
    try:
        look = os.open(path.name, _LOOK, dir_fd=directory)
    finally:
        os.close(directory)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        if not stat.S_ISSOCK(os.fstat(look).st_mode):
            raise Unsafe(errno.ENOTSOCK, "not used: it is no socket", str(path))
        connection.connect(f"/proc/self/fd/{look}")
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
        listener = UCRED.unpack(peer)[1]  # of the process that called listen(2), unix(7)
        if listener != uid:
            raise Unsafe(errno.EPERM, f"not used: user {listener} listens", str(path))
    except OSError:
        connection.close()
        raise
    finally:
        os.close(look)
    return connection


def open_directory(path: Path) -> int:
    """Open a directory by an absolute path; follow links only where only root can create them.

    Raises Unsafe for other links, and FileNotFoundError with the whole path.
    """
    parts = deque(path.parts[1:])
    links = 0
    fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while parts:
            part = parts.popleft()
            target = _target(part, fd)
            if target is None:
                inner = os.open(part, _LOOK | os.O_DIRECTORY, dir_fd=fd)
            else:
                links += 1
                if links > MOST_LINKS or not _only_ours_to_change(fd):
                    raise Unsafe(errno.ELOOP, f"not used: {part} is a link", str(path))
                parts.extendleft(reversed(Path(target).parts))
                if not target.startswith("/"):
                    continue
                parts.popleft()
                inner = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            os.close(fd)
            fd = inner
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise type(error)(error.errno, os.strerror(error.errno or 0), str(path)) from error
    finally:
        os.close(fd)


def _target(part: str, directory: int) -> str | None:
    """Return the target of a link, None when the name is no link."""
    try:
        return os.readlink(part, dir_fd=directory)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise


def _only_ours_to_change(directory: int) -> bool:
    found = os.fstat(directory)
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _create(directory: int, name: str, text: str, mode: int, rights: Rights) -> None:
    """Write a new file. Until it is complete, only this process's user can open it."""
    fd = os.open(name, _NEW, PRIVATE_FILE, dir_fd=directory)
    with open(fd, "w", encoding="utf-8", errors=AS_IT_IS) as file:
        file.write(text)
        file.flush()
        os.fchmod(fd, mode)
        _give(fd, rights)
        os.fsync(fd)


def _give(fd: int, rights: Rights) -> None:
    if not rights.ours:
        os.fchown(fd, rights.uid, rights.gid)


def _empty(directory: int) -> None:
    """Remove the files. A subdirectory was created by the directory's owner, and stays."""
    with os.scandir(directory) as entries:
        names = [entry.name for entry in islice(entries, MOST_ENTRIES)]
    for name in names:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=directory)
