"""Changes of devices, carried out or only listed: how one code path both repairs and compares.

The code that builds a device reads it first and writes only what differs. Run *dry*, the same code
lists what it would write, and that list is the drift. So no second list of attributes can become
outdated. A step that builds on a device which does not exist yet cannot run dry; it ends the dry
run, and what it would have created is listed.

    links = Links("red", dry=True)
    faults([links], lambda: ensure_vrf(links, vrf))      ["red: mtu", "red: up"], or [] for no drift
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from datapaths.base import Unavailable

MISSING, DELETED = "missing", "to be deleted"
"""How `Links` lists a device that it would create, and one that it would delete."""


class DryRunEnds(Exception):
    """End a dry run: the following steps need a device that does not exist yet."""


class Unrepairable(str):
    """A fault that building the device again would not repair; the text is the reason."""


class Changes(list[str]):
    """The changes that a handle has made or, when it is dry, would make; a line of text each."""

    def __init__(self, *, dry: bool) -> None:
        super().__init__()
        self.dry = dry

    def allow(self, change: str) -> bool:
        """List a change, and return whether to carry it out."""
        self.append(change)
        return not self.dry

    def require(self, change: str) -> None:
        """List a change that the following steps build on. Raises DryRunEnds in a dry run."""
        if not self.allow(change):
            raise DryRunEnds(change)


class Dry(Protocol):
    """A handle that lists what it would write."""

    changes: Changes


def faults(handles: Iterable[Dry], work: Callable[[], object]) -> list[str]:
    """Return what `work` would change through dry handles, and the error that it raised, if any."""
    handles = list(handles)
    for handle in handles:
        handle.changes.clear()
    found: list[str] = []
    try:
        work()
    except DryRunEnds:
        pass  # its change is listed
    except (Unavailable, OSError) as error:
        found.append(Unrepairable(getattr(error, "strerror", None) or str(error)))
    return [change for handle in handles for change in handle.changes] + found
