"""The node's two namespaces: made at the start, and kept under their names while we run.

A descriptor holds each namespace open, so deleting its name destroys nothing in it. If the
controller may make the namespace, it gets its name back, with every device, route and packet in
flight. Rejected: making an empty namespace and programming it again. That would destroy a virtual
NIC together with the old namespace, and lose all traffic meanwhile.

The controller may not make a control namespace of a pod (`controller.cri`). It makes only the name,
and gives the name back. Before there is a pod, the name belongs to an empty namespace.

If another program made the namespace, the controller does not name it: status shows that it is
absent, until the name exists again. A new namespace under the old name is used as it is: everything
is made in it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from datapaths.base import DatapathError
from datapaths.linux import netns

log = logging.getLogger(__name__)

LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class NamespacePair:
    """The forwarding and the control namespace, by name or path, and whether we may make them."""

    forwarding: str
    control: str
    make_forwarding: bool
    make_control: bool
    pod: bool = False  # FRR's pod has the control namespace, and we name it
    after_pod: bool = False  # FRR's former pod has it still; when it ends, we make our own


def ensure_namespaces(pair: NamespacePair) -> None:
    """Make the absent namespaces that we may make. Raises OSError or Unsupported."""
    if pair.make_forwarding:
        netns.create(pair.forwarding)
    if pair.make_control and not netns.exists(pair.control):
        netns.create_isolated(pair.control)
    if pair.pod:
        netns.create(pair.control)


class _Name:
    """One name, and a descriptor of the namespace that had it last."""

    def __init__(self, name: str, *, ours: bool) -> None:
        self.name = name
        self.ours = ours  # make it if it is absent
        self.descriptor = -1
        self.identity = netns.ABSENT
        self.problem = ""
        if netns.exists(name):
            self.hold()

    def hold(self) -> None:
        """Hold the namespace that has the name now, instead of the former one."""
        self.close()
        self.descriptor = netns.keep_alive(self.name)
        found = os.fstat(self.descriptor)
        self.identity = found.st_dev, found.st_ino

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class NamespaceKeeper:
    """Watches both names. Calls `renewed(of_frr)` when a name refers to another namespace."""

    def __init__(self, pair: NamespacePair, renewed: Callable[[bool], None]) -> None:
        self._pair = pair
        self._renewed = renewed
        self._forwarding = _Name(pair.forwarding, ours=pair.make_forwarding)
        self._control = _Name(pair.control, ours=pair.make_control or pair.pod)

    @property
    def problem(self) -> str:
        """Return which namespace is absent, and what to do; "" if both exist."""
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
        """Repair and log differences. Makes three system calls if there are none."""
        for one in (self._forwarding, self._control):
            before = one.problem
            try:
                self._look_at(one)
            except (OSError, DatapathError) as error:
                one.problem = f"namespace {one.name} is gone and cannot be made again: {error}"
            if one.problem and one.problem != before:
                log.warning("%s", one.problem)

    def _look_at(self, one: _Name) -> None:
        if one is self._control and self._pair.after_pod and not netns.has_other_name(one.name):
            self._take_name_from_pod()
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
            log.info("namespace %s exists again", one.name)
            one.problem = ""
        if now != one.identity:
            if one.identity != netns.ABSENT:
                log.warning(
                    "namespace %s was replaced; creating everything in the new one", one.name
                )
            one.hold()
            netns.forget_former_owner(one.name)
            self._renewed(one is self._control)

    def _take_name_from_pod(self) -> None:
        """Give the name to a namespace of our own: the runtime has removed the pod's."""
        netns.remove(self._control.name)
        self._control.close()
        self._pair = replace(self._pair, after_pod=False)
        ensure_namespaces(self._pair)
        log.info("FRR's pod has ended; namespace %s is a new one", self._control.name)
        self._control.hold()
        self._renewed(True)

    def _make(self, one: _Name) -> None:
        if one.descriptor >= 0:
            netns.restore(one.name, one.descriptor)
            text = "namespace %s lost its name; named it again, with all devices in it"
            log.warning(text, one.name)
        else:
            log.warning("namespace %s was deleted; creating it again", one.name)
            ensure_namespaces(self._pair)
