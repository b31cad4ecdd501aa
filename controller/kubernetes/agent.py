"""The node's side of the API: mirrors objects into files, and reports what became of them.

Nothing here programs anything. The controller reads the mirrored manifests as it reads any file, so
an API server that is gone for hours changes nothing on the node, and neither does one that answers
nonsense: the mirror is only written once every kind was listed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from controller.intent.schema import GROUP, KINDS
from controller.kubernetes import MANIFESTS, SECRETS, mirror
from controller.kubernetes.client import ApiError, Client, Object
from controller.kubernetes.reflector import Key, Reflector
from controller.kubernetes.status import Row, body, rows
from dualpath.model.view import ResourceStatus

log = logging.getLogger(__name__)

GATHER_S = 0.1  # after the first change of several
REPORT_S = 1.0
RETRY_S = 15.0  # until a status that was refused is applied again


class Agent:
    """Follows the objects of all kinds, the Node of this node, and the Secrets they name."""

    def __init__(
        self,
        client: Client,
        node: str,
        directory: Path,
        statuses: Callable[[], Iterable[ResourceStatus]] = tuple,
    ) -> None:
        self._client = client
        self._node_name = node
        self._directory = directory
        self._statuses = statuses
        self._changed = asyncio.Event()
        self._node = self._reflector("/api/v1/nodes", {"fieldSelector": f"metadata.name={node}"})
        self._kinds = {kind: self._reflector(collection(kind)) for kind in KINDS}
        self._secrets: dict[Key, tuple[Reflector, asyncio.Task[NoReturn]]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._told: dict[tuple[str, Key], Row] = {}
        self._retry_at = 0.0
        self.problem = "waiting for the API server"

    @property
    def objects(self) -> mirror.Objects:
        return {kind: reflector.objects for kind, reflector in self._kinds.items()}

    async def run(self) -> None:
        """Follow, mirror and report until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for reflector in (self._node, *self._kinds.values()):
                    group.create_task(reflector.run())
                group.create_task(self._mirror())
                group.create_task(self._report())
        finally:
            await self._client.close()

    def _reflector(self, path: str, selectors: dict[str, str] | None = None) -> Reflector:
        return Reflector(self._client, path, self._changed.set, selectors)

    # -- down: from the API to files --------------------------------------------------------

    async def _mirror(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(GATHER_S)
            self._changed.clear()
            self._follow_secrets(mirror.secrets_named(self.objects))
            self.problem = self._waits_for()
            if self.problem:
                log.info("%s", self.problem)
                continue
            try:
                await asyncio.to_thread(self._write)
            except OSError as error:
                self.problem = f"{error.filename}: {error.strerror}"
                log.error("%s; trying again", self.problem)
                asyncio.get_running_loop().call_later(RETRY_S, self._changed.set)

    def _waits_for(self) -> str:
        """Return what is missing before the mirror may be written, or ""."""
        unlisted = [k for k, r in self._kinds.items() if not r.listed]
        if unlisted:
            return f"waiting for the API server's list of {', '.join(unlisted)}"
        if not self._node.listed:
            return "waiting for the API server's Node"
        node = self._our_node()
        if node is None:
            return f"waiting for Node {self._node_name}: no such object"
        if mirror.node_index(node) is None:
            return f"waiting for the annotation {mirror.NODE_INDEX} of Node {self._node_name}"
        missing = sorted(key for key, (r, _) in self._secrets.items() if not r.listed)
        return f"waiting for Secret {'/'.join(missing[0])}" if missing else ""

    def _our_node(self) -> Object | None:
        return self._node.objects.get(("", self._node_name))

    def _follow_secrets(self, wanted: set[Key]) -> None:
        assert self._group is not None
        for key in self._secrets.keys() - wanted:
            self._secrets.pop(key)[1].cancel()
        for namespace, name in wanted - self._secrets.keys():
            path = f"/api/v1/namespaces/{namespace}/secrets"
            reflector = self._reflector(path, {"fieldSelector": f"metadata.name={name}"})
            task = self._group.create_task(reflector.run())
            self._secrets[namespace, name] = reflector, task

    def _write(self) -> None:
        node = self._our_node()
        assert node is not None
        secrets = self._directory / SECRETS
        by_namespace: dict[str, dict[str, bytes]] = {}
        for (namespace, name), (reflector, _) in sorted(self._secrets.items()):
            data = self._password(namespace, name, reflector)
            if data is not None:
                by_namespace.setdefault(namespace, {})[mirror.short(name)] = data
        for namespace, files in by_namespace.items():
            mirror.write(secrets / namespace, files)
        if mirror.write(self._directory / MANIFESTS, mirror.manifests(self.objects, node, secrets)):
            log.info(
                "the API's manifests changed: %d objects", sum(map(len, self.objects.values()))
            )
        for path in secrets.iterdir() if secrets.is_dir() else ():
            if path.name not in by_namespace:  # after the manifests that named it
                mirror.write(path, {})
                path.rmdir()

    def _password(self, namespace: str, name: str, reflector: Reflector) -> bytes | None:
        secret = reflector.objects.get((namespace, name))
        try:
            return mirror.password(secret) if secret is not None else None
        except ValueError:
            log.error("Secret %s/%s: %s is not base64", namespace, name, mirror.SECRET_KEY)
            return None

    # -- up: from what became of them to the API ----------------------------------------------

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            if time.monotonic() < self._retry_at:
                continue
            wanted = rows(self.objects, self._statuses())
            self._told = {owner: row for owner, row in self._told.items() if owner in wanted}
            for owner, row in wanted.items():
                if self._told.get(owner) != row and not await self._apply(owner, row):
                    self._retry_at = time.monotonic() + RETRY_S
                    break

    async def _apply(self, owner: tuple[str, Key], row: Row) -> bool:
        kind, (namespace, name) = owner
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        path = f"{collection(kind, namespace)}/{name}"
        told = body(kind, (namespace, name), self._node_name, row, now)
        try:
            await self._client.apply_status(path, told, f"dualpath-{self._node_name}")
        except ApiError as error:
            if error.status == 404:  # deleted meanwhile
                return True
            log.warning("status of %s %s/%s: %s; trying again", kind, namespace, name, error)
            return False
        self._told[owner] = row
        return True


def collection(kind: str, namespace: str = "") -> str:
    """Return the path of a kind's collection, of all namespaces or of one."""
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{GROUP}{within}/{kind.lower()}s"
