"""Which users FRR's user namespace knows, and who they are outside (user_namespaces(7)).

Root inside must be nobody outside: files, UNIX sockets and setuid programs know no namespaces. Only
FRR's own user and groups are the same inside and outside, as its files have to be.

    inside      0 .. 986           987    988 .. 65535          with 987 the user frr
    outside     2130706432 ..      987    2130707420 ..

Everybody else of the machine, root first, is unmapped: inside they show as 65534, and nobody there
can become them.
"""

from __future__ import annotations

import grp
import pwd
from collections.abc import Collection, Iterator
from contextlib import suppress

USER, GROUPS = "frr", ("frr", "frrvty")
COUNT = 65536
FIRST = 0x7F000000
"""Above what login.defs, systemd and SSSD give out (2,000,200,000 is the highest), and below 2**31
and systemd's foreign users (2,147,352,576)."""


def lines(kept: Collection[int]) -> str:
    """Return uid_map or gid_map: `kept` are the same on both sides, others are outside range."""
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in _ranges(kept))


def outside(mapping: str, number: int) -> int | None:
    """Return who `number` is outside by the text of a uid_map, None when it is unmapped."""
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
    for number in sorted(n for n in kept if 0 < n < COUNT):  # root is never the same
        if number > start:
            yield start, FIRST + start, number - start
        yield number, number, 1
        start = number + 1
    if start < COUNT:
        yield start, FIRST + start, COUNT - start
