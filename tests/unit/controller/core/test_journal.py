"""The journal keeps a bounded tail of changes, and watchers wait on it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator

import pytest

from controller.core import journal
from controller.core.journal import Entry, Journal
from dualpath.model.kinds import Kind
from dualpath.model.view import Change, RowState
from tests.fakes.batches import batch


def expand(entry: Entry) -> Iterator[Change]:
    for index in range(len(entry.batch)):
        yield Change(
            entry.first + index,
            entry.at,
            Kind.ROUTE,
            str(index),
            "",
            RowState.PROGRAMMED,
            False,
            entry.failures.get(index, ""),
        )


def filled(*sizes: int) -> Journal:
    made = Journal(expand)
    for size in sizes:
        made.add(batch(*(f"+ 10.0.{i}.0/24 1" for i in range(size))), {}, 1.0)
    return made


async def read(made: Journal, after: int, count: int) -> list[int]:
    found: list[int] = []
    async for change in made.changes(after):
        found.append(change.sequence)
        if len(found) == count:
            break
    return found


async def test_changes_are_numbered_without_gaps() -> None:
    made = filled(2, 3)
    assert made.sequence == 5
    assert await read(made, 0, 5) == [1, 2, 3, 4, 5]
    assert await read(made, 1, 4) == [2, 3, 4, 5]
    assert await read(made, 4, 1) == [5]


async def test_an_empty_batch_is_no_change() -> None:
    made = filled(0, 1)
    assert made.sequence == 1


async def test_readers_wait_for_the_next_change() -> None:
    made = filled(1)
    readers = [asyncio.create_task(read(made, after, 2 - after)) for after in (0, 1)]
    await asyncio.sleep(0)
    made.add(batch("+ 10.0.0.0/8 1"), {0: "EINVAL"}, 2.0)
    assert await asyncio.wait_for(asyncio.gather(*readers), 5) == [[1, 2], [2]]


async def test_the_oldest_go_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "ROWS", 5)
    made = filled(2, 2, 2)
    assert await read(made, 2, 4) == [3, 4, 5, 6]
    with pytest.raises(LookupError, match="begins at 3"):
        await read(made, 1, 1)


async def test_the_oldest_go_when_there_are_many_small_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal, "ENTRIES", 3)
    made = filled(1, 1, 1, 1)
    assert await read(made, 1, 3) == [2, 3, 4]
    with pytest.raises(LookupError, match="begins at 2"):
        await read(made, 0, 1)


async def test_a_change_costs_a_reader_the_same_however_much_came_before() -> None:
    """A watcher that is up to date reads new entries only."""

    class Counting(deque[Entry]):
        """Counts the entries that were read."""

        looked_at = 0

        def __iter__(self) -> Iterator[Entry]:
            for entry in super().__iter__():
                self.looked_at += 1
                yield entry

        def __reversed__(self) -> Iterator[Entry]:
            for entry in super().__reversed__():
                self.looked_at += 1
                yield entry

    made = filled(*[1] * 100)
    entries = made._entries = Counting(made._entries)
    entries.looked_at = 0
    assert await read(made, 99, 1) == [100]
    assert entries.looked_at <= 2


async def test_one_batch_larger_than_the_journal_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "ROWS", 5)
    assert await read(filled(9), 0, 9) == list(range(1, 10))


async def test_a_future_sequence_number_is_an_error() -> None:
    with pytest.raises(LookupError, match="ends at 1"):
        await read(filled(1), 2, 1)
