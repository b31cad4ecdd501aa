"""Follows one collection of an API server: list, compare, watch; list again if needed.

    list at version 70  ->  watch from 70  ->  stream ends after a minute  ->  watch from 84
                                           ->  410: 84 is too old          ->  list, compare

No event reports an object that was deleted while nobody watched: only a comparison of a new list
with the known objects does. A quiet server sends nothing for minutes, and sends bookmarks only
while other kinds are written, so silence proves nothing. A stream that overruns its time by
`client.SLACK_S` counts as dead.

Rejected: kopf, which writes finalizers and annotations into users' objects, once per node; kr8s and
lightkube, which lose deletions after a 410.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn

from controller.kubernetes.client import ApiError, Client, Gone
from controller.kubernetes.objects import Key, Object
from dualpath.process.backoff import Backoff

log = logging.getLogger(__name__)

FIRST_S, MOST_S = 0.5, 30.0
ABSENT_S = (45, 75)  # random pause before it lists an unserved kind again
STREAM_S = (45, 75)  # random length of each stream, so nodes do not reconnect simultaneously


class Reflector:
    """The objects of one collection, as the API server last showed them.

    It reports status-only changes if `statuses` is set. The API server may not serve the kind of an
    `optional` collection, which then has no objects. A starting API server answers 503 until it
    knows all its kinds, so a 404 is reliable.

    An open stream shows objects by the definition with which it began: a status that the former
    definition drops stays away, in newer events, too. `list_again` is for a changed definition.
    """

    def __init__(
        self,
        client: Client,
        path: str,
        changed: Callable[[], None],
        selectors: Mapping[str, str] | None = None,
        *,
        optional: bool = False,
        statuses: bool = False,
    ) -> None:
        self._client = client
        self._path = path
        self._changed = changed
        self._selectors = dict(selectors or {})
        self._optional = optional
        self._statuses = statuses
        self._backoff = Backoff(FIRST_S, MOST_S)
        self.served = False
        self.objects: dict[Key, Object] = {}
        self._writing: set[Key] = set()  # by us, and no event has shown it yet
        self.listed = False  # at least once
        self.problem = ""  # why the objects may be out of date
        self._again = False
        self._stream: asyncio.Timeout | None = None  # of an open one

    def list_again(self) -> None:
        """End the stream, and list. A stream that is being opened ends when it is open.

        httpcore does not close a connection whose opening is cancelled.
        """
        self._again = True
        if self._stream is not None:
            self._stream.reschedule(0.0)
            self._stream = None

    async def run(self) -> NoReturn:
        """Follow the collection until cancelled, whatever the server answers."""
        version = ""
        while True:
            try:
                if self._again:
                    self._again, version = False, ""
                if not version:
                    version = await self._list()
                if not self._again:
                    version = await self._watch(version)
                self._backoff.reset()
            except Gone as error:
                log.info("%s; listing again", error)
                version = ""
                await self._pause()
            except TimeoutError:  # by `list_again`
                continue
            except ApiError as error:
                if error.status == 404 and self._optional:
                    self._take({})
                    self.served, version = False, ""
                    await asyncio.sleep(random.uniform(*ABSENT_S))
                    continue
                news = not self.listed and not self.problem
                self.problem = str(error)
                if news:  # nothing need wait for the list
                    self._changed()
                await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(self._backoff.next_s() * random.uniform(0.5, 1.0))

    async def _list(self) -> str:
        items, version = await self._client.list(self._path, **self._selectors)
        self._take({key(item): item for item in items})
        self.served = True
        return version

    def _take(self, found: dict[Key, Object]) -> None:
        news = not self.listed or found.keys() != self.objects.keys()
        news = news or any(not self._same(self.objects[at], item) for at, item in found.items())
        self.objects = found
        self._writing.clear()
        self.listed = True
        self._reached()
        if news:
            self._changed()

    def _same(self, before: Object, found: Object) -> bool:
        """Tell whether only ignored fields changed: a status, or the heartbeat of a Node."""
        asked_for = self._statuses and before.get("status") != found.get("status")
        return not asked_for and _content(before) == _content(found)

    async def write(self, at: Key, request: Awaitable[Object]) -> Object:
        """Write an object; return it as stored.

        It is added to the objects at once, unless a newer event came before the answer.
        """
        self._writing.add(at)
        try:
            stored = await request
            if at in self._writing:
                self.objects[at] = stored
            return stored
        finally:
            self._writing.discard(at)

    def _reached(self) -> None:
        self.problem = ""

    async def _watch(self, version: str) -> str:
        """Follow one stream to its end; return the version from which to go on."""
        seconds = random.randint(*STREAM_S)

        def opened() -> None:
            self._reached()
            self._stream = timeout
            if self._again:
                self.list_again()

        stream = self._client.watch(self._path, version, seconds, opened, **self._selectors)
        try:
            async with asyncio.timeout(None) as timeout:
                async for event, found in stream:
                    version = str(found["metadata"].get("resourceVersion") or version)
                    if event != "BOOKMARK":
                        self._note(event, found)
        finally:
            self._stream = None
        return version

    def _note(self, event: str, found: Object) -> None:
        before = self.objects.pop(key(found), None)
        self._writing.discard(key(found))
        if event != "DELETED":
            self.objects[key(found)] = found
            if before is not None and self._same(before, found):
                return
        self._changed()


def key(found: Object) -> Key:
    metadata = found["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def version_of(found: Object) -> object:
    """Return a value that changes with every write to an object."""
    return found["metadata"].get("resourceVersion")


def _content(found: Object) -> object:
    """Return an object without its status."""
    metadata = {k: v for k, v in found["metadata"].items() if k not in _VOLATILE}
    return metadata, {k: v for k, v in found.items() if k not in ("metadata", "status")}


_VOLATILE = {"resourceVersion", "generation"}
