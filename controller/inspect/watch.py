"""The journal in batches: a backlog in one message, a lone change at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from controller.inspect.filters import (
    Aspect,
    BadRequest,
    PlaceFilter,
    aspects_of_change,
    places,
)
from dualpath.model.view import Change, RowState, StateView
from dualpath.pb import inspect_pb2 as pb

BATCH = 512
BACKLOG = 4 * BATCH
"""Changes read ahead of a slow client. Beyond it the journal waits, then drops them."""

STATES: frozenset[int] = frozenset({RowState.PROGRAMMED, RowState.FAILED, RowState.UNMANAGED})
"""The states that a change can have."""

Placed = tuple[Change, Aspect]
"""A change, and the VRF and VNI to which it belongs."""

STATE_NAMES = {int(state): state.name for state in RowState}


def check(request: pb.WatchRequest) -> None:
    """Reject filters that are invalid or that no change can pass. Raises BadRequest."""
    PlaceFilter(request)
    for state in request.states:
        if state not in STATES:
            name = STATE_NAMES.get(state, str(state))
            raise BadRequest(
                f"no change is ever {name}: watch tells of rows that are PROGRAMMED, FAILED or"
                " UNMANAGED, list rows for the other states"
            )


class ChangeFilter:
    """The filters of a WatchRequest. From the journal, it also learns VNIs that no longer exist."""

    def __init__(self, view: StateView, request: pb.WatchRequest) -> None:
        self._kinds: frozenset[int] = frozenset(request.kinds)
        self._states: frozenset[int] = frozenset(request.states)
        self._place = PlaceFilter(request)
        self._resolve = view.nexthop
        self._places = places(view)

    def where(self, change: Change) -> Aspect | None:
        """Return the aspect of a change that passes the filters, None if none does."""
        if change.record and not change.withdrawn:
            self._places.add(change.record)
        if self._kinds and change.kind not in self._kinds:
            return None
        if self._states and change.state not in self._states:
            return None
        return self._place.first(aspects_of_change(change, self._places, self._resolve))


async def watch(
    view: StateView, request: pb.WatchRequest, after: int
) -> AsyncGenerator[list[Placed], None]:
    """Yield changes that pass the request's filters. Raises LookupError as `changes` does."""
    queue: asyncio.Queue[Placed] = asyncio.Queue(BACKLOG)
    pump = asyncio.create_task(_pump(view, after, request, queue))
    try:
        while batch := await _next(queue, pump):
            yield batch
        await pump
    finally:
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)  # otherwise its error ends the daemon


async def _pump(
    view: StateView, after: int, request: pb.WatchRequest, queue: asyncio.Queue[Placed]
) -> None:
    wanted = ChangeFilter(view, request)
    async for change in view.changes(after):
        if change.sequence % BATCH == 0:
            await asyncio.sleep(0)  # reading a backlog never waits on its own
        if where := wanted.where(change):
            await queue.put((change, where))


async def _next(queue: asyncio.Queue[Placed], pump: asyncio.Task[None]) -> list[Placed]:
    """Return at least one change; none after the pump has ended."""
    getter = asyncio.ensure_future(queue.get())
    try:
        await asyncio.wait([getter, pump], return_when=asyncio.FIRST_COMPLETED)
        batch = [getter.result()] if getter.done() else []
    finally:
        getter.cancel()
    while len(batch) < BATCH and not queue.empty():
        batch.append(queue.get_nowait())
    return batch
