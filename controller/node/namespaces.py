"""Keeps the two namespaces under their names while the controller runs.

Each is held open by a descriptor, so that deleting its name destroys nothing in it: one that is
ours to make gets its name back, with every device, route and packet in flight. Rejected: making an
empty one and programming it again. A virtual NIC would be destroyed with the old one, and all
traffic lost meanwhile.

A namespace that somebody else made is not ours to name: its absence is a problem to show until it
is there again. Another namespace under the old name is taken as it is, and all is made in it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from controller.node.provision import Spaces, ensure_namespaces
from datapaths.base import DatapathError
from datapaths.linux import netns

log = logging.getLogger(__name__)

LOOK_S = 0.2


class _Name:
    """One namespace, by its name, and the descriptor on what had that name last."""

    def __init__(self, name: str, *, ours: bool) -> None:
        self.name = name
        self.ours = ours  # to make when it is absent
        self.held = -1
        self.identity = netns.ABSENT
        self.problem = ""
        if netns.exists(name):
            self.take()

    def take(self) -> None:
        """Hold what has the name now, instead of what was held before."""
        self.close()
        self.held = netns.hold(self.name)
        found = os.fstat(self.held)
        self.identity = found.st_dev, found.st_ino

    def close(self) -> None:
        if self.held >= 0:
            os.close(self.held)
            self.held = -1


class NamespaceKeeper:
    """Looks at both names. `renewed` is told, with True for FRR's, when one means another."""

    def __init__(self, spaces: Spaces, renewed: Callable[[bool], None]) -> None:
        self._spaces = spaces
        self._renewed = renewed
        self._forwarding = _Name(spaces.forwarding, ours=spaces.make_forwarding)
        self._control = _Name(spaces.control, ours=spaces.make_control)

    @property
    def problem(self) -> str:
        """Which namespace is not there, and what to do; "" when both are."""
        return self._forwarding.problem or self._control.problem

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                await asyncio.sleep(LOOK_S)
                self.look()
        finally:
            self.close()

    def close(self) -> None:
        for one in (self._forwarding, self._control):
            one.close()

    def look(self) -> None:
        """Put right what differs, and tell of it. Three system calls when nothing does."""
        for one in (self._forwarding, self._control):
            before = one.problem
            try:
                self._look_at(one)
            except (OSError, DatapathError) as error:
                one.problem = f"namespace {one.name} is gone and cannot be made again: {error}"
            if one.problem and one.problem != before:
                log.warning("%s", one.problem)

    def _look_at(self, one: _Name) -> None:
        now = netns.identity(one.name)
        if now == netns.ABSENT:
            if not one.ours:
                one.problem = (
                    f"namespace {one.name} is gone; make it again, with `ip netns add {one.name}`, "
                    "or restart the controller with one that exists"
                )
                return
            self._make(one)
            now = netns.identity(one.name)
        if one.problem:
            log.info("namespace %s is there again", one.name)
            one.problem = ""
        if now != one.identity:
            if one.identity != netns.ABSENT:
                log.warning("namespace %s is another one now; making everything in it", one.name)
            one.take()
            self._renewed(one is self._control)

    def _make(self, one: _Name) -> None:
        if one.held >= 0:
            netns.restore(one.name, one.held)
            text = "namespace %s is gone; making it again: it got its name back, with all in it"
            log.warning(text, one.name)
        else:
            log.warning("namespace %s is gone; making it again", one.name)
            ensure_namespaces(self._spaces)
