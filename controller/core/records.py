"""Records of one kind as the controller knows them: desired, programmed, and why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dualpath.model.kinds import Kind
from dualpath.model.records import Key, Record
from dualpath.model.view import KindCount, RecordRow, RowState

FROM_INTENT = -1
"""The generation of what manifests say: no session of zebra's has to repeat it."""


@dataclass(slots=True)
class _Row:
    """One key. Both sides None is no row."""

    number: int  # counts rows as they are made; a key that comes back is another row
    desired: Record | None = None
    programmed: Record | None = None
    error: str = ""
    generation: int = 0
    session: int = 0
    changed_at: float = 0.0


class RecordTable:
    """What is desired of a kind and what the datapath has; the difference is work to do."""

    def __init__(self, kind: Kind, *, managed: bool = True) -> None:
        self.kind = kind
        self.managed = managed
        self._rows: dict[Key, _Row] = {}
        self._dirty: dict[Key, None] = {}
        self._made = 0

    def want(self, record: Record, *, generation: int, session: int, now: float) -> bool:
        """Desire a record; True when that is news."""
        row = self._row(record.key)
        row.generation, row.session = generation, session
        if row.desired == record:
            return False
        row.desired, row.changed_at = record, now
        self._dirty[record.key] = None
        return True

    def rewrite(self, record: Record, *, now: float) -> None:
        """Desire a record in place of the one desired under its key, if any."""
        row = self._rows.get(record.key)
        if row and row.desired is not None and row.desired != record:
            row.desired, row.changed_at = record, now
            self._dirty[record.key] = None

    def unwant(self, key: Key, *, now: float) -> bool:
        """Desire a key no more; True when it was."""
        row = self._rows.get(key)
        if row is None or row.desired is None:
            return False
        row.desired, row.changed_at = None, now
        self._dirty[key] = None
        self._drop_if_empty(key)
        return True

    def adopt(self, record: Record, *, now: float) -> None:
        """Take what the datapath holds; it stays until it is known that nobody wants it."""
        row = self._row(record.key, now)
        row.programmed = record

    def unsaid(self, generation: int) -> tuple[Record, ...]:
        """Return what is desired and a sweep is about to take."""
        rows = [row for row in self._rows.values() if row.generation != generation]
        return tuple(row.desired for row in rows if row.desired is not None)

    def sweep(self, generation: int, now: float) -> int:
        """Desire no more what `generation` has not said; return how many."""
        old = [key for key, row in self._rows.items() if row.generation != generation]
        for key in old:
            self._rows[key].desired = None
            self._rows[key].changed_at = now
            self._dirty[key] = None
            self._drop_if_empty(key)
        return len(old)

    def lost(self, key: Key) -> bool:
        """Note that a key is no longer in the datapath; True when it was thought to be."""
        row = self._rows.get(key)
        if row is None or row.programmed is None:
            return False
        row.programmed = None
        self._dirty[key] = None
        self._drop_if_empty(key)
        return True

    def touch(self, key: Key) -> None:
        """Look at a key again."""
        if key in self._rows:
            self._dirty[key] = None

    def touch_unsettled(self, *, complete: bool) -> None:
        """Look again at all that is not as it is wanted, but for what was refused: see `retry`.

        Unless it is `complete`, what was adopted and that nobody has spoken of yet is left alone.
        """
        for key, row in self._rows.items():
            spoken_of = complete or row.desired is not None or row.generation
            if spoken_of and not row.error and row.desired != row.programmed:
                self._dirty[key] = None

    def pending(self) -> list[tuple[Key, Record | None, Record | None]]:
        """Return (key, desired, programmed) of all that was touched, and start afresh."""
        keys, self._dirty = self._dirty, {}
        if not self.managed:
            return []
        rows = [(key, row) for key in keys if (row := self._rows.get(key))]
        for _, row in rows:
            if row.desired == row.programmed:
                row.error = ""  # what was refused is wanted no more
        return [
            (key, row.desired, row.programmed) for key, row in rows if row.desired != row.programmed
        ]

    def done(self, key: Key, programmed: Record | None) -> None:
        """Note that a key is now so in the datapath."""
        row = self._row(key)
        row.programmed, row.error = programmed, ""
        if row.desired != programmed:
            self._dirty[key] = None
        self._drop_if_empty(key)

    def failed(self, key: Key, error: str, *, now: float) -> bool:
        """Note that the datapath refused a key; True when that is news. `retry` tries it again."""
        row = self._rows.get(key)
        if row is None:
            return False
        news = row.error != error
        row.error = error
        if news:
            row.changed_at = now
        self._drop_if_empty(key)
        return news

    def retry(self) -> None:
        """Try again what was refused."""
        self._dirty |= dict.fromkeys(key for key, row in self._rows.items() if row.error)

    def refused(self) -> Iterator[Record]:
        """Yield what the datapath does not have as it is wanted, and will not before a retry."""
        for row in self._rows.values():
            record = row.desired or row.programmed
            if row.error and record is not None and row.desired != row.programmed:
                yield record

    def has_failed(self) -> bool:
        return any(row.error for row in self._rows.values())

    def desired(self, key: Key) -> Record | None:
        row = self._rows.get(key)
        return row.desired if row else None

    def programmed(self, key: Key) -> Record | None:
        row = self._rows.get(key)
        return row.programmed if row else None

    def all_programmed(self) -> Iterator[Record]:
        for row in self._rows.values():
            if row.programmed is not None:
                yield row.programmed

    def __iter__(self) -> Iterator[Key]:
        return iter(self._rows)

    def rows(self, generation: int) -> Iterator[RecordRow]:
        """Yield the rows in the order in which they were made."""
        for row in list(self._rows.values()):
            record = row.desired or row.programmed
            if record is not None:
                state = self._state(row, generation)
                yield RecordRow(record, state, row.error, row.session, row.changed_at, row.number)

    def count(self, generation: int) -> KindCount:
        rows = self._rows.values()
        states = [self._state(row, generation) for row in rows]
        desired = sum(row.desired is not None for row in rows)
        return KindCount(
            self.kind,
            desired=desired if self.managed else 0,
            programmed=sum(row.programmed is not None for row in rows),
            failed=states.count(RowState.FAILED),
            stale=states.count(RowState.STALE),
            unmanaged=0 if self.managed else desired,
        )

    def _state(self, row: _Row, generation: int) -> RowState:
        if not self.managed:
            return RowState.UNMANAGED
        if row.error:
            return RowState.FAILED
        if row.programmed is not None and row.generation not in (generation, FROM_INTENT):
            return RowState.STALE
        if row.desired is None:
            return RowState.LEAVING
        return RowState.PROGRAMMED if row.desired == row.programmed else RowState.PENDING

    def _row(self, key: Key, now: float = 0.0) -> _Row:
        """Return a key's row, made now if need be."""
        row = self._rows.get(key)
        if row is None:
            self._made += 1
            row = self._rows[key] = _Row(self._made, changed_at=now)
        return row

    def _drop_if_empty(self, key: Key) -> None:
        row = self._rows.get(key)
        if row and row.desired is None and row.programmed is None:
            del self._rows[key]
