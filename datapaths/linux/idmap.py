"""User ids of FRR's user namespace, mapped to those of the machine (user_namespaces(7)).

Files, UNIX sockets and setuid programs compare ids of the machine. So root inside must be an id
that no account of the machine has. Only FRR's own user and groups keep their ids, because FRR's
files belong to them.

    inside      0 .. 986           987    988 .. 65535          with 987 the user frr
    outside     2130706432 ..      987    2130707420 ..

All other ids of the machine, root first, are unmapped: inside they appear as 65534, and no process
there can become one of them.
"""

from __future__ import annotations

import grp
import pwd
from collections.abc import Collection, Iterator
from contextlib import suppress

USER, GROUPS = "frr", ("frr", "frrvty")
COUNT = 65536
FIRST = 0x7F000000
"""Above the ids that login.defs, systemd and SSSD assign (up to 2,000,200,000), and below systemd's
foreign users (from 2,147,352,576) and 2**31."""


def lines(kept: Collection[int]) -> str:
    """Return the text of uid_map or gid_map: ids in `kept` stay, others map above FIRST."""
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in _ranges(kept))


def outside(mapping: str, number: int) -> int | None:
    """Return the machine's id for `number` by the text of a uid_map; None if it is unmapped."""
    for line in mapping.splitlines():
        first, there, count = map(int, line.split())
        if first <= number < first + count:
            return there + number - first
    return None


def frr_users() -> set[int]:
    with suppress(KeyError):
        return {pwd.getpwnam(USER).pw_uid}
    return set()


def frr_groups() -> set[int]:
    found: set[int] = set()
    with suppress(KeyError):
        found.add(pwd.getpwnam(USER).pw_gid)
    for name in GROUPS:
        with suppress(KeyError):
            found.add(grp.getgrnam(name).gr_gid)
    return found


def _ranges(kept: Collection[int]) -> Iterator[tuple[int, int, int]]:
    start = 0
    for number in sorted(n for n in kept if 0 < n < COUNT):  # never root
        if number > start:
            yield start, FIRST + start, number - start
        yield number, number, 1
        start = number + 1
    if start < COUNT:
        yield start, FIRST + start, COUNT - start
