"""What FRR says, in the form in which the bridge's state takes it, and a bus that keeps it."""

from __future__ import annotations

from dualpath.model import events
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import DEFAULT_VRF, Op, RouteBatch, prefix_text
from frr_bridge.wire.columns import TableRoutes
from tests.fakes.batches import batch


def table_routes(*rows: str, table: int = 254) -> TableRoutes:
    """Return rows like "+ 10.0.0.0/8 1" and "- 10.0.0.0/8" as the decoder hands them on."""
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


def rows(said: RouteBatch) -> list[str]:
    """Return a batch as `table_routes` takes it."""
    columns = zip(
        said.ops.tolist(), said.prefixes, said.lengths.tolist(), said.nexthops.tolist(), strict=True
    )
    return [
        f"+ {prefix_text(bytes(prefix), length)} {nexthop}"
        if op == Op.UPSERT
        else f"- {prefix_text(bytes(prefix), length)}"
        for op, prefix, length, nexthop in columns
    ]


class MemoryBus:
    """Implements `frr_bridge.bridge.Bus`: keeps what is said, and what a subscriber knows."""

    def __init__(self, credit: int = 1000) -> None:
        self.credit = credit
        self.subscribed = True
        self.events: list[events.FromBridge] = []
        self.routes: dict[tuple[str, str], int] = {}  # (VRF, prefix) -> handle
        self.records: dict[object, Record] = {}  # (kind, key) -> record

    def send(self, event: events.FromBridge) -> None:
        self.events.append(event)
        if not isinstance(event, events.Changed):
            return
        assert self.credit > 0, "said more than the subscriber had room for"
        self.credit -= 1
        if isinstance(event.batch, RecordBatch):
            self._take(event.batch)
            return
        for row in rows(event.batch):
            op, prefix, *handle = row.split()
            self.routes.pop((event.batch.vrf, prefix), None)
            if op == "+":
                self.routes[event.batch.vrf, prefix] = int(handle[0])

    def _take(self, said: RecordBatch) -> None:
        for record in said.upserts:
            self.records[record.kind, record.key] = record
        for record in said.withdrawals:
            self.records.pop((record.kind, record.key), None)

    def prefixes(self, vrf: str = DEFAULT_VRF) -> set[str]:
        return {prefix for name, prefix in self.routes if name == vrf}

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)
