"""The rows of one kind: desired and programmed record of each key, and groups by their members."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dualpath.model.kinds import Kind
from dualpath.model.membership import Membership
from dualpath.model.nexthops import Nexthop
from dualpath.model.records import Key, Record


@dataclass(slots=True)
class Row:
    """One key. A row that is neither desired nor programmed does not exist."""

    number: int  # counts the rows of the kind; a key that returns gets a new number
    _desired: Record | None = None  # written by `Rows`, which indexes it
    _programmed: Record | None = None
    error: str = ""  # why the datapath refused it
    generation: int = 0  # of the subscription that last repeated it; 0: adopted
    session: int = 0
    changed_at: float = 0.0
    overridden: bool = False  # the datapath learned a local host in its place

    @property
    def desired(self) -> Record | None:
        return self._desired

    @property
    def programmed(self) -> Record | None:
        return self._programmed


class Rows:
    """Every key of one kind that is desired or programmed."""

    def __init__(self, kind: Kind) -> None:
        self._grouped = kind is Kind.NEXTHOP
        self._rows: dict[Key, Row] = {}
        self.get = self._rows.get  # the dictionary's own: every change of a record calls it
        self._refused: dict[Key, None] = {}  # of the rows with an error
        self._created = 0
        self.desired_groups = Membership[int]()
        """Which desired groups have a nexthop as a member."""
        self.programmed_groups = Membership[int]()
        self.programmed_ids: set[int] = set()
        """The programmed nexthops."""

    def __iter__(self) -> Iterator[tuple[Key, Row]]:
        """Yield keys and rows in the order in which they were created."""
        return iter(self._rows.items())

    def make(self, key: Key, now: float = 0.0) -> Row:
        """Return a key's row; create it if it does not exist."""
        row = self._rows.get(key)
        if row is None:
            self._created += 1
            row = self._rows[key] = Row(self._created, changed_at=now)
        return row

    def desire(self, row: Row, record: Record | None) -> None:
        if self._grouped:
            _index(self.desired_groups, row.desired, record)
        row._desired = record

    def program(self, row: Row, record: Record | None) -> None:
        if self._grouped:
            _index(self.programmed_groups, row.programmed, record)
            if record is None:
                self.programmed_ids.discard(_id_of(row.programmed))
            else:
                self.programmed_ids.add(_id_of(record))
        row._programmed = record

    def refuse(self, key: Key, row: Row, error: str) -> None:
        row.error = error
        self._refused[key] = None

    def accept(self, key: Key, row: Row) -> None:
        row.error = ""
        self._refused.pop(key, None)

    @property
    def refused(self) -> dict[Key, None]:
        return self._refused

    def drop_if_empty(self, key: Key) -> None:
        row = self._rows.get(key)
        if row and row.desired is None and row.programmed is None:
            del self._rows[key]
            self._refused.pop(key, None)


def _index(groups: Membership[int], before: Record | None, after: Record | None) -> None:
    old, new = _members(before), _members(after)
    if old or new:
        either = after or before
        assert isinstance(either, Nexthop)
        groups.change(either.id, old, new)


def _id_of(record: Record | None) -> int:
    return record.id if isinstance(record, Nexthop) else 0


def _members(record: Record | None) -> list[int]:
    return [member.id for member in record.members] if isinstance(record, Nexthop) else []
