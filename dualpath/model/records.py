"""The union of all records, and batches of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Flood, Lsp, Mac, Neighbor, RemoteVtep
from dualpath.model.links import Port, Vni, Vrf
from dualpath.model.nexthops import Nexthop, NexthopType

Record = Vrf | Vni | Port | RemoteVtep | Flood | EthernetSegment | Mac | Neighbor | Nexthop | Lsp
"""A small frozen object with a `kind` and a `key`; the key is unique within its kind."""

Key = Hashable


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Changes to records of one kind. A withdrawal carries the whole withdrawn record."""

    kind: Kind
    upserts: tuple[Record, ...] = ()
    withdrawals: tuple[Record, ...] = ()

    def __post_init__(self) -> None:
        for record in (*self.upserts, *self.withdrawals):
            if record.kind is not self.kind:
                raise ValueError(f"a {record.kind.name} in a batch of {self.kind.name}")

    def __len__(self) -> int:
        """Rows, upserts first: the index space of row failures."""
        return len(self.upserts) + len(self.withdrawals)

    def row(self, index: int) -> Record:
        n = len(self.upserts)
        return self.upserts[index] if index < n else self.withdrawals[index - n]

    def order(self) -> Iterator[int]:
        """Yield rows so that members come before groups, and groups leave before members."""
        if self.kind is not Kind.NEXTHOP:
            yield from range(len(self))
            return

        def is_group(index: int) -> bool:
            record = self.row(index)
            return isinstance(record, Nexthop) and record.type is NexthopType.GROUP

        count = len(self.upserts)
        yield from sorted(range(count), key=is_group)
        yield from sorted(range(count, len(self)), key=lambda index: not is_group(index))
