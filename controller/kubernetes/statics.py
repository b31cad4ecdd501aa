"""Shows the resources of a node's manifest files in the API as read-only objects.

An object shows one resource of one node. Its label `dualpath.io/static` names the node; nodes do
not read such objects as intent. The Node owns it, so it is deleted with the Node. Its name ends
with a hash of node, namespace and name, so it is unique:

    L3VNI red in /etc/dualpath/pe.yaml of node-1  ->  L3VNI static-red-3f9a1c0b52

It has no passwords. The agent reverts edits, and deletes the object with the resource. A rejected
resource keeps its object, because its earlier version stays in force.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from controller.intent.fields import Spec
from controller.intent.schema import Owner, Resource
from controller.kubernetes import STATIC
from controller.kubernetes.client import ApiError, Client
from controller.kubernetes.objects import OURS, THEIRS, Collection, Object, Target, owned_by
from controller.kubernetes.reflector import Reflector
from controller.kubernetes.served import Served
from dualpath.model.redact import redact

log = logging.getLogger(__name__)

NAME, NODE, SOURCE = "dualpath.io/name", "dualpath.io/node", "dualpath.io/source"
"""Annotations of such an object: the resource's name, the node's, and the file."""
LONGEST_LABEL = 63
LONGEST_STEM = 200


@dataclass(frozen=True, slots=True)
class Files:
    """The resources of this node's manifest files, without those of the API."""

    items: tuple[Resource[Spec], ...] = ()
    rejected: frozenset[Owner] = frozenset()
    index: int | None = None  # the node's number, if files or the command line give it

    @property
    def owners(self) -> dict[Owner, str]:
        """Return the resources, with their namespaces."""
        return {resource.owner: resource.namespace for resource in self.items}


class Statics:
    """Keeps the objects of this node's files equal to the files."""

    def __init__(self, client: Client, node: str, namespace: str, served: Served) -> None:
        self._client = client
        self._node = node
        self._namespace = namespace
        self._served = served
        self._label = label(node)
        self._followed: dict[Collection, tuple[Reflector, asyncio.Task[Any]]] = {}
        self._empty: set[Collection] = set()  # nothing of an earlier run is there
        self._kept: dict[Target, tuple[Object, object]] = {}  # as we wrote it, and as it is stored
        self._rows: frozenset[Collection] | None = None
        self._failures: frozenset[str] = frozenset()
        self.owners: dict[Target, Owner] = {}

    @property
    def items(self) -> dict[Target, Object]:
        """Return the objects that the API has."""
        return {
            Target(collection, key): item
            for collection, (reflector, _) in self._followed.items()
            for key, item in reflector.objects.items()
        }

    async def settle(self, files: Files, node: Object, start: Callable[..., Any]) -> bool:
        """Create, replace and delete different objects; return False if any write was refused.

        `start` makes a task of a coroutine.
        """
        served = self._served.with_rows
        if served is None:
            return True
        if served != self._rows:  # a new definition may keep fields that the former dropped
            self._rows, self._kept = served, {}
        wanted = {self._target(r): r for r in files.items}
        self.owners = {target: r.owner for target, r in wanted.items()}
        self._follow({target.collection for target in wanted}, start)
        failures: set[str] = set()
        items = self.items
        for target, resource in wanted.items():
            if self._listed(target.collection):
                await self._try(failures, self._show(target, resource, node, items.get(target)))
        for target, item in items.items():
            owner = target.collection.kind, _annotation(item, NAME)
            if target not in wanted and owner not in files.rejected:
                await self._try(failures, self._delete(target, item))
        problems = (reflector.problem for reflector, _ in self._followed.values())
        failures.update(_failure(problem) for problem in problems if problem)
        for failure in sorted(failures - self._failures):
            log.warning("%s; retrying", failure)
        self._failures = frozenset(failures)
        return not failures

    async def _try(self, failures: set[str], work: Any) -> None:  # noqa: ANN401 - a coroutine
        try:
            await work
        except ApiError as error:
            if error.status != 409:  # another client wrote meanwhile: retry in a second
                failures.add(_failure(error))

    def _target(self, resource: Resource[Spec]) -> Target:
        """Return the object that shows a resource, preferably of a kind whose status has rows."""
        theirs, ours = (
            next(c for c in group if c.kind == resource.kind) for group in (THEIRS, OURS)
        )
        rows = self._served.with_rows or frozenset()
        collection = ours if theirs not in rows and ours in rows else theirs
        return Target(collection, (self._namespace, name(self._node, resource)))

    # -- following ----------------------------------------------------------------------------

    def list_again(self) -> None:
        for reflector, _ in self._followed.values():
            reflector.list_again()

    def _follow(self, wanted: set[Collection], start: Callable[..., Any]) -> None:
        """Follow the needed collections, and once those that may have objects of an earlier run."""
        for collection in (*THEIRS, *OURS):
            followed = self._followed.get(collection)
            if followed is None and (collection in wanted or collection not in self._empty):
                path, only = collection.path(self._namespace), {"labelSelector": self._selector}
                reflector = Reflector(self._client, path, lambda: None, only, optional=True)
                self._followed[collection] = reflector, start(reflector.run())
            elif followed and collection not in wanted:
                reflector, task = followed
                if reflector.listed and not reflector.objects:
                    task.cancel()
                    del self._followed[collection]
                    self._empty.add(collection)

    @property
    def _selector(self) -> str:
        return f"{STATIC}={self._label}"

    def _listed(self, collection: Collection) -> bool:
        followed = self._followed.get(collection)
        return followed is not None and followed[0].listed and followed[0].served

    # -- writing ------------------------------------------------------------------------------

    async def _show(
        self, target: Target, resource: Resource[Spec], node: Object, item: Object | None
    ) -> None:
        wanted = self._object(target, resource, node)
        if item is not None and self._kept.get(target) == (wanted, _stored(item)):
            return
        if item is None:
            try:
                path = target.collection.path(self._namespace)
                await self._keep(target, wanted, self._client.create(path, wanted))
                return
            except ApiError as error:
                if error.status != 409:
                    raise
            item = await self._client.get(target.collection.at(target.key))  # its label is gone
        await self._replace(target, wanted, item)

    async def _replace(self, target: Target, wanted: Object, item: Object) -> None:
        """Replace an object, but keep others' metadata."""
        has, ours = item["metadata"], wanted["metadata"]
        merged = {part: {**(has.get(part) or {}), **ours[part]} for part in _NOTES}
        metadata = {**has, **ours, **merged}
        body = {**wanted, "metadata": metadata}
        path = target.collection.at(target.key)
        await self._keep(target, wanted, self._client.replace(path, body))

    async def _keep(self, target: Target, wanted: Object, work: Any) -> None:  # noqa: ANN401
        reflector, _ = self._followed[target.collection]
        self._kept[target] = wanted, _stored(await reflector.write(target.key, work))

    async def _delete(self, target: Target, item: Object) -> None:
        self._kept.pop(target, None)
        uid = str(item["metadata"].get("uid") or "")
        try:
            await self._client.delete(target.collection.at(target.key), uid)
        except ApiError as error:
            if error.status != 404:
                raise

    def _object(self, target: Target, resource: Resource[Spec], node: Object) -> Object:
        source = resource.origin.document.path if resource.origin else resource.source
        return {
            "apiVersion": target.collection.group,
            "kind": target.collection.kind,
            "metadata": {
                "name": target.key[1],
                "namespace": self._namespace,
                "labels": {STATIC: self._label},
                "annotations": {NAME: resource.name, NODE: self._node, SOURCE: source},
                "ownerReferences": owned_by(node),
            },
            "spec": shown(resource.spec),
        }


