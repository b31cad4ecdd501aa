"""Keeps the control namespace's name on the network namespace of FRR's pod.

Each pod has a new namespace. `controller.node.namespaces` notices that the name refers to a new
one, and the controller creates everything in it. While no pod runs, the last namespace keeps its
name and its devices, and packets pass.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable
from typing import Protocol

from controller.cri.runtime import NoAnswer
from controller.cri.sandboxes import BadReply, PodSelector, Sandbox
from datapaths.base import DatapathError
from datapaths.linux import netns

log = logging.getLogger(__name__)

LOOK_S = 0.5


class ContainerRuntime(Protocol):
    """The requests to a container runtime."""

    def newest(self, selector: PodSelector) -> Awaitable[Sandbox | None]: ...

    def namespace(self, sandbox: Sandbox) -> Awaitable[str]: ...

    def close(self) -> Awaitable[None]: ...


class PodFollower:
    """Looks for FRR's pod, and gives its namespace the name `control`."""

    def __init__(
        self, runtime: ContainerRuntime, selector: PodSelector, *, control: str, forwarding: str
    ) -> None:
        self._runtime = runtime
        self._selector = selector
        self._control = control
        self._forwarding = forwarding
        self._followed: Sandbox | None = None
        self._identity = netns.ABSENT  # of its namespace
        self.problem = ""
        """Why the control namespace is not that of a running pod; "" when it is."""

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(LOOK_S)
        finally:
            await self._runtime.close()

    async def look(self) -> None:
        """Name the pod's namespace if the pod, or the namespace of that name, has changed."""
        try:
            found = await self._runtime.newest(self._selector)
            if found is None:
                self._note(f"no pod {self._selector} runs on this node: waiting for FRR's")
                return
            if found != self._followed or netns.identity(self._control) != self._identity:
                self._name(found, await self._runtime.namespace(found))
            self._note("")
        except NoAnswer as error:
            self._note(f"the container runtime (--cri-socket) does not answer: {error}")
        except BadReply as error:
            self._note(f"pod {self._selector}: {error}")
        except (OSError, DatapathError) as error:
            self._note(f"pod {self._selector}: its network namespace cannot be used: {error}")

    def _name(self, pod: Sandbox, path: str) -> None:
        descriptor = netns.keep_alive(path)  # fails on a file that is no network namespace
        try:
            found = os.fstat(descriptor)
            identity = found.st_dev, found.st_ino
            if identity in (netns.identity(""), netns.identity(self._forwarding)):
                raise BadReply("it has no network namespace of its own: leave `hostNetwork` out")
            if identity != netns.identity(self._control):
                netns.restore(self._control, descriptor)
                log.info("pod %s has namespace %s now", pod.name, self._control)
            netns.forget_former_owner(self._control)
        finally:
            os.close(descriptor)
        self._followed, self._identity = pod, identity

    def _note(self, problem: str) -> None:
        if problem and problem != self.problem:
            log.warning("%s", problem)
        self.problem = problem
