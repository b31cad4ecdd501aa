"""Reports the state of objects to the API server: rows of status, and the node's report.

Once a second it compares each object's status with the wanted one and writes differences, so a
status that others removed or changed is restored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeVar
from zlib import crc32

from controller.kubernetes import nodestatus, rollouts
from controller.kubernetes.client import ApiError, Client
from controller.kubernetes.objects import NODE_STATUSES, Object, Target
from controller.kubernetes.reflector import Reflector, version_of
from controller.kubernetes.served import Served
from controller.kubernetes.status import Row, body, manager_of, row_of
from dualpath.model.view import ResourceStatus

T = TypeVar("T")

log = logging.getLogger(__name__)

ON_ITS_WAY_S = 2.0  # until the watch shows a write
DROPPED_S = 15.0  # a row that it has not shown by then was dropped by a former definition
ABSENT_S = 10.0
REPEAT_S = 600.0  # nobody watches the Rollout, which may be another one by then


class Reporter:
    """Writes this node's part of every status."""

    def __init__(
        self,
        client: Client,
        node: str,
        namespace: str,
        served: Served,
        reports: Reflector,
        unreachable: Callable[[], bool],
    ) -> None:
        self._client = client
        self._node = node
        self._manager = manager_of(node)
        self._key = namespace, node
        self._served = served
        self._reports = reports
        self._unreachable = unreachable  # which is logged elsewhere
        self._row: tuple[rollouts.Row | None, str, float] = None, "", 0.0
        # Each with the object's version, and when.
        self._applied: dict[Target, tuple[Row | None, object, float]] = {}
        self._reported: tuple[object, float] = (None, 0.0)  # of the node, and when

    async def rows(self, items: Mapping[Target, Object], wanted: Mapping[Target, Row]) -> bool:
        """Apply every missing or different row; stop at the first refusal and return False.

        It skips definitions whose status has no rows.
        """
        possible = self._served.with_rows or frozenset()
        self._applied = {target: at for target, at in self._applied.items() if target in items}
        for target, item in rotated(list(items.items()), self._node):
            if target.collection not in possible:
                continue
            has, since = row_of(item, self._node)
            row = wanted.get(target)
            if has == row or self._is_on_its_way(target, row, item):
                continue
            same = has is not None and row is not None and has.ready == row.ready and since
            if not await self._apply_row(target, row, since if same else _now()):
                return False
            self._applied[target] = row, version_of(item), asyncio.get_running_loop().time()
        return True

    def _is_on_its_way(self, target: Target, row: Row | None, item: Object) -> bool:
        """Tell whether this row was applied to this version, and the watch may still show it."""
        *applied, at_s = self._applied.get(target, (None, None, -DROPPED_S))
        recent = asyncio.get_running_loop().time() < at_s + DROPPED_S
        return recent and applied == [row, version_of(item)]

    async def _apply_row(self, target: Target, row: Row | None, since: str) -> bool:
        path, applied = target.collection.at(target.key), body(target, self._node, row, since)
        try:
            await self._client.apply_status(path, applied, self._manager)
        except ApiError as error:
            return self._refused(f"{target.collection.kind} {'/'.join(target.key)}", error)
        return True

    async def node(self, node: Object, statuses: Iterable[ResourceStatus]) -> bool:
        """Apply the node's report if its kind is served; return False if it was refused."""
        if not self._reports.served:
            return True
        item = self._reports.objects.get(self._key)
        current = nodestatus.node_status(statuses)
        has, before = nodestatus.report_of(item) if item is not None else (None, {})
        path = NODE_STATUSES.at(self._key)
        unowned = item is None or not nodestatus.owned(item, node)
        if not unowned and has == current:
            return True
        now_s = asyncio.get_running_loop().time()
        what, at_s = self._reported
        if what == current and now_s < at_s + ON_ITS_WAY_S:
            return True
        try:
            if unowned:
                made = nodestatus.made(self._key[0], node)
                await self._client.apply(path, made, self._manager)
            if has != current:
                applied = nodestatus.body(self._key, current, before, _now())
                await self._client.apply_status(path, applied, self._manager)
            self._reported = current, now_s
        except ApiError as error:
            return self._refused(f"{NODE_STATUSES.kind} {'/'.join(self._key)}", error)
        return True

    async def rollout(self, row: rollouts.Row | None) -> bool:
        """Apply the node's row of the Rollout; return False if it was refused.

        None if the Node takes part in no rollout.
        """
        if row is None:
            self._row = None, "", 0.0
            return True
        now_s = asyncio.get_running_loop().time()
        before, since, at_s = self._row
        if row == before and now_s < at_s + REPEAT_S:
            return True
        same = before is not None and (row.ready, row.revision) == (before.ready, before.revision)
        since = since if same else _now()
        try:
            body = rollouts.row_body(self._node, row, since)
            await self._client.apply_status(rollouts.PATH, body, self._manager)
        except ApiError as error:
            if error.status == 404:  # the Rollout is gone, the Node's annotation not yet
                now_s -= REPEAT_S - ABSENT_S
            elif not self._refused(f"Rollout {rollouts.NAME}", error):
                return False
        self._row = row, since, now_s
        return True

    def _refused(self, what: str, error: ApiError) -> bool:
        """Log a refusal; return True if there is nothing to write to."""
        if error.status == 404:  # deleted meanwhile
            return True
        if not self._unreachable():
            log.warning("status of %s: %s; retrying", what, error)
        return False


def rotated(items: list[T], node: str) -> list[T]:
    """Rotate the items differently on each node, so nodes do not start with the same object."""
    start = crc32(node.encode()) % len(items) if items else 0
    return items[start:] + items[:start]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
