"""Records of one kind in the controller: desired, programmed, and why they differ."""

from __future__ import annotations

from collections.abc import Iterator

from controller.core.rows import Row, Rows
from dualpath.model.kinds import Kind
from dualpath.model.records import Key, Record

FROM_INTENT = -1
"""The generation of records that the intent wants: no FPM session has to repeat them."""


class RecordTable:
    """Desired and programmed records of one kind. Keys where they may differ are `pending`."""

    def __init__(self, kind: Kind, *, managed: bool = True) -> None:
        self.kind = kind
        self.managed = managed
        self._rows = Rows(kind)
        self.desired_groups = self._rows.desired_groups
        self.programmed_groups = self._rows.programmed_groups
        self.programmed_ids = self._rows.programmed_ids
        self._touched: dict[Key, None] = {}

    def fork(self) -> RecordTable:
        """Return a table with the same desired records, for a datapath that has none yet."""
        other = RecordTable(self.kind, managed=self.managed)
        for key, row in self._rows:
            if row.desired is not None:
                copy = other._rows.make(key)
                other._rows.desire(copy, row.desired)
                copy.changed_at = row.changed_at
                copy.generation, copy.session = row.generation, row.session
                other._touched[key] = None
        return other

    # -- desired --------------------------------------------------------------------------

    def want(self, record: Record, *, generation: int, session: int, now: float) -> bool:
        """Desire a record; return whether that is a change."""
        row = self._rows.make(record.key)
        if row.overridden and row.generation == generation:
            row.overridden = False
            self._rows.program(row, None)
            self._touched[record.key] = None
        row.generation, row.session = generation, session
        if row.desired == record:
            return False
        self._rows.desire(row, record)
        row.changed_at = now
        self._touched[record.key] = None
        return True

    def rewrite(self, record: Record, *, now: float) -> None:
        """Replace the desired record of a key, if it has one."""
        row = self._rows.get(record.key)
        if row and row.desired is not None and row.desired != record:
            self._rows.desire(row, record)
            row.changed_at = now
            self._touched[record.key] = None

    def unwant(self, key: Key, *, now: float) -> bool:
        """Desire a key no longer; return whether it was desired."""
        row = self._rows.get(key)
        if row is None or row.desired is None:
            return False
        self._rows.desire(row, None)
        row.changed_at = now
        self._touched[key] = None
        self._rows.drop_if_empty(key)
        return True

    def sweep(self, generation: int, now: float) -> int:
        """Stop desiring the keys that `generation` did not repeat; return their number."""
        old = [(key, row) for key, row in self._rows if row.generation != generation]
        for key, row in old:
            self._rows.desire(row, None)
            row.changed_at = now
            self._touched[key] = None
            self._rows.drop_if_empty(key)
        return len(old)

    def desired(self, key: Key) -> Record | None:
        row = self._rows.get(key)
        return row.desired if row else None

    # -- programmed -----------------------------------------------------------------------

    def adopt(self, record: Record, *, now: float) -> None:
        """Note a record of the datapath. It stays until a sweep shows that it is not desired."""
        self._rows.program(self._rows.make(record.key, now), record)

    def applied(self, key: Key, programmed: Record | None) -> None:
        """Note the record that the datapath now has for a key; None: none."""
        row = self._rows.make(key)
        self._rows.program(row, programmed)
        self._rows.accept(key, row)
        if row.desired is not programmed and row.desired != programmed:
            self._touched[key] = None
        if programmed is None:
            self._rows.drop_if_empty(key)

    def refuse(self, key: Key, error: str, *, now: float) -> bool:
        """Note why the datapath refused a key, until `retry`; return whether that is new."""
        row = self._rows.get(key)
        if row is None:
            return False
        news = row.error != error
        self._rows.refuse(key, row, error)
        if news:
            row.changed_at = now
        self._rows.drop_if_empty(key)
        return news

    def lost(self, key: Key) -> bool:
        """Note that a key left the datapath; return whether it was programmed."""
        row = self._rows.get(key)
        if row is None or row.programmed is None:
            return False
        self._rows.program(row, None)
        self._touched[key] = None
        self._rows.drop_if_empty(key)
        return True

    def overridden(self, key: Key) -> None:
        """Note that the datapath learned a local host in place of a remote record.

        The record counts as programmed until FRR withdraws it. If the host leaves again soon, the
        withdrawal and the next upsert may arrive together, and nothing seems to have changed. So
        the next upsert of the same subscription is applied in any case.
        """
        if row := self._rows.get(key):
            row.overridden = True

    def programmed(self, key: Key) -> Record | None:
        row = self._rows.get(key)
        return row.programmed if row else None

    def all_programmed(self) -> Iterator[Record]:
        for _, row in self._rows:
            if row.programmed is not None:
                yield row.programmed

    # -- pending --------------------------------------------------------------------------

    def touch(self, key: Key) -> None:
        """Look at a key again in the next `pending`."""
        if self._rows.get(key):
            self._touched[key] = None

    def touch_unsettled(self, *, complete: bool) -> None:
        """Touch every key whose two sides differ, except refused ones, which `retry` touches.

        Unless FRR and the intent are `complete`, leave out adopted keys that they have not
        mentioned.
        """
        for key, row in self._rows:
            mentioned = complete or row.desired is not None or row.generation
            if mentioned and not row.error and row.desired != row.programmed:
                self._touched[key] = None

    def pending(self) -> list[tuple[Key, Record | None, Record | None]]:
        """Return (key, desired, programmed) of the touched keys that differ; untouch all."""
        keys, self._touched = self._touched, {}
        if not self.managed:
            return []
        differing: list[tuple[Key, Record | None, Record | None]] = []
        for key in keys:
            row = self._rows.get(key)
            if row is None:
                continue
            if row.desired == row.programmed:
                self._rows.accept(key, row)  # the refused record is no longer desired
            else:
                differing.append((key, row.desired, row.programmed))
        return differing

    def retry(self) -> None:
        """Touch the refused keys."""
        self._touched |= self._rows.refused

    def refused(self) -> Iterator[Record]:
        """Yield the differing records that stay so until a retry."""
        for _, row in self._rows:
            record = row.desired or row.programmed
            if row.error and record is not None and row.desired != row.programmed:
                yield record

    def errors(self) -> Iterator[tuple[Key, str]]:
        """Yield the refused keys, and why."""
        return ((key, row.error) for key in self._rows.refused if (row := self._rows.get(key)))

    def has_failed(self) -> bool:
        return bool(self._rows.refused)

    def __iter__(self) -> Iterator[Key]:
        return (key for key, _ in self._rows)

    def rows(self) -> list[Row]:
        """Return the rows in the order in which they were created."""
        return [row for _, row in self._rows]
