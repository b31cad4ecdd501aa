"""Records of one kind as the controller knows them: desired, programmed, and why they differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dualpath.model.kinds import Kind
from dualpath.model.membership import Membership
from dualpath.model.nexthops import Nexthop
from dualpath.model.records import Key, Record

FROM_INTENT = -1
"""The generation of records that the intent wants: no FPM session has to repeat them."""


@dataclass(slots=True)
class Row:
    """One key. A row with neither side does not exist."""

    number: int  # counts the rows of the kind; a key that comes back gets another number
    _desired: Record | None = None  # written by the table, which indexes it
    _programmed: Record | None = None
    error: str = ""  # why the datapath refused it
    generation: int = 0  # of the subscription that last repeated it; 0: adopted
    session: int = 0
    changed_at: float = 0.0

    @property
    def desired(self) -> Record | None:
        return self._desired

    @property
    def programmed(self) -> Record | None:
        return self._programmed


class RecordTable:
    """Desired and programmed records of one kind. Keys where they may differ are `pending`."""

    def __init__(self, kind: Kind, *, managed: bool = True) -> None:
        self.kind = kind
        self.managed = managed
        self._rows: dict[Key, Row] = {}
        self._touched: dict[Key, None] = {}
        self._refused: dict[Key, None] = {}  # of the rows with an error
        self._created = 0
        self.desired_groups = Membership[int]()
        """Which desired groups have a nexthop as a member."""
        self.programmed_groups = Membership[int]()

    def fork(self) -> RecordTable:
        """Return a table that desires the same, for a datapath that has nothing yet."""
        other = RecordTable(self.kind, managed=self.managed)
        for key, row in self._rows.items():
            if row.desired is not None:
                copy = other._row(key)
                other._desire(copy, row.desired)
                copy.changed_at = row.changed_at
                copy.generation, copy.session = row.generation, row.session
                other._touched[key] = None
        return other

    # -- desired --------------------------------------------------------------------------

    def want(self, record: Record, *, generation: int, session: int, now: float) -> bool:
        """Desire a record; return whether it was not desired so before."""
        row = self._row(record.key)
        row.generation, row.session = generation, session
        if row.desired == record:
            return False
        self._desire(row, record)
        row.changed_at = now
        self._touched[record.key] = None
        return True

    def rewrite(self, record: Record, *, now: float) -> None:
        """Replace the desired record of a key, if it has one."""
        row = self._rows.get(record.key)
        if row and row.desired is not None and row.desired != record:
            self._desire(row, record)
            row.changed_at = now
            self._touched[record.key] = None

    def unwant(self, key: Key, *, now: float) -> bool:
        """Desire a key no longer; return whether it was desired."""
        row = self._rows.get(key)
        if row is None or row.desired is None:
            return False
        self._desire(row, None)
        row.changed_at = now
        self._touched[key] = None
        self._drop_if_empty(key)
        return True

    def sweep(self, generation: int, now: float) -> int:
        """Desire no longer the keys that `generation` did not repeat; return their number."""
        old = [key for key, row in self._rows.items() if row.generation != generation]
        for key in old:
            self._desire(self._rows[key], None)
            self._rows[key].changed_at = now
            self._touched[key] = None
            self._drop_if_empty(key)
        return len(old)

    def desired(self, key: Key) -> Record | None:
        row = self._rows.get(key)
        return row.desired if row else None

    # -- programmed -----------------------------------------------------------------------

    def adopt(self, record: Record, *, now: float) -> None:
        """Note a record that the datapath holds. It stays until a sweep shows nobody wants it."""
        self._program(self._row(record.key, now), record)

    def applied(self, key: Key, programmed: Record | None) -> None:
        """Note what the datapath now holds for a key; None: nothing."""
        row = self._row(key)
        self._program(row, programmed)
        self._accept(key, row)
        if row.desired != programmed:
            self._touched[key] = None
        self._drop_if_empty(key)

    def refuse(self, key: Key, error: str, *, now: float) -> bool:
        """Note why the datapath refused a key until `retry`; return whether that is news."""
        row = self._rows.get(key)
        if row is None:
            return False
        news = row.error != error
        row.error = error
        self._refused[key] = None
        if news:
            row.changed_at = now
        self._drop_if_empty(key)
        return news

    def lost(self, key: Key) -> bool:
        """Note that a key left the datapath; return whether it was believed to be in it."""
        row = self._rows.get(key)
        if row is None or row.programmed is None:
            return False
        self._program(row, None)
        self._touched[key] = None
        self._drop_if_empty(key)
        return True

    def programmed(self, key: Key) -> Record | None:
        row = self._rows.get(key)
        return row.programmed if row else None

    def programmed_of(self, keys: Iterable[Key]) -> set[Key]:
        """Return those of the keys that the datapath has."""
        rows = self._rows
        return {k for k in keys if (row := rows.get(k)) and row._programmed is not None}

    def all_programmed(self) -> Iterator[Record]:
        for row in self._rows.values():
            if row.programmed is not None:
                yield row.programmed

    # -- pending --------------------------------------------------------------------------

    def touch(self, key: Key) -> None:
        """Look at a key again in the next `pending`."""
        if key in self._rows:
            self._touched[key] = None

    def touch_unsettled(self, *, complete: bool) -> None:
        """Touch every key whose sides differ, except refused ones: `retry` touches those.

        Unless FRR and the intent are complete (`complete`), adopted keys that they have not
        mentioned are left alone.
        """
        for key, row in self._rows.items():
            mentioned = complete or row.desired is not None or row.generation
            if mentioned and not row.error and row.desired != row.programmed:
                self._touched[key] = None

    def pending(self) -> list[tuple[Key, Record | None, Record | None]]:
        """Return (key, desired, programmed) of the touched keys that differ; untouch all."""
        keys, self._touched = self._touched, {}
        if not self.managed:
            return []
        rows = [(key, row) for key in keys if (row := self._rows.get(key))]
        for key, row in rows:
            if row.desired == row.programmed:
                self._accept(key, row)  # the refused record is no longer desired
        return [
            (key, row.desired, row.programmed) for key, row in rows if row.desired != row.programmed
        ]

    def retry(self) -> None:
        """Touch the refused keys."""
        self._touched |= self._refused

    def refused(self) -> Iterator[Record]:
        """Yield the records that differ from the datapath, and stay so until a retry."""
        for row in self._rows.values():
            record = row.desired or row.programmed
            if row.error and record is not None and row.desired != row.programmed:
                yield record

    def errors(self) -> Iterator[tuple[Key, str]]:
        """Yield the keys that the datapath refused, and why."""
        return ((key, self._rows[key].error) for key in self._refused)

    def has_failed(self) -> bool:
        return bool(self._refused)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._rows)

    def rows(self) -> list[Row]:
        """Return the rows in the order in which they were created."""
        return list(self._rows.values())

    def _row(self, key: Key, now: float = 0.0) -> Row:
        """Return a key's row; create it if it does not exist."""
        row = self._rows.get(key)
        if row is None:
            self._created += 1
            row = self._rows[key] = Row(self._created, changed_at=now)
        return row

    def _desire(self, row: Row, record: Record | None) -> None:
        _index(self.desired_groups, row.desired, record)
        row._desired = record

    def _program(self, row: Row, record: Record | None) -> None:
        _index(self.programmed_groups, row.programmed, record)
        row._programmed = record

    def _accept(self, key: Key, row: Row) -> None:
        row.error = ""
        self._refused.pop(key, None)

    def _drop_if_empty(self, key: Key) -> None:
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


def _members(record: Record | None) -> list[int]:
    return [member.id for member in record.members] if isinstance(record, Nexthop) else []
