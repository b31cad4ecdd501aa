"""The node's agent: mirrors API objects into files, and reports their state.

It programs nothing. The controller reads the mirror like other files, so an API server that is down
or sends garbage changes nothing on the node: the agent writes the mirror only after it has listed
every kind.

It watches Secrets per namespace: one watch for each namespace with objects that name a Secret,
limited to the type of passwords.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from controller.intent.node import NODE_INDEX
from controller.kubernetes import MANIFESTS, SECRETS, STATIC, gate, mirror, rollouts
from controller.kubernetes.client import Client
from controller.kubernetes.objects import (
    NODE_STATUSES,
    OURS,
    THEIRS,
    UNSUPPORTED,
    Collection,
    Key,
    Object,
    Target,
    effective,
)
from controller.kubernetes.reflector import Reflector
from controller.kubernetes.report import Reporter
from controller.kubernetes.served import Served
from controller.kubernetes.statics import Files, Statics, is_static
from controller.kubernetes.status import as_taken, owners, rows, without_places
from dualpath.model.view import ResourceStatus

log = logging.getLogger(__name__)

GATHER_S = 0.1  # after the first change of several
REPORT_S = 1.0
RETRY_S = 15.0  # until a write that was refused is tried again, or files that were not written
NAMESPACE = "openperouter-system"


class Agent:
    """Follows all objects, this node's Node, and the Secrets that they name."""

    def __init__(
        self,
        client: Client,
        node: str,
        directory: Path,
        statuses: Callable[[], Iterable[ResourceStatus]] = tuple,
        revision: Callable[[], str] = str,
        *,
        namespace: str = NAMESPACE,
        files: Callable[[], Files] = Files,
    ) -> None:
        self._client = client
        self._node_name = node
        self._directory = directory
        self._statuses = statuses
        self._revision = revision  # of the objects that the statuses are about
        self._read_files = files
        self._files = Files()
        self._changed = asyncio.Event()
        self._node = self._reflector("/api/v1/nodes", {"fieldSelector": f"metadata.name={node}"})
        self._intents = {
            collection: self._reflector(
                collection.path(),
                {"labelSelector": f"!{STATIC}"},
                optional=collection not in THEIRS,
            )
            for collection in (*THEIRS, *UNSUPPORTED, *OURS)
        }
        self._reports = self._reflector(
            NODE_STATUSES.path(namespace), {"fieldSelector": f"metadata.name={node}"}, optional=True
        )
        self._served = Served(client, self._list_again)
        self._statics = Statics(client, node, namespace, self._served)
        self._reporter = Reporter(
            client, node, namespace, self._served, self._reports, lambda: self._unreachable
        )
        self._gate = gate.Gate(client)
        self._taken = mirror.Taken()
        self._secrets: dict[str, tuple[Reflector, asyncio.Task[NoReturn]]] = {}  # by namespace
        self._group: asyncio.TaskGroup | None = None
        self._unreachable = False  # it was logged
        self._not_written = ""  # why the files could not be written

    @property
    def objects(self) -> dict[Collection, dict[Key, Object]]:
        """Return the objects that are intent: all except those that show files of nodes."""
        return {
            collection: {k: o for k, o in reflector.objects.items() if not is_static(o)}
            for collection, reflector in self._intents.items()
        }

    @property
    def problem(self) -> str:
        """Return why the mirror may be out of date, or ""."""
        if unreachable := self._api_problem():
            return f"API server: {unreachable}; its last known objects stay in force"
        waits = self._waits_for() or self._not_written
        return waits or self._gate.problem or self._two_numbers()

    async def run(self) -> None:
        """Follow, mirror and report until cancelled."""
        self._files = await asyncio.to_thread(self._read_files)
        self._taken = await asyncio.to_thread(mirror.taken, self._directory / MANIFESTS)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for reflector in (self._node, *self._intents.values(), self._reports):
                    group.create_task(reflector.run())
                group.create_task(self._served.run())
                group.create_task(self._mirror())
                group.create_task(self._report())
        finally:
            await self._client.close()

    def _reflector(
        self, path: str, selectors: dict[str, str] | None = None, *, optional: bool = False
    ) -> Reflector:
        return Reflector(self._client, path, self._changed.set, selectors, optional=optional)

    def _list_again(self) -> None:
        for reflector in (*self._intents.values(), self._reports):
            reflector.list_again()
        self._statics.list_again()

    def _api_problem(self) -> str:
        secrets = (reflector for reflector, _ in self._secrets.values())
        followed = (self._node, *self._intents.values(), *secrets, self._reports)
        problem = next((reflector.problem for reflector in followed if reflector.problem), "")
        return problem or self._served.problem

    # -- down: from the API to files --------------------------------------------------------

    async def _mirror(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(GATHER_S)
            self._changed.clear()
            found = self.objects  # a copy: events change the original meanwhile
            objects = effective(found)
            named = mirror.secrets_named(objects)
            self._follow_secrets({namespace for namespace, _ in named})
            node = self._our_node()
            if node is None or self._waits_for():
                continue
            revision = rollouts.revision(found, node)
            opens = not self._taken.exists or await self._gate.opens(node, revision)
            if not opens:
                asyncio.get_running_loop().call_later(gate.ASK_S, self._changed.set)
            try:
                if opens:
                    known = revision if rollouts.permitted(node) else ""
                    await asyncio.to_thread(self._write, objects, node, named, known)
                    self._taken = mirror.Taken(known, mirror.generations(objects), True)
                else:
                    await asyncio.to_thread(self._write_node, node)
                self._not_written = ""
            except OSError as error:
                self._not_written = f"{error.filename}: {error.strerror}"
                log.error("%s; retrying in %d s", self._not_written, RETRY_S)
                asyncio.get_running_loop().call_later(RETRY_S, self._changed.set)

    def _waits_for(self) -> str:
        """Return what is missing before the agent may write the mirror, or ""."""
        unlisted = [c.kind for c, r in self._intents.items() if not r.listed]
        if unlisted:
            return f"waiting for the API server's list of {', '.join(dict.fromkeys(unlisted))}"
        if not self._node.listed:
            return "waiting for the API server's Node"
        node = self._our_node()
        if node is None:
            return f"waiting for Node {self._node_name}: no such object"
        if mirror.node_index(node) is None and self._files.index is None:
            return f"waiting for the annotation {NODE_INDEX} of Node {self._node_name}"
        # Secrets that may not be read concern their own sessions only.
        missing = sorted(n for n, (r, _) in self._secrets.items() if not (r.listed or r.problem))
        return f"waiting for the Secrets of namespace {missing[0]}" if missing else ""

    def _two_numbers(self) -> str:
        """Return a warning if the API has another number for this node."""
        node, ours = self._our_node(), self._files.index
        theirs = mirror.node_index(node) if node else None
        if ours is None or theirs in (None, ours):
            return ""
        return (
            f"Node {self._node_name} is number {ours} by its manifests, and {theirs} by its "
            f"annotation {NODE_INDEX}: make them equal, or two nodes may share addresses"
        )

    def _our_node(self) -> Object | None:
        return self._node.objects.get(("", self._node_name))

    def _follow_secrets(self, namespaces: set[str]) -> None:
        assert self._group is not None
        for namespace in self._secrets.keys() - namespaces:
            self._secrets.pop(namespace)[1].cancel()
        for namespace in namespaces - self._secrets.keys():
            path = f"/api/v1/namespaces/{namespace}/secrets"
            reflector = self._reflector(path, {"fieldSelector": f"type={mirror.SECRET_TYPE}"})
            self._secrets[namespace] = reflector, self._group.create_task(reflector.run())

    def _write_node(self, node: Object) -> None:
        """Write only the Node: labels and number do not wait for a rollout."""
        text = mirror.node_manifest(node, self._taken.revision)
        mirror.put(self._directory / MANIFESTS, mirror.NODE, text)

    def _write(self, objects: mirror.Objects, node: Object, named: set[Key], revision: str) -> None:
        passwords: dict[str, dict[str, bytes]] = defaultdict(dict)
        for namespace, name in named:
            data = self._password(namespace, name)
            if data is not None:
                passwords[namespace][mirror.short(name)] = data
        secrets = self._directory / SECRETS
        for namespace, (reflector, _) in list(self._secrets.items()):
            if reflector.listed:  # else those of an earlier run stay
                mirror.write(secrets / namespace, passwords[namespace])
        files = mirror.manifests(objects, node, secrets, revision)
        if mirror.write(self._directory / MANIFESTS, files):
            count = sum(map(len, objects.values()))
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
            before, self._files = self._files, await asyncio.to_thread(self._read_files)
            if before.index != self._files.index:  # the mirror may wait for it
                self._changed.set()
            node = self._our_node()
            rest_s = REPORT_S if node is None or await self._write_status(node) else RETRY_S

    async def _write_status(self, node: Object) -> bool:
        """Write all missing status; return False if any write was refused."""
        statuses, group = without_places(self._statuses(), str(self._directory)), self._group
        assert group is not None
        shown = self._unreachable or await self._statics.settle(
            self._files, node, group.create_task
        )
        objects, statics = self.objects, self._statics.items
        items = {
            Target(c, key): item for c, found in objects.items() for key, item in found.items()
        }
        names = owners(objects, self._files.owners)
        own = rows(objects, names, statuses)
        reported = as_taken(objects, own, self._taken, waiting=self._gate.waiting)
        reported |= rows(by_collection(statics), self._statics.owners, statuses)
        applied = await self._reporter.rows({**items, **statics}, reported)
        row = rollouts.row(self._revision(), statuses) if rollouts.permitted(node) else None
        applied &= await self._reporter.rollout(row)
        return await self._reporter.node(node, statuses) and applied and shown

    def _log_problem(self) -> None:
        """Log once when the API server is unreachable, and once when it is back."""
        problem = self._api_problem()
        if problem and not self._unreachable:
            log.warning("API server: %s; its last known objects stay in force; retrying", problem)
        elif self._unreachable and not problem:
            log.info("API server: reachable again")
        self._unreachable = bool(problem)


def by_collection(items: dict[Target, Object]) -> dict[Collection, dict[Key, Object]]:
    found: dict[Collection, dict[Key, Object]] = defaultdict(dict)
    for (collection, key), item in items.items():
        found[collection][key] = item
    return found
