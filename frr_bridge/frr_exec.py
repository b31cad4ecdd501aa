"""`frr-exec`: run FRR in the namespaces that the controller created, without rights elsewhere.

It replaces itself by the command, which then runs

- in FRR's network and user namespaces: as root there, and as a user without rights outside;
- in a mount namespace of its own, owned by the machine's root, so that FRR cannot mount there; the
  pinned namespaces and Dualpath's sockets are hidden in it; and in an IPC namespace;
- without the capabilities that FRR does not need, and unable to gain any (no-new-privs).

A process namespace would hide more, but FRR's pid files would mean nothing outside: `frrinit.sh`
and systemd read them.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from datapaths.linux import idmap, netns
from dualpath.process import options
from frr_bridge.rights import of_frr

CLONE_NEWNS, CLONE_NEWIPC = 0x00020000, 0x08000000  # linux/sched.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 1 << 14, 1 << 18
HIDDEN = (Path("/run/netns"), Path("/run/dualpath"))
DIRECTORIES = (Path("/run/frr"), Path("/var/tmp/frr"))  # sockets; crash logs

CAPABILITIES = (
    "chown",  # frrinit.sh creates directories of user frr
    "dac_override",  # watchfrr is root there, and its files are in user frr's directory
    "fowner",
    "kill",  # watchfrr stops daemons
    "setgid",  # a daemon becomes user frr
    "setuid",
    "net_bind_service",  # BGP's port
    "net_admin",
    "net_raw",
    "sys_admin",  # zebra, bgpd and bfdd do not start without it
)
"""What FRR's daemons and scripts use; valid in FRR's namespaces only."""

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    arguments = _parse(sys.argv[1:])
    try:
        command = confined(arguments.command, arguments.netns, arguments.userns_dir)
        _make_directories()
        _hide()
        os.execvp(command[0], command)
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        sys.exit(f"frr-exec: {what}{error.strerror}")


def confined(command: Sequence[str], name: str, userns_dir: Path) -> list[str]:
    """Return a command line that runs `command` in FRR's network and user namespaces.

    Only this process can execute it: the pins are hidden by then, so it names open descriptors.
    Ends the process with one sentence when the namespaces are not as required.
    """
    if not netns.exists(name):
        sys.exit(f"frr-exec: no network namespace {name}; start the controller first")
    userns = netns.userns_path(name, userns_dir)
    if not netns.isolated(name) or not netns.pinned(name, userns_dir):
        sys.exit(
            f"frr-exec: namespace {name} has no user namespace of its own, {userns}; see "
            "docs/SECURITY.md for what that means, and start FRR by nsenter"
        )
    _check_map(name, userns)
    # They are FRR's own namespaces, so FRR may have the descriptors.
    net, user = (os.open(path, os.O_RDONLY) for path in (netns.path_of(name), userns))
    for fd in (net, user):
        os.set_inheritable(fd, True)
    return [
        *("nsenter", f"--user=/proc/self/fd/{user}", f"--net=/proc/self/fd/{net}", "--"),
        *("setpriv", "--bounding-set", ",".join(["-all", *(f"+{c}" for c in CAPABILITIES)])),
        *("--inh-caps=-all", "--no-new-privs", "--"),
        *command,
    ]


def _hide() -> None:
    _check(_libc.unshare(CLONE_NEWNS | CLONE_NEWIPC), "unshare")
    _check(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount --make-rprivate /")
    flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
    for directory in HIDDEN:
        if directory.is_dir():
            code = _libc.mount(b"none", os.fsencode(directory), b"tmpfs", flags, b"mode=0555")
            _check(code, f"mount on {directory}")


def _check_map(name: str, userns: Path) -> None:
    """Refuse a namespace whose root is the machine's root, or that does not map user frr."""
    asked = ["nsenter", f"--user={userns}", "--", "cat", "/proc/self/uid_map"]
    users = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=False).stdout
    if idmap.outside(users, 0) == 0:
        sys.exit(
            f"frr-exec: root of namespace {name} is the machine's root, as an earlier version of "
            "Dualpath made it; stop FRR, delete the namespace and start the controller again"
        )
    for uid in idmap.frr_users():
        if idmap.outside(users, uid) != uid:
            sys.exit(
                f"frr-exec: namespace {name} does not know user {idmap.USER}, as FRR was installed "
                "later; delete the namespace and start the controller again"
            )


def _make_directories() -> None:
    """Create the directories of FRR that no package creates, and give them to FRR's user.

    Root inside the user namespace can neither create them nor use those of the machine's root.
    Their parents belong to root, or are sticky as /var/tmp, so only root can have created a
    directory of root.
    """
    rights = of_frr()
    for path in DIRECTORIES:
        with suppress(FileExistsError):
            path.mkdir(0o755)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # a link or a file: FRR reports what it cannot do
        if os.fstat(fd).st_uid == 0:
            os.fchown(fd, rights.uid, rights.gid)
        os.close(fd)


def _check(code: int, what: str) -> None:
    if code != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = options.Parser(
        prog="frr-exec",
        description="Runs FRR in the namespaces that the controller created for it.",
        epilog="example:\n  frr-exec --netns frr -- /usr/lib/frr/frrinit.sh start",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_version(parser)
    parser.add_argument(
        "--netns",
        type=options.namespace,
        default="frr",
        help="FRR's network namespace, by name or path (%(default)s)",
    )
    parser.add_argument(
        "--userns-dir",
        type=options.path,
        default=netns.USERNS_DIR,
        metavar="PATH",
        help="where its user namespace is pinned (%(default)s)",
    )
    parser.add_argument("command", nargs="*", help="what to run there, after --")
    # The words after -- belong to another program: do not parse them.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    parsed = parser.parse_args(arguments[:end])
    parsed.command += arguments[end + 1 :]
    if not parsed.command:
        parser.error("give the command to run, after --")
    return parsed


if __name__ == "__main__":
    main()
