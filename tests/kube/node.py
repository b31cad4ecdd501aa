"""A node for a test: the agent, and statuses from what it mirrored; without FRR and devices."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from controller.intent import layout
from controller.intent.layout import Intent
from controller.intent.loader import load
from controller.intent.reasons import Reason
from controller.intent.schema import Resources
from controller.intent.verdicts import Outcome, verdicts
from controller.kubernetes import MANIFESTS
from controller.kubernetes.agent import NAMESPACE, Agent
from controller.kubernetes.client import Client
from controller.kubernetes.cluster import from_kubeconfig
from controller.kubernetes.mirror import NODE_INDEX
from controller.kubernetes.statics import Files
from dualpath.model.view import ResourceStatus
from tests.kube.server import ApiServer

MTU = 1500


class Node:
    """Follows the API server, and compiles the mirrored manifests after each change."""

    def __init__(
        self, name: str, kubeconfig: Path, directory: Path, files: Files | None = None
    ) -> None:
        self.name = name
        self._manifests = directory / MANIFESTS
        self._seen: object = None
        self._intent = Intent()
        self._why = ""
        self._revision = ""
        self.fault: Callable[[Resources], str] = lambda _: ""  # why an L3VNI cannot be made
        self.switching: Callable[[str], str] = lambda _: ""  # why a datapath does not forward yet
        client = Client(from_kubeconfig(kubeconfig))
        self.files_of_node = files or Files()
        self.agent = Agent(
            client,
            name,
            directory,
            self.statuses,
            lambda: self._revision,
            namespace=from_kubeconfig(kubeconfig).namespace if files else NAMESPACE,
            files=lambda: self.files_of_node,
        )

    @classmethod
    @asynccontextmanager
    async def running(
        cls, name: str, kubeconfig: Path, directory: Path, files: Files | None = None
    ) -> AsyncIterator[Node]:
        """Run a node for the length of a block; one with files is in its kubeconfig's namespace."""
        node = cls(name, kubeconfig, directory, files)
        task = asyncio.create_task(node.agent.run())
        try:
            yield node
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task  # raises whatever ended it before

    @property
    def files(self) -> set[str]:
        directory = self._manifests
        names = os.listdir(directory) if directory.is_dir() else ()
        return {name for name in names if not name.startswith(".")}  # .NAME.new: being written

    def has(self, *names: str) -> bool:
        """Tell whether these resources are mirrored, as in `l3vni.default.red`, and no others."""
        return self.files == {"node.json", *(f"{name}.json" for name in names)}

    @property
    def datapath(self) -> str:
        """Return the datapath that the mirrored manifests name."""
        return self._intent.datapath

    def resources(self) -> Resources:
        return load([self._manifests])

    def statuses(self) -> Sequence[ResourceStatus]:
        if "node.json" not in self.files:
            return ()
        seen = sorted((name, self._changed_at(name)) for name in self.files)
        if seen != self._seen:
            found = self.resources()
            self._intent = layout.compile(found, found.node, MTU)
            self._why = self.fault(found)
            self._revision = found.node.revision
            self._seen = seen
        statuses = verdicts(self._intent, Outcome(), self.switching(self.datapath))
        return [_failed(status, self._why) for status in statuses] if self._why else statuses

    def _changed_at(self, name: str) -> int:
        try:
            return (self._manifests / name).stat().st_mtime_ns
        except FileNotFoundError:  # deleted since it was listed
            return 0


def _failed(status: ResourceStatus, why: str) -> ResourceStatus:
    if status.kind != "L3VNI":
        return status
    return replace(status, ready=False, reason=Reason.OVERLAY_ATTACHMENT_FAILED, message=why)


def number(server: ApiServer, name: str, index: int) -> None:
    """Make the Node of a node, with its number."""
    metadata = {"name": name, "annotations": {NODE_INDEX: str(index)}, "labels": {"rack": "a"}}
    server.apply({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
