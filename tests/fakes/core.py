"""The controller's core around a datapath in memory, with a bridge played by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from controller.core.planes import Plane, Planes
from datapaths.base import Batch, RowFailure
from datapaths.memory import MemoryDatapath
from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.nexthops import Nexthop
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import RouteBatch
from tests.fakes.batches import batch, rows_of
from tests.fakes.clock import ManualClock

PATIENCE_S = 60.0  # a busy machine may run nothing of ours for seconds
RETRY_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""The reconciler's delays after one failure, after two, and so on."""


class LoggingDatapath(MemoryDatapath):
    """Logs batches in order, and lets other tasks run meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        await asyncio.sleep(0)
        self.log += _words(batch)
        return await super().apply(batch)


def _words(batch: Batch) -> list[str]:
    if isinstance(batch, RouteBatch):
        return [f"{'+' if to else '-'} ROUTE {prefix}" for prefix, to in rows_of(batch).items()]
    return [
        *(f"+ {batch.kind.name} {record.key}" for record in batch.upserts),
        *(f"- {batch.kind.name} {record.key}" for record in batch.withdrawals),
    ]


class Core:
    """State and reconciler; `heard` are the applied batches, with their failures."""

    def __init__(self, datapath: LoggingDatapath | None = None) -> None:
        self.datapath = datapath or LoggingDatapath()
        self.clock = ManualClock()
        self.heard: list[tuple[Batch, dict[int, str]]] = []
        self.settled: list[RouteBatch] = []  # repeated, and already in the datapath
        self.unmanaged: list[Batch] = []
        self.outward = Heard(self)
        plane = Plane("memory", self.datapath, self.clock, self.outward)
        self.planes = Planes(plane, self.outward)
        self.state = plane.state
        self.reconciler = plane.reconciler

    def wake(self) -> None:
        self.reconciler.wake()

    def subscribe(self, *, same_bridge: bool = False) -> None:
        self.state.subscribed(same_bridge=same_bridge)

    def say(self, *records: Record) -> None:
        """Let FRR want records, nexthops by the bridge's handles."""
        for record in records:
            self._changed(RecordBatch(record.kind, (record,)))

    def unsay(self, *records: Record) -> None:
        for record in records:
            self._changed(RecordBatch(record.kind, withdrawals=(record,)))

    def routes(self, *rows: str, vrf: str = "default") -> None:
        self._changed(batch(*rows, vrf=vrf))

    def _changed(self, changed: Batch) -> None:
        self.state.learn(events.Changed(changed))

    def synced(self) -> None:
        self.state.learn(events.Synced())

    async def settle(self) -> None:
        """Wait until only retries are pending."""
        self.wake()
        await asyncio.wait_for(self.reconciler.at_rest(), PATIENCE_S)

    async def later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for _ in range(2):  # one round notices that it is time to retry, the next does
            await self.settle()

    def nexthops(self) -> list[Nexthop]:
        return [n for n in self.datapath.records[Kind.NEXTHOP].values() if isinstance(n, Nexthop)]


class Heard:
    """Implements `Outward`: notes it in a Core's lists."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def applied(self, batch: Batch, failures: dict[int, str]) -> None:
        self._core.heard.append((batch, failures))

    def settled(self, batch: RouteBatch) -> None:
        self._core.settled.append(batch)

    def unmanaged(self, batch: Batch) -> None:
        self._core.unmanaged.append(batch)


@asynccontextmanager
async def running(core: Core) -> AsyncIterator[Core]:
    """Adopt, and reconcile for the length of a block."""
    await core.reconciler.adopt()
    work = asyncio.create_task(core.reconciler.run())
    try:
        yield core
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
