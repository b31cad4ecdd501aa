"""Compares what the bridge knows with what the kernel of FRR's namespace holds. Pure.

A new dump runs through the same code as every dump, so it repairs what it finds. A record that it
changed is a difference, unless a notification about the same row arrived during the dump: that
notification was only not processed yet, and nothing was missed.

    dump shows MAC 7, unknown so far      -> missed, a difference
    dump shows MAC 8, unknown so far      -> missed, but ...
    notification: MAC 8 was added         -> ... the notification was pending: no difference

Rejected: a second copy of the state, compared row by row. Both may differ for good reasons: a
router MAC stays one while it is remote, and a group loses members without a message.
"""

from __future__ import annotations

from collections.abc import Iterable

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Mac, Neighbor, RemoteVtep
from dualpath.model.records import Key, Record, RecordBatch
from frr_bridge.wire.link import LinkMessage
from frr_bridge.wire.message import Other
from frr_bridge.wire.neighbor import NeighborMessage

NAMED = 1000  # differing rows in an answer


class Check:
    """Collects the records that a dump changes, and the rows that notifications name meanwhile."""

    def __init__(self) -> None:
        self._missed: dict[tuple[Kind, Key], Record] = {}
        self._excess: dict[tuple[Kind, Key], Record] = {}
        self._stranded: list[Mac] = []
        self._named: set[bytes] = set()  # MACs and addresses in notifications
        self._unsettled = False  # devices or nexthops changed, so any row may have

    def upserted(self, record: Record) -> None:
        self._excess.pop((record.kind, record.key), None)
        self._missed[record.kind, record.key] = record

    def withdrawn(self, record: Record) -> None:
        if not self._missed.pop((record.kind, record.key), None):
            self._excess[record.kind, record.key] = record

    def strand(self, macs: Iterable[Mac]) -> None:
        """Note the MACs that a bridge sends to no VTEP: no record can describe them."""
        self._stranded = list(macs)

    def notified(self, message: Other) -> None:
        """Note a notification: the rows that it names were not missed."""
        if isinstance(message, NeighborMessage):
            self._named |= {message.lladdr, message.dst}
        elif isinstance(message, LinkMessage):
            self._unsettled = True
        else:
            self._named.add(b"")

    def differing(self) -> tuple[int, tuple[RecordBatch, ...]]:
        """Return how many rows differed, and up to NAMED of them."""
        missed = [*self._unexplained(self._missed.values()), *self.stranded()]
        excess = self._unexplained(self._excess.values())
        named = [(record, True) for record in missed] + [(record, False) for record in excess]
        kinds = dict.fromkeys(record.kind for record, _ in named[:NAMED])
        batches = tuple(
            RecordBatch(
                kind,
                tuple(record for record, new in named[:NAMED] if new and record.kind is kind),
                tuple(record for record, new in named[:NAMED] if not new and record.kind is kind),
            )
            for kind in kinds
        )
        return len(named), batches

    def stranded(self) -> list[Mac]:
        """Return the stranded MACs that no notification named during the dump."""
        return [] if self._unsettled else [m for m in self._stranded if m.mac not in self._named]

    def _unexplained(self, records: Iterable[Record]) -> list[Record]:
        if self._unsettled:
            return []
        return [record for record in records if not self._named & _names(record)]


def _names(record: Record) -> set[bytes]:
    """Return what a notification about a record would name; b"" is any nexthop."""
    match record:
        case Mac():
            return {record.mac}
        case Neighbor():
            return {record.address, record.mac}
        case RemoteVtep():
            return {record.vtep, record.mac}
        case Flood():
            return {record.vtep}
        case _:
            return {b""}
