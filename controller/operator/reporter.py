"""Writes what an object's nodes say together: conditions and Events. A task of the leader.

Decisions are in `conditions` and `events`. What an object should have is compared with what it has,
so a condition that somebody removed is written again, and a new leader repeats nothing.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import NoReturn

from controller.intent.reasons import Reason
from controller.kubernetes.client import ApiError, Client
from controller.kubernetes.objects import Object, Target
from controller.kubernetes.reflector import version_of
from controller.kubernetes.served import Served
from controller.kubernetes.status import manager_of
from controller.operator import conditions, events
from controller.operator.changes import after_each
from controller.operator.conditions import Condition
from controller.operator.events import Note, Published
from controller.operator.inventory import Inventory

log = logging.getLogger(__name__)

GATHER_S = 1.0  # many nodes report at once
RETRY_S = 5.0
TRANSIENT = (conditions.PROGRESSING, Reason.NOT_IN_FORCE)  # after every change, for a moment


class Recorder:
    """Makes Events; one that cannot be made is lost."""

    def __init__(self, client: Client, instance: str) -> None:
        self._client = client
        self._instance = instance
        self._series = events.Series()

    async def record(self, note: Note) -> None:
        path = f"/apis/{events.GROUP}/namespaces/{note.namespace}/events"
        at, now_s = datetime.now(UTC), asyncio.get_running_loop().time()
        published = self._series.repeats(note, now_s)
        try:
            if published is not None:
                await self._client.merge(f"{path}/{published.name}", events.series(published, at))
            else:
                body = events.body(note, self._instance, at)
                await self._client.create(path, body)
                published = Published(body["metadata"]["name"], 1, now_s)
        except ApiError as error:
            log.info("no Event about %s %s: %s", note.regarding.kind, note.regarding.name, error)
            return
        self._series.made(note, published)


class Reporter:
    """Keeps the condition of every object as its nodes' rows say."""

    def __init__(
        self, client: Client, inventory: Inventory, served: Served, recorder: Recorder
    ) -> None:
        self._client = client
        self._inventory = inventory
        self._served = served
        self._recorder = recorder
        self._changed = inventory.listen()
        self._written: dict[Target, tuple[Condition, object]] = {}  # with the object's version then
        self._removed: dict[Target, object] = {}

    async def lead(self) -> NoReturn:
        """Report until cancelled."""
        await after_each(
            self._changed,
            self._report,
            gather_s=GATHER_S,
            retry_s=RETRY_S,
            failed=lambda error: log.warning("conditions: %s; retrying", error),
        )

    async def _report(self) -> None:
        if not self._inventory.listed or self._served.with_rows is None:
            asyncio.get_running_loop().call_later(RETRY_S, self._changed.set)
            return
        objects, nodes = self._inventory.objects, self._inventory.nodes
        possible = self._served.with_rows or frozenset()
        present = {
            Target(collection, key): item
            for collection in objects.keys() & possible
            for key, item in objects[collection].items()
        }
        for noted in (self._written, self._removed):
            for target in noted.keys() - present.keys():
                del noted[target]
        for target, item in present.items():
            selected = conditions.selected(item, nodes)
            await self._remove_rows(target, item, {node["metadata"]["name"] for node in nodes})
            await self._write(target, item, conditions.ready(item, selected))

    async def _write(self, target: Target, item: Object, wanted: Condition) -> None:
        has, since = conditions.condition_of(item)
        # What was written to this version is on its way, or the definition has no such field.
        if has == wanted or self._written.get(target) == (wanted, version_of(item)):
            return
        same = has is not None and has.status == wanted.status and since
        body = conditions.body(target, wanted, since if same else _now())
        if not await self._apply(target, body, conditions.MANAGER):
            return
        self._written[target] = wanted, version_of(item)
        if _is_news(has, wanted):
            warning = wanted.status == "False" and wanted.reason not in TRANSIENT
            about = events.regarding(target.collection.kind, target.collection.group, item)
            await self._recorder.record(Note(about, wanted.reason, wanted.message, warning))

    async def _remove_rows(self, target: Target, item: Object, nodes: set[str]) -> None:
        """Remove the rows of deleted Nodes. A Node that exists removes its own row."""
        left = conditions.leftover(item, nodes)
        if not left or self._removed.get(target) == version_of(item):
            return
        for node in left:
            if not await self._apply(target, conditions.nothing(target), manager_of(node)):
                return
        self._removed[target] = version_of(item)

    async def _apply(self, target: Target, body: Object, manager: str) -> bool:
        """Apply a part of a status; return whether the object is still there."""
        try:
            await self._client.apply_status(target.collection.at(target.key), body, manager)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True


def _is_news(has: Condition | None, wanted: Condition) -> bool:
    """Tell whether a change is worth an Event: a message that counts nodes down is not."""
    if has is None:
        return wanted.reason != conditions.PROGRESSING
    if (has.status, has.reason) != (wanted.status, wanted.reason):
        return True
    return has.message != wanted.message and wanted.reason in conditions.FAILURES


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
