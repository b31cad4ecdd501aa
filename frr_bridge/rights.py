"""The rights of FRR's user, who runs FRR's programs and owns FRR's directories.

An attacker who controls a daemon of FRR can write in /etc/frr and /run/frr, and can send any reply
to vtysh. So a process that reads those files and replies must not be root.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

USER = "frr"
HOME = Path("/etc/frr")  # its parent directory belongs to root, so only root can replace it


@dataclass(frozen=True, slots=True)
class Rights:
    """A user, a group and supplementary groups, by number."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    @property
    def ours(self) -> bool:
        """Whether this process has these rights already."""
        return (self.uid, self.gid) == (os.geteuid(), os.getegid())

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Return a command line that runs `arguments` with these rights, and never with more."""
        if self.ours:
            return list(arguments)
        groups = ",".join(map(str, self.groups))
        return [
            "setpriv",
            f"--reuid={self.uid}",
            f"--regid={self.gid}",
            f"--groups={groups}" if groups else "--clear-groups",
            "--inh-caps=-all",
            "--no-new-privs",
            "--",
            *arguments,
        ]


def ours() -> Rights:
    """Return the rights of this process."""
    return Rights(os.geteuid(), os.getegid(), tuple(os.getgroups()))


def of_frr(home: Path = HOME) -> Rights:
    """Return the rights of FRR's user; look each time, because FRR may be installed later.

    Without a user `frr`, use the owner of `home`. Only root can take another user's rights.
    """
    if os.geteuid() != 0:
        return ours()
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        return _of_owner(home)
    return Rights(user.pw_uid, user.pw_gid, tuple(os.getgrouplist(USER, user.pw_gid)))


def _of_owner(home: Path) -> Rights:
    try:
        owner = home.stat()
    except FileNotFoundError:
        return ours()
    return Rights(owner.st_uid, owner.st_gid, (owner.st_gid,))
