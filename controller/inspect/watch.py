"""The journal as batches: what has piled up goes in one message, a lone change at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from controller.model.view import Change, StateView
from controller.pb import inspect_pb2 as pb

BATCH = 512
BACKLOG = 4 * BATCH
"""Changes read ahead of a slow client. Beyond it the journal waits; then it forgets."""


async def watch(
    view: StateView, request: pb.WatchRequest, after: int
) -> AsyncGenerator[list[Change], None]:
    """Yield changes that pass the request's filters. Raises LookupError as `changes` does."""
    queue: asyncio.Queue[Change] = asyncio.Queue(BACKLOG)
    pump = asyncio.create_task(_pump(view, after, request, queue))
    try:
        while batch := await _next(queue, pump):
            yield batch
        await pump
    finally:
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)  # or its failure were the daemon's


async def _pump(
    view: StateView, after: int, request: pb.WatchRequest, queue: asyncio.Queue[Change]
) -> None:
    kinds: frozenset[int] = frozenset(request.kinds)
    states: frozenset[int] = frozenset(request.states)
    async for change in view.changes(after):
        if change.sequence % BATCH == 0:
            await asyncio.sleep(0)  # a backlog comes without a pause
        if kinds and change.kind not in kinds:
            continue
        if states and change.state not in states:
            continue
        if request.vrf in ("", change.vrf):
            await queue.put(change)


async def _next(queue: asyncio.Queue[Change], pump: asyncio.Task[None]) -> list[Change]:
    """Return at least one change; none when the pump has ended."""
    getter = asyncio.ensure_future(queue.get())
    try:
        await asyncio.wait([getter, pump], return_when=asyncio.FIRST_COMPLETED)
        batch = [getter.result()] if getter.done() else []
    finally:
        getter.cancel()
    while len(batch) < BATCH and not queue.empty():
        batch.append(queue.get_nowait())
    return batch
