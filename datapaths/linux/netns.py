"""Find, enter, create and delete network namespaces. Changes no device but `lo`.

A namespace has a name as in `ip netns` (a file in /run/netns). A text with a slash is a path, and
"" is the namespace of this process.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from datapaths.base import Unsupported
from datapaths.linux import idmap

RUN_DIR = Path("/run/netns")
USERNS_DIR = Path("/run/dualpath/userns")

CLONE_NEWNET = 0x40000000  # sched.h
NS_GET_USERNS = 0xB701  # _IO(NSIO, 0x1) in linux/nsfs.h
MS_BIND, MS_REC, MS_SHARED = 1 << 12, 1 << 14, 1 << 20  # linux/mount.h
MNT_DETACH = 2
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
LIMITS = [
    f"/proc/sys/user/max_{kind}_namespaces"
    for kind in ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
]
"""Limits of the current user namespace; namespaces below it count too (namespaces(7))."""

Identity = tuple[int, int]
ABSENT: Identity = 0, 0

_libc = ctypes.CDLL(None, use_errno=True)


def path_of(netns: str) -> str:
    """Return the path of a namespace's file."""
    if not netns:
        return "/proc/self/ns/net"
    return netns if "/" in netns else f"{RUN_DIR}/{netns}"


def exists(netns: str) -> bool:
    """Return whether a namespace exists. Its file may remain, empty, after it was deleted."""
    return identity(netns) != ABSENT


def same(a: str, b: str) -> bool:
    """Return whether two names or paths mean the same namespace."""
    first, second = os.stat(path_of(a)), os.stat(path_of(b))
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def has_other_name(netns: str) -> bool:
    """Return whether a namespace has one more name in RUN_DIR, such as that of a pod's runtime."""
    found, own = identity(netns), Path(path_of(netns))
    others = (path for path in RUN_DIR.iterdir() if path != own)
    return any(identity(str(path)) == found for path in others)


def identity(netns: str) -> Identity:
    """Return the device and inode of a namespace; ABSENT when no namespace has that name.

    The kernel reuses the inode of a namespace that is gone. So keep a namespace open
    (`keep_alive`) while you compare its identity with later ones.
    """
    try:
        found = os.stat(path_of(netns))
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    if found.st_dev != os.stat("/proc/self/ns/net").st_dev:
        return ABSENT  # the empty file that an unmounted namespace leaves behind
    return found.st_dev, found.st_ino


def keep_alive(netns: str) -> int:
    """Return a descriptor that keeps a namespace alive after its name is deleted.

    It is opened through /proc, not by the name. By the name, it would keep the name's mount: if
    `restore` mounted from that, a later umount would not reach all mount namespaces
    (propagate_umount in fs/pnode.c).
    """
    with entered(netns):
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def restore(netns: str, descriptor: int) -> None:
    """Give the namespace of a descriptor (`keep_alive`) its name again. Raises OSError."""
    # Do not mount RUN_DIR again: that would cover it, and `ip netns del` could not remove names.
    _pin(f"/proc/self/fd/{descriptor}", Path(path_of(netns)), share=False)


@contextmanager
def entered(netns: str) -> Iterator[None]:
    """Move this thread into a namespace for the length of the `with` block.

    Sockets and files below /proc/sys that are opened in the block belong to that namespace for
    good, and so do threads and processes that are started in it. Do not await in the block: other
    tasks of the thread would run in the namespace too.
    """
    with _opened("/proc/thread-self/ns/net") as home:
        with _opened(path_of(netns)) as there:
            _setns(there)
        try:
            yield
        finally:
            _setns(home)


def create(netns: str) -> None:
    """Create a namespace if it does not exist, and set `lo` up."""
    if not exists(netns):
        with _opened("/proc/thread-self/ns/net") as home:
            _check(_libc.unshare(CLONE_NEWNET), "unshare")
            try:
                _pin("/proc/thread-self/ns/net", Path(path_of(netns)))
            finally:
                _setns(home)
    _raise_loopback(netns)


def create_isolated(netns: str, userns_dir: Path = USERNS_DIR) -> None:
    """Create a namespace that a user namespace of its own owns, if it does not exist; set `lo` up.

    Root inside has rights over that namespace only. For files, root inside is a user id that no
    account has (`idmap`). No process inside can create further namespaces. The user namespace is
    pinned as `userns_dir`/NAME, and `frr-exec` runs programs in it. Raises Unsupported if the host
    does not allow user namespaces, and FileExistsError if the namespace exists without a user
    namespace of its own.
    """
    if not exists(netns):
        _create_owned(netns, userns_dir)
    elif not isolated(netns):
        raise FileExistsError(
            errno.EEXIST,
            f"namespace {netns} exists and is not isolated: delete it (`ip netns del {netns}`), "
            "or use it without isolation",
        )
    elif not pinned(netns, userns_dir):
        with _opened(path_of(netns)) as net, _closing(fcntl.ioctl(net, NS_GET_USERNS)) as owner:
            _pin(f"/proc/self/fd/{owner}", userns_path(netns, userns_dir))
    _raise_loopback(netns)


