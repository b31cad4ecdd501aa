"""The node's side of the API: mirrors objects into files, and reports what became of them.

Nothing here programs anything. The controller reads the mirrored manifests as it reads any file, so
an API server that is gone for hours changes nothing on the node, and neither does one whose answers
make no sense: the mirror is only written once every kind was listed.

A Secret is followed for its namespace: one stream for each namespace with objects that name one, of
those Secrets alone that have the type of passwords.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from controller.intent.schema import GROUP, KINDS
from controller.kubernetes import MANIFESTS, SECRETS, mirror
from controller.kubernetes.client import ApiError, Client, Object
from controller.kubernetes.reflector import Reflector, version_of
from controller.kubernetes.status import Owner, Row, body, held, rows
from dualpath.model.view import ResourceStatus

log = logging.getLogger(__name__)

GATHER_S = 0.1  # after the first change of several
REPORT_S = 1.0
RETRY_S = 15.0  # until a status that was refused is applied again, or files that were not written


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
        self._secrets: dict[str, tuple[Reflector, asyncio.Task[NoReturn]]] = {}  # by namespace
        self._group: asyncio.TaskGroup | None = None
        self._applied: dict[Owner, tuple[Row, object]] = {}  # with the object's version then
        self._unreachable = False  # it was logged
        self._not_written = ""  # why the files could not be written

    @property
    def objects(self) -> mirror.Objects:
        return {kind: reflector.objects for kind, reflector in self._kinds.items()}

    @property
    def problem(self) -> str:
        """Return what keeps the mirror from being as the API server has it, or ""."""
        if unreachable := self._api_problem():
            return f"API server: {unreachable}; what it told last is in force"
        return self._waits_for() or self._not_written

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

    def _api_problem(self) -> str:
        secrets = (reflector for reflector, _ in self._secrets.values())
        every = (self._node, *self._kinds.values(), *secrets)
        return next((reflector.problem for reflector in every if reflector.problem), "")

    # -- down: from the API to files --------------------------------------------------------

    async def _mirror(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(GATHER_S)
            self._changed.clear()
            self._follow_secrets({namespace for namespace, _ in self._named()})
            if self._waits_for():
                continue
            try:
                await asyncio.to_thread(self._write)
                self._not_written = ""
            except OSError as error:
                self._not_written = f"{error.filename}: {error.strerror}"
                log.error("%s; trying again in %d s", self._not_written, RETRY_S)
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
        # Secrets that may not be read concern their own sessions only.
        missing = sorted(n for n, (r, _) in self._secrets.items() if not (r.listed or r.problem))
        return f"waiting for the Secrets of namespace {missing[0]}" if missing else ""

    def _our_node(self) -> Object | None:
        return self._node.objects.get(("", self._node_name))

    def _named(self) -> set[tuple[str, str]]:
        return mirror.secrets_named(self.objects)

    def _follow_secrets(self, namespaces: set[str]) -> None:
        assert self._group is not None
        for namespace in self._secrets.keys() - namespaces:
            self._secrets.pop(namespace)[1].cancel()
        for namespace in namespaces - self._secrets.keys():
            path = f"/api/v1/namespaces/{namespace}/secrets"
            reflector = self._reflector(path, {"fieldSelector": f"type={mirror.SECRET_TYPE}"})
            self._secrets[namespace] = reflector, self._group.create_task(reflector.run())

    def _write(self) -> None:
        node = self._our_node()
        assert node is not None
        passwords: dict[str, dict[str, bytes]] = defaultdict(dict)
        for namespace, name in self._named():
            data = self._password(namespace, name)
            if data is not None:
                passwords[namespace][mirror.short(name)] = data
        secrets = self._directory / SECRETS
        for namespace, (reflector, _) in list(self._secrets.items()):
            if reflector.listed:  # else those of an earlier run stay
                mirror.write(secrets / namespace, passwords[namespace])
        files = mirror.manifests(self.objects, node, secrets)
        if mirror.write(self._directory / MANIFESTS, files):
            count = sum(map(len, self.objects.values()))
            log.info("the API's manifests changed: %d objects", count)
        for path in secrets.iterdir() if secrets.is_dir() else ():
            if path.name not in self._secrets:  # after the manifests that named it
                mirror.write(path, {})
                path.rmdir()

    def _password(self, namespace: str, name: str) -> bytes | None:
        followed = self._secrets.get(namespace)
        secret = followed[0].objects.get((namespace, name)) if followed else None
        try:
            return mirror.password(secret) if secret is not None else None
        except ValueError:
            log.error("Secret %s/%s: %s is not base64", namespace, name, mirror.SECRET_KEY)
            return None

    # -- up: from what became of them to the API ----------------------------------------------

    async def _report(self) -> None:
        rest_s = REPORT_S
        while True:
            await asyncio.sleep(rest_s)
            self._log_problem()
            rest_s = REPORT_S if await self._apply_rows() else RETRY_S

    def _log_problem(self) -> None:
        """Log once that the API server is away, and once that it is back."""
        problem = self._api_problem()
        if problem and not self._unreachable:
            log.warning("API server: %s; what it told last stays in force; retrying", problem)
        elif self._unreachable and not problem:
            log.info("API server: reachable again")
        self._unreachable = bool(problem)

    async def _apply_rows(self) -> bool:
        """Apply every row that an object lacks; stop at the first refusal, and return False."""
        objects = self.objects
        wanted = rows(objects, self._statuses())
        self._applied = {owner: at for owner, at in self._applied.items() if owner in wanted}
        for owner, row in wanted.items():
            item = objects[owner[0]][owner[1]]
            has, since = held(item, self._node_name)
            # What was applied to this version is on its way, or the definition has no such field.
            if has != row and self._applied.get(owner) != (row, version_of(item)):
                same = has is not None and has.ready == row.ready and since
                if not await self._apply(owner, row, since if same else _now()):
                    return False
                self._applied[owner] = row, version_of(item)
        return True

    async def _apply(self, owner: Owner, row: Row, since: str) -> bool:
        kind, (namespace, name) = owner
        path = f"{collection(kind, namespace)}/{name}"
        told = body(owner, self._node_name, row, since)
        try:
            await self._client.apply_status(path, told, f"dualpath-{self._node_name}")
        except ApiError as error:
            if error.status == 404:  # deleted meanwhile
                return True
            if not self._unreachable:
                log.warning("status of %s %s/%s: %s; trying again", kind, namespace, name, error)
            return False
        return True


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def collection(kind: str, namespace: str = "") -> str:
    """Return the path of a kind's collection, of all namespaces or of one."""
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{GROUP}{within}/{kind.lower()}s"
