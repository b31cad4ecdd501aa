"""Whether the bridge knows what the kernel of FRR's namespace holds. Pure.

A fresh dump goes through the same code as every dump, so it repairs what it finds. What it changed
is a difference, unless a notification of the same thing was on its way: those are not missed, only
not read yet. Rejected: a second picture beside the first, compared row by row, since the two may
differ for good reasons (a router's MAC that is still one, a group that lost a leg).
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
    """Collects what changes while a dump is taken, and what notifications say meanwhile."""

    def __init__(self) -> None:
        self._missed: dict[tuple[Kind, Key], Record] = {}
        self._excess: dict[tuple[Kind, Key], Record] = {}
        self._stranded: list[Mac] = []
        self._named: set[bytes] = set()  # MACs and addresses of which there is news
        self._unsettled = False  # devices or nexthops changed: anything may have

    def wanted(self, record: Record) -> None:
        self._excess.pop((record.kind, record.key), None)
        self._missed[record.kind, record.key] = record

    def withdrawn(self, record: Record) -> None:
        if not self._missed.pop((record.kind, record.key), None):
            self._excess[record.kind, record.key] = record

    def strand(self, macs: Iterable[Mac]) -> None:
        """Take the MACs that lead nowhere in FRR's namespace: no record can say where they are."""
        self._stranded = list(macs)

    def news(self, said: Other) -> None:
        """Take a notification: what it speaks of was not missed."""
        if isinstance(said, NeighborMessage):
            self._named |= {said.lladdr, said.dst}
        elif isinstance(said, LinkMessage):
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
        """Return those of them that nothing happened to during the dump."""
        return [] if self._unsettled else [m for m in self._stranded if m.mac not in self._named]

    def _unexplained(self, records: Iterable[Record]) -> list[Record]:
        if self._unsettled:
            return []
        return [record for record in records if not self._named & _names(record)]


def _names(record: Record) -> set[bytes]:
    """Return what a notification about a record would speak of; b"" is any nexthop."""
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