def userns_path(netns: str, userns_dir: Path = USERNS_DIR) -> Path:
    """Return where `create_isolated` pins the user namespace: the argument of `nsenter --user=`."""
    return userns_dir / Path(path_of(netns)).name


def isolated(netns: str) -> bool:
    """Return whether another user namespace than this process's owns a namespace."""
    with _opened(path_of(netns)) as net, _closing(fcntl.ioctl(net, NS_GET_USERNS)) as owner:
        return os.fstat(owner).st_ino != os.stat("/proc/self/ns/user").st_ino


def pinned(netns: str, userns_dir: Path = USERNS_DIR) -> bool:
    """Return whether the pin under a namespace's name is the user namespace that owns it."""
    try:
        pin = userns_path(netns, userns_dir).stat()
    except FileNotFoundError:
        return False
    with _opened(path_of(netns)) as net, _closing(fcntl.ioctl(net, NS_GET_USERNS)) as owner:
        return os.path.samestat(os.fstat(owner), pin)


def forget_former_owner(netns: str, userns_dir: Path = USERNS_DIR) -> None:
    """Remove the pin if another namespace than the one it belongs to has the name now.

    The router waits for both files before it starts FRR, and fails if they belong to two owners.
    """
    if not pinned(netns, userns_dir):
        _unpin(userns_path(netns, userns_dir))


def remove(netns: str, userns_dir: Path = USERNS_DIR) -> None:
    """Delete a namespace's name; the kernel frees it after its last process and descriptor.

    A name that does not exist is fine.
    """
    _unpin(Path(path_of(netns)))
    _unpin(userns_path(netns, userns_dir))


def _create_owned(netns: str, userns_dir: Path) -> None:
    # A helper process creates both namespaces and lives until they are pinned: the kernel lets only
    # single-threaded processes create a user namespace.
    try:
        holder = subprocess.Popen(
            ["unshare", "--user", "--net", "cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError:
        raise Unsupported("the `unshare` command (util-linux) is missing") from None
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stderr is not None
        with suppress(BrokenPipeError):
            holder.stdin.write(b"\n")
            holder.stdin.flush()
        if not holder.stdout.readline():
            reason = holder.stderr.read().decode(errors="replace").strip()
            raise Unsupported(f"no user namespaces on this host ({reason})")
        proc = Path("/proc") / str(holder.pid)
        try:
            (proc / "uid_map").write_text(idmap.lines(idmap.frr_users()))
            (proc / "gid_map").write_text(idmap.lines(idmap.frr_groups()))
        except PermissionError:
            text = "no permission to write uid_map and gid_map of a user namespace"
            raise Unsupported(text) from None
        _forbid_namespaces(proc / "ns/user")
        _pin(str(proc / "ns/user"), userns_path(netns, userns_dir))
        _pin(str(proc / "ns/net"), Path(path_of(netns)))


def _forbid_namespaces(userns: Path) -> None:
    """Forbid new namespaces inside a user namespace: most exploits of kernel bugs need them.

    Only a process with CAP_SYS_RESOURCE inside can undo this, and `frr-exec` gives it to none.
    """
    limits = [limit for limit in LIMITS if os.path.exists(limit)]
    done = subprocess.run(
        ["nsenter", f"--user={userns}", "--", "tee", "--", *limits],
        input=b"0\n",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise Unsupported(
            "cannot forbid new namespaces in a user namespace: "
            + done.stderr.decode(errors="replace").strip()
        )


def _raise_loopback(netns: str) -> None:
    with entered(netns), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14x", b"lo", 0)  # struct ifreq in net/if.h
        flags = struct.unpack_from("H", fcntl.ioctl(sock, SIOCGIFFLAGS, request), 16)[0]
        if not flags & IFF_UP:
            fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def _pin(source: str, target: Path, *, share: bool = True) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if share and target.parent == RUN_DIR:
        _share(RUN_DIR)
    _unpin(target)
    target.touch()
    try:
        _mount(source, target, MS_BIND)
    except OSError:
        target.unlink()
        raise


def _share(directory: Path) -> None:
    """Make later mounts below `directory` visible in all mount namespaces, as `ip netns` does."""
    try:
        _mount("", directory, MS_SHARED | MS_REC)
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: not a mount point yet
            raise
        _mount(str(directory), directory, MS_BIND | MS_REC)
        _mount("", directory, MS_SHARED | MS_REC)


def _unpin(path: Path) -> None:
    if not path.exists():
        return
    while _libc.umount2(os.fsencode(path), MNT_DETACH) == 0:
        pass
    path.unlink()


def _mount(source: str, target: Path, flags: int) -> None:
    code = _libc.mount(source.encode(), os.fsencode(target), b"none", flags, None)
    _check(code, f"mount on {target}")


def _setns(fd: int) -> None:
    _check(_libc.setns(fd, CLONE_NEWNET), "setns")  # os.setns needs Python 3.12


def _check(code: int, what: str) -> None:
    if code != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


@contextmanager
def _opened(path: str) -> Iterator[int]:
    with _closing(os.open(path, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        yield fd


@contextmanager
def _closing(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)
