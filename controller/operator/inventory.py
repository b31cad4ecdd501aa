"""The objects and Nodes that the API server has, and what was admitted and is not seen yet.

A watch tells of an object some milliseconds after it was written. Until then the next request would
be judged without it, and two objects of one manifest could take one VNI. So what was admitted
counts for `UNSEEN_S`, or until the watch tells of that object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from controller.kubernetes import rollouts
from controller.kubernetes.client import Client
from controller.kubernetes.objects import OURS, THEIRS, Collection, Key, Object, Target
from controller.kubernetes.reflector import Reflector
from controller.operator.judgement import Change

UNSEEN_S = 3.0
MOST_UNSEEN = 1000


class Inventory:
    """Every object of our kinds, and every Node."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kinds = {
            collection: Reflector(
                client,
                collection.path(),
                self._notice,
                optional=collection in OURS,
                statuses=True,
            )
            for collection in (*THEIRS, *OURS)
        }
        self._nodes = Reflector(client, "/api/v1/nodes", self._notice)
        self._rollouts = Reflector(
            client, rollouts.ROLLOUTS.path(), self._notice, optional=True, statuses=True
        )
        self._unseen: dict[Target, tuple[float, object, Object | None]] = {}
        self._listeners: list[asyncio.Event] = []

    async def run(self) -> None:
        """Follow the API server until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self._every:
                group.create_task(reflector.run())

    def listen(self) -> asyncio.Event:
        """Return an event that is set at every change."""
        event = asyncio.Event()
        self._listeners.append(event)
        return event

    @property
    def _every(self) -> tuple[Reflector, ...]:
        return self._nodes, self._rollouts, *self._kinds.values()

    @property
    def listed(self) -> bool:
        return all(r.listed for r in (self._nodes, *self._kinds.values()))

    @property
    def problem(self) -> str:
        return next((reflector.problem for reflector in self._every if reflector.problem), "")

    @property
    def knows_rollout(self) -> bool:
        """Tell whether the API server was heard about the Rollout, which the webhook needs not."""
        return self.listed and self._rollouts.listed

    @property
    def rollout(self) -> Object | None:
        return self._rollouts.objects.get(("", rollouts.NAME))

    @property
    def nodes(self) -> list[Object]:
        return list(self._nodes.objects.values())

    @property
    def objects(self) -> dict[Collection, dict[Key, Object]]:
        """Return what the API server has shown."""
        return {collection: reflector.objects for collection, reflector in self._kinds.items()}

    def expected(self) -> dict[Collection, dict[Key, Object]]:
        """Return what the API server has, with what was admitted and is not seen yet."""
        found = {collection: dict(found) for collection, found in self.objects.items()}
        now_s = self._clock()
        for target, (until_s, version, item) in list(self._unseen.items()):
            of_kind = found[target.collection]
            if now_s > until_s or _version(of_kind.get(target.key)) != version:
                del self._unseen[target]
            elif item is None:
                of_kind.pop(target.key, None)
            else:
                of_kind[target.key] = item
        return found

    def admitted(self, change: Change) -> None:
        """Note a change that the API server is about to make."""
        if len(self._unseen) < MOST_UNSEEN:
            collection, key = change.target
            version = _version(self._kinds[collection].objects.get(key))
            until_s = self._clock() + UNSEEN_S
            self._unseen[change.target] = until_s, version, change.after

    def _notice(self) -> None:
        for event in self._listeners:
            event.set()


def _version(item: Object | None) -> object:
    """Return what changes with each write to a spec, and not with those to a status."""
    metadata = item["metadata"] if item is not None else {}
    return metadata.get("uid"), metadata.get("generation")
