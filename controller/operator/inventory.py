"""The API server's objects and Nodes, and admitted changes that the watch has not shown yet.

A watch shows an object some milliseconds after it was written. Without that object, the next
request could be admitted with the same VNI. So an admitted change counts for `UNSEEN_S`, or until
the watch shows that object.
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
    """Every object of Dualpath's kinds, and every Node."""

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

    def list_again(self) -> None:
        """List everything again: a definition changed."""
        for reflector in self._every:
            reflector.list_again()

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
        """Tell whether the Rollout is listed too, which the webhook does not need."""
        return self.listed and self._rollouts.listed

    @property
    def rollout(self) -> Object | None:
        return self._rollouts.objects.get(("", rollouts.NAME))

    @property
    def nodes(self) -> list[Object]:
        return list(self._nodes.objects.values())

    @property
    def objects(self) -> dict[Collection, dict[Key, Object]]:
        """Return the listed and watched objects."""
        return {collection: reflector.objects for collection, reflector in self._kinds.items()}

    def expected(self) -> dict[Collection, dict[Key, Object]]:
        """Return the objects, including admitted changes that the watch has not shown yet."""
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
    """Return a value that changes with each write to a spec, but not to a status."""
    metadata = item["metadata"] if item is not None else {}
    return metadata.get("uid"), metadata.get("generation")
