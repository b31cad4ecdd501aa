"""The output of `frr-reload.py --test`: the commands that it would give to FRR. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

VTYSH_ONLY = "service integrated-vtysh-config"
"""vtysh prints it depending on vtysh.conf; no daemon knows it."""
_DELETE, _ADD = "Lines To Delete", "Lines To Add"
_SHUTDOWN = re.compile(r" neighbor \S+ shutdown")
_NO_CHANGES = ("exit", VTYSH_ONLY, f"no {VTYSH_ONLY}")


@dataclass(frozen=True, slots=True)
class Difference:
    """Commands. Each is preceded by the lines of its context, and followed by as many `exit`."""

    delete: tuple[str, ...] = ()
    add: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """The commands without the lines that only enter and leave a context."""
        stripped = (line.strip() for line in (*self.delete, *self.add))
        return [line for line in stripped if line not in _NO_CHANGES]

    @property
    def small(self) -> bool:
        """Whether it deletes lines of BGP only, so that no daemon has to wait for another one."""
        outermost = [line for line in self.delete if not line.startswith(" ") and line != "exit"]
        return all(line.startswith("router bgp ") for line in outermost)

    @property
    def commands(self) -> str:
        """The commands as a file for vtysh."""
        lines = (*self.delete, *self.add)
        return "".join(f"{line}\n" for line in lines if not line.endswith(VTYSH_ONLY))


def shutdowns(before: str, after: str) -> Difference:
    """Return the `neighbor N shutdown` lines that a frr.conf adds to an earlier one.

    Return nothing if anything else differs. Only these are urgent: a NIC is about to be removed.
    """
    left, add, context = before.splitlines()[::-1], list[str](), ""
    for line in after.splitlines():
        if not line.startswith(" "):
            context = line
        if left and left[-1] == line:
            left.pop()
        elif _SHUTDOWN.fullmatch(line) and context.startswith("router bgp "):
            add += [context, line, "exit"]
        else:
            return Difference()
    return Difference() if left else Difference(add=tuple(add))


def parse(shown: str) -> Difference:
    """Parse what frr-reload.py printed; the lines before its first heading do not count."""
    found: dict[str, list[str]] = {_DELETE: [], _ADD: []}
    heading = ""
    for line in map(str.rstrip, shown.splitlines()):
        if line in found:
            heading = line
        elif heading and line and not line.startswith("==="):
            found[heading].append(line)
    return Difference(tuple(found[_DELETE]), tuple(found[_ADD]))