def _failure(why: object) -> str:
    return f"copy of a manifest in the API: {why}"


_NOTES = ("labels", "annotations")


def _stored(item: Object) -> object:
    """Return the parts that an edit can change: the spec, and our metadata."""
    metadata = item["metadata"]
    notes = [{k: v for k, v in (metadata.get(p) or {}).items() if _is_ours(k)} for p in _NOTES]
    return item.get("spec"), notes


def _is_ours(note: str) -> bool:
    return note.startswith("dualpath.io/")


def is_static(item: Object) -> bool:
    """Tell whether an object shows a file, even if somebody removed its label."""
    metadata = item["metadata"]
    return STATIC in (metadata.get("labels") or {}) or NODE in (metadata.get("annotations") or {})


def _annotation(item: Object, name: str) -> str:
    return str((item["metadata"].get("annotations") or {}).get(name))


def shown(spec: Spec) -> Object:
    """Return the fields that a manifest sets as JSON, without passwords."""
    found: Object = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    for session in (found.get("hostSession"), *(found.get("neighbors") or ())):
        if isinstance(session, dict):
            session.pop("password", None)
    if "rawConfig" in found:
        found["rawConfig"] = redact(str(found["rawConfig"]))
    return found


def name(node: str, resource: Resource[Any]) -> str:
    """Return the name of the object that shows a resource."""
    digest = hashlib.sha256("\n".join((node, resource.name)).encode()).hexdigest()[:10]
    stem = re.sub(r"[^a-z0-9-]", "-", resource.given_name.lower())[:LONGEST_STEM]
    return f"static-{stem}-{digest}"


def label(node: str) -> str:
    """Return the value of the label: the node's name, or its hash if that is too long."""
    if len(node) <= LONGEST_LABEL:
        return node
    return hashlib.sha256(node.encode()).hexdigest()[:LONGEST_LABEL]
