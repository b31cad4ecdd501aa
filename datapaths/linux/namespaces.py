"""The handles that one batch of device work needs, one per namespace, closed together."""

from __future__ import annotations

import os
from typing import Self

from datapaths.base import Unavailable
from datapaths.linux.links import Links
from datapaths.linux.netns import path_of


class Namespaces:
    """Opens namespaces as they are asked for. "" is the one that `home` names."""

    def __init__(self, netns: str, home: str = "") -> None:
        self._home = home
        self._opened: dict[int, Links] = {}  # by inode: one namespace may have several names
        self.forwarding = self.open(netns)

    def name_of(self, netns: str) -> str:
        """Return a namespace's name, "" standing for home's."""
        return netns or self._home

    def open(self, netns: str) -> Links:
        """Return the handle on a namespace. Raises Unavailable when there is no such."""
        name = self.name_of(netns)
        try:
            inode = os.stat(path_of(name)).st_ino
        except FileNotFoundError:
            raise Unavailable(f"there is no network namespace {name}") from None
        if inode not in self._opened:
            self._opened[inode] = Links(name)
        return self._opened[inode]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for links in self._opened.values():
            links.close()
