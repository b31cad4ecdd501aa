"""A node agent and the API server that it follows, for tests."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path
from typing import Any

from controller.intent.node import NODE_INDEX
from controller.intent.schema import GROUP
from controller.kubernetes.agent import NAMESPACE, Agent
from controller.kubernetes.client import Client
from controller.kubernetes.cluster import Cluster
from controller.kubernetes.objects import NODE_STATUSES, OURS, UNSUPPORTED, Collection
from controller.kubernetes.statics import Files
from dualpath.model.view import ResourceStatus
from tests.fakes.apiserver import FakeApiServer
from tests.unit.controller.kubernetes.schemas import openapi

L3VNI = Collection(GROUP, "L3VNI")
L3VNIS = L3VNI.path()
REPORTS = NODE_STATUSES.path(NAMESPACE)
RED = {"vrf": "red", "vni": 100}


class World:
    def __init__(
        self, server: FakeApiServer, directory: Path, cluster: Cluster | None = None
    ) -> None:
        self.server = server
        self.directory = directory
        self.statuses: list[ResourceStatus] = []
        self.files = Files()
        cluster = cluster or Cluster(server.address, ssl.create_default_context())
        self.client = Client(cluster)
        self.agent = Agent(
            self.client, "node-1", directory, lambda: self.statuses, files=lambda: self.files
        )
        self.task = asyncio.create_task(self.agent.run())

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    @property
    def mirrored(self) -> set[str]:
        directory = self.directory / "manifests"
        names = os.listdir(directory) if directory.is_dir() else ()
        return {name for name in names if not name.startswith(".")}  # .NAME.new: being written

    async def number(self, index: str | None = "3") -> None:
        annotations = {NODE_INDEX: index} if index else {}
        metadata = {"annotations": annotations, "labels": {"rack": "a"}, "uid": "u-1"}
        await self.server.put("/api/v1/nodes", "node-1", metadata=metadata)

    def rows(self, name: str, collection: Collection = L3VNI, namespace: str = "team") -> list[Any]:
        path = f"{collection.at((namespace, name))}/status"
        applied = self.server.applied[path].get("dualpath-node-1", {})
        return list(applied.get("status", {}).get("nodes", ()))

    @property
    def report(self) -> dict[str, Any]:
        """Return what the node's RouterNodeConfigurationStatus has as its status."""
        item = self.server.objects[REPORTS].get(f"{NAMESPACE}/node-1", {})
        return dict(item.get("status") or {})


def serve_ours(server: FakeApiServer) -> None:
    """Serve our definitions of OpenPERouter's group, and nothing else."""
    server.documents = openapi(GROUP)
    server.absent = {c.path() for c in (*OURS, *UNSUPPORTED)} | {REPORTS}


def serve_theirs(server: FakeApiServer) -> None:
    """Serve what OpenPERouter's own definitions are."""
    server.documents = openapi(GROUP, rows=False)
    server.absent = {c.path() for c in OURS}
    server.merged = {REPORTS}
