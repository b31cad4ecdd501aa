"""The open handles of one batch of device work: one per namespace, closed together."""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import copy
from typing import Self

from datapaths.base import Unavailable
from datapaths.linux.dryrun import faults
from datapaths.linux.links import Links
from datapaths.linux.netns import path_of


class Namespaces:
    """Opens a handle on each namespace at its first use. "" is the namespace that `home` names.

    `dry` handles change nothing: see `Links`.
    """

    def __init__(self, netns: str, home: str = "", *, dry: bool = False) -> None:
        self._home = home
        self._dry = dry
        self._opened: dict[int, Links] = {}  # by inode: one namespace may have several names
        self.forwarding = self.open(netns)

    def name_of(self, netns: str) -> str:
        """Return a namespace's name; "" becomes home's."""
        return netns or self._home

    def open(self, netns: str) -> Links:
        """Return the handle on a namespace. Raises Unavailable when it does not exist."""
        name = self.name_of(netns)
        try:
            inode = os.stat(path_of(name)).st_ino
        except FileNotFoundError:
            raise Unavailable(f"no network namespace {name}") from None
        if inode not in self._opened:
            self._opened[inode] = Links(name, dry=self._dry)
        return self._opened[inode]

    def forwarding_in(self, netns: str) -> Self:
        """Return the same handles, with another namespace as the forwarding one."""
        other = copy(self)
        other.forwarding = self.open(netns)
        return other

    def faults(self, work: Callable[[], object]) -> list[str]:
        """Return what `work` would change. The handles must be dry."""
        before = set(self._opened)
        found = faults(self._opened.values(), work)
        late = (links for inode, links in self._opened.items() if inode not in before)
        return found + [change for links in late for change in links.changes]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for links in self._opened.values():
            links.close()
