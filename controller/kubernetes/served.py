"""Which kinds have rows in their status, from the schemas that the API server publishes.

OpenPERouter's definitions have a `status` without fields: the API server silently drops writes to
it. Dualpath's have a row for each node. The API server's OpenAPI documents show which definitions
it serves. Every user may read them (role `system:discovery`), but not the definitions.

The index of the documents has a hash for each of them, so an unchanged one is not fetched again.
Whoever follows a group lists it again after a change (`Reflector.list_again`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import NoReturn
from urllib.parse import parse_qsl, urlsplit

from controller.intent.schema import GROUP, OUR_GROUP
from controller.kubernetes.client import ApiError, Client
from controller.kubernetes.objects import OURS, THEIRS, Collection, Object
from dualpath.process.backoff import Backoff

INDEX = "/openapi/v3"
OLDER = "/openapi/v2"  # one document of all kinds: Kubernetes before 1.24
LOOK_S = (45, 75)  # a random time
OLDER_S = 600.0
FIRST_S, MOST_S = 0.5, 30.0


class Served:
    """The collections whose status has a row for each node; None before that is known."""

    def __init__(self, client: Client, replaced: Callable[[], None] = lambda: None) -> None:
        self._client = client
        self._replaced = replaced  # called after definitions were
        self._hashes: dict[str, str] = {}
        self._rows: dict[str, frozenset[Collection]] = {}  # by group
        self._known = False
        self.problem = ""

    @property
    def with_rows(self) -> frozenset[Collection] | None:
        return frozenset().union(*self._rows.values()) if self._known else None

    async def run(self) -> NoReturn:
        """Read the schemas until cancelled, whatever the server answers."""
        backoff = Backoff(FIRST_S, MOST_S)
        while True:
            try:
                rest_s = await self._look()
                self._known, self.problem = True, ""
                backoff.reset()
            except ApiError as error:
                self.problem = str(error)
                rest_s = backoff.next_s()
            await asyncio.sleep(rest_s)

    async def _look(self) -> float:
        try:
            index = (await self._client.document(INDEX)).get("paths")
        except ApiError as error:
            if error.status != 404:
                raise
            document = await self._client.document(OLDER)
            self._note("", with_rows(document.get("definitions")), OLDER)
            return OLDER_S
        if not isinstance(index, dict):
            raise ApiError(f"{INDEX}: not an index of documents")
        for group in (GROUP, OUR_GROUP):
            await self._look_at(group, index.get(f"apis/{group}"))
        return random.uniform(*LOOK_S)

    async def _look_at(self, group: str, entry: object) -> None:
        if entry is None:
            self._rows.pop(group, None)
            self._hashes.pop(group, None)
            return
        path = entry.get("serverRelativeURL") if isinstance(entry, dict) else None
        if not isinstance(path, str) or not path.startswith(f"{INDEX}/apis/"):
            raise ApiError(f"{INDEX}: no path for {group}")
        if self._hashes.get(group) == path and group in self._rows:
            return
        parts = urlsplit(path)
        document = await self._client.document(parts.path, **dict(parse_qsl(parts.query)))
        components = document.get("components")
        schemas = components.get("schemas") if isinstance(components, dict) else None
        self._note(group, with_rows(schemas), path)

    def _note(self, group: str, rows: frozenset[Collection], version: str) -> None:
        before = self._rows.get(group), self._hashes.get(group)
        self._rows[group], self._hashes[group] = rows, version
        if before not in ((None, None), (rows, version)):
            self._replaced()


def with_rows(schemas: object) -> frozenset[Collection]:
    """Return the collections whose status has rows, out of an OpenAPI document's schemas."""
    found: set[Collection] = set()
    for schema in schemas.values() if isinstance(schemas, dict) else ():
        status = _property(_property(schema, "status"), "nodes")
        if status is not None:
            found.update(_collections(schema))
    return frozenset(found)


def _property(schema: object, name: str) -> object:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties.get(name) if isinstance(properties, dict) else None


def _collections(schema: Object) -> Iterable[Collection]:
    kinds = schema.get("x-kubernetes-group-version-kind")
    for kind in kinds if isinstance(kinds, list) else ():
        if isinstance(kind, dict):
            one = Collection(f"{kind.get('group')}/{kind.get('version')}", str(kind.get("kind")))
            if one in THEIRS or one in OURS:
                yield one
