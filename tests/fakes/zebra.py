"""What FRR sends, as the bridge's state receives it, and a bus that keeps what is announced."""

from __future__ import annotations

from dualpath.model import events
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import DEFAULT_VRF, Op, RouteBatch, prefix_text
from frr_bridge.wire.columns import TableRoutes
from tests.fakes.batches import batch


def table_routes(*rows: str, table: int = 254) -> TableRoutes:
    """Return rows like "+ 10.0.0.0/8 1" and "- 10.0.0.0/8" as the decoder returns them."""
    made = batch(*rows)
    return TableRoutes(
        table,
        made.family,
        made.ops,
        made.prefixes,
        made.lengths,
        made.protocols,
        made.nexthops,
    )


def rows(routes: RouteBatch) -> list[str]:
    """Return a batch in the form that `table_routes` reads."""
    columns = zip(
        routes.ops.tolist(),
        routes.prefixes,
        routes.lengths.tolist(),
        routes.nexthops.tolist(),
        strict=True,
    )
    return [
        f"+ {prefix_text(bytes(prefix), length)} {nexthop}"
        if op == Op.UPSERT
        else f"- {prefix_text(bytes(prefix), length)}"
        for op, prefix, length, nexthop in columns
    ]


class MemoryBus:
    """Implements `frr_bridge.announcer.Bus`: keeps the events, and what a subscriber knows."""

    def __init__(self, credit: int = 1000) -> None:
        self.credit = credit
        self.subscribed = True
        self.replace_subscriber()

    def replace_subscriber(self) -> None:
        """Start with a subscriber that knows nothing."""
        self.events: list[events.FromBridge] = []
        self.routes: dict[tuple[str, str], int] = {}  # (VRF, prefix) -> handle
        self.records: dict[object, Record] = {}  # (kind, key) -> record

    def send(self, event: events.FromBridge) -> None:
        self.events.append(event)
        if not isinstance(event, events.Changed):
            return
        assert self.credit > 0, "a batch without credit"
        self.credit -= 1
        if isinstance(event.batch, RecordBatch):
            self._apply(event.batch)
            return
        for row in rows(event.batch):
            op, prefix, *handle = row.split()
            self.routes.pop((event.batch.vrf, prefix), None)
            if op == "+":
                self.routes[event.batch.vrf, prefix] = int(handle[0])

    def _apply(self, batch: RecordBatch) -> None:
        for record in batch.upserts:
            self.records[record.kind, record.key] = record
        for record in batch.withdrawals:
            self.records.pop((record.kind, record.key), None)

    def prefixes(self, vrf: str = DEFAULT_VRF) -> set[str]:
        return {prefix for name, prefix in self.routes if name == vrf}

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)
