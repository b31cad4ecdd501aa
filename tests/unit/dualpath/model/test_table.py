"""Keyed columns behave like a dictionary of rows."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualpath.model.routes import Family
from dualpath.model.table import (
    KeyedColumns,
    Keys,
    distinct,
    route_key_words,
    route_keys,
    route_prefixes,
)
from tests.fakes.visits import allocated, steps

FEW, MANY = 2_000, 50_000
Steps = list[tuple[str, list[int]]]

NUMBERS = st.lists(st.integers(0, 40), max_size=60)
STEPS = st.lists(st.tuples(st.sampled_from(["add", "remove"]), NUMBERS), max_size=25)


def keys(numbers: Sequence[int], words: int = 1) -> Keys:
    column = np.array(numbers, np.uint64).reshape(-1, 1)
    return np.concatenate([column << np.uint64(word * 8) for word in range(words)], axis=1)


def table(words: int = 1) -> KeyedColumns:
    return KeyedColumns(words, {"value": np.uint32})


@pytest.mark.parametrize("words", [1, 3])
@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_table_has_the_rows_of_a_dictionary(words: int, steps: Steps) -> None:
    rows, model, written = table(words), dict[int, int](), 0
    for step, numbers in steps:
        if step == "remove":
            going = sorted({n for n in numbers if n in model})
            rows.remove(rows.find(keys(going, words)))
            for number in going:
                del model[number]
        else:
            slots, fresh = rows.add(keys(numbers, words))
            assert len(fresh) == len(set(fresh.tolist())) == len(set(numbers) - model.keys())
            assert (rows["value"][fresh] == 0).all()
            for number, slot in zip(numbers, slots.tolist(), strict=True):
                if number not in model:
                    written += 1
                    model[number] = written
                    rows["value"][slot] = written
        found = rows.find(keys(range(41), words))
        assert {n for n, slot in enumerate(found.tolist()) if slot >= 0} == model.keys()
        assert len(rows) == len(model) == len(rows.slots())
        for number, value in model.items():
            slot = found[number]
            assert rows["value"][slot] == value
            assert (rows.keys(slot) == keys([number], words)).all()


@given(numbers=st.lists(st.integers(0, 1 << 40), max_size=200), words=st.sampled_from([1, 3]))
@settings(max_examples=40, deadline=None)
def test_repeated_key_in_a_batch_is_one_row(numbers: list[int], words: int) -> None:
    rows = table(words)
    slots, fresh = rows.add(keys(numbers, words))
    where = dict(zip(numbers, slots.tolist(), strict=True))
    assert [where[number] for number in numbers] == slots.tolist()
    assert len(set(where.values())) == len(where) == len(rows) == len(fresh)


def test_reused_slot_has_empty_columns() -> None:
    rows = table()
    slots, _ = rows.add(keys([1, 2, 3]))
    rows["value"][slots] = 7
    rows.remove(slots[1:2])
    again, fresh = rows.add(keys([4]))
    assert again.tolist() == fresh.tolist() == [slots[1]]
    assert rows["value"][again].tolist() == [0]
    assert rows.find(keys([2])).tolist() == [-1]


def test_churn_keeps_every_row_and_bounds_memory() -> None:
    rows = table()
    slots, _ = rows.add(keys(range(50_000)))
    rows["value"][slots] = np.arange(50_000)
    for _ in range(20):
        rows.remove(rows.find(keys(range(25_000))))
        rows.add(keys(range(25_000)))
    kept = rows.find(keys(range(25_000, 50_000)))
    assert (rows["value"][kept] == np.arange(25_000, 50_000)).all()
    assert len(rows) == 50_000
    assert rows.nbytes < 40 * 75_000


def test_pages_cover_every_row_once_and_skip_holes() -> None:
    rows = table()
    slots, _ = rows.add(keys(range(10)))
    rows.remove(slots[[2, 3, 7]])
    seen: list[int] = []
    at = 0
    while at >= 0:
        page, at = rows.page(at, 3)
        assert len(page) <= 3
        seen += page.tolist()
    assert seen == rows.slots().tolist()


def test_an_empty_batch_changes_nothing() -> None:
    rows = table()
    slots, fresh = rows.add(keys([]))
    rows.remove(slots)
    assert len(slots) == len(fresh) == len(rows) == 0
    assert rows.page(0, 5)[1] == -1


@pytest.mark.parametrize(
    "prefixes",
    [
        ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9", "255.255.255.255/32"],
        ["::/0", "2001:db8::/32", "2001:db8::/33", "ffff::1/128"],
    ],
)
def test_prefix_and_key_are_one_to_one(prefixes: list[str]) -> None:
    networks = [ipaddress.ip_network(prefix) for prefix in prefixes]
    family = Family.INET if networks[0].version == 4 else Family.INET6
    packed = np.frombuffer(b"".join(n.network_address.packed for n in networks), np.uint8)
    columns = packed.reshape(-1, family.width), np.array([n.prefixlen for n in networks], np.uint8)
    made = route_keys(family, *columns)
    assert made.shape == (4, route_key_words(family))
    assert len(np.unique(made, axis=0)) == 4
    back = route_prefixes(family, made)
    assert (back[0] == columns[0]).all()
    assert (back[1] == columns[1]).all()


@given(st.lists(st.integers(0, 50)), st.sampled_from([np.intp, np.uint32]))
def test_distinct_numbers_are_ascending_and_unique(
    numbers: list[int], dtype: type[np.integer[Any]]
) -> None:
    column: npt.NDArray[np.integer[Any]] = np.array(numbers, dtype)
    found = distinct(column)
    assert found.dtype == dtype
    assert found.tolist() == sorted(set(numbers))


def test_finding_distinct_slots_hashes_none() -> None:
    """A comparison marks a million rows while the event loop waits."""
    slots = np.arange(200_000)
    assert distinct(slots) is slots


# -- laws of growth: counts of bytes and steps, as a clock would depend on the machine ---------


def removed(count: int) -> KeyedColumns:
    """Return a table from which `count` rows were removed, and where 288 are left."""
    rows = table()
    slots, _ = rows.add(keys(range(count + 288)))
    for start in range(0, count, 144):
        rows.remove(slots[start : min(start + 144, count)])
    return rows


def test_removal_copies_no_slots_that_were_removed_before() -> None:
    few, many = removed(FEW), removed(MANY)
    sizes = []
    for rows in (few, many):
        for start in (0, 144):  # the first may have the stack grow
            slots = rows.slots()[:144]
            size = allocated(lambda rows=rows, slots=slots: rows.remove(slots))  # type: ignore[misc]
            if start:
                sizes.append(size)
    assert abs(sizes[1] - sizes[0]) < 20_000  # the slots of all rows are 200,000 bytes or more


def test_a_free_slot_is_taken_at_the_same_cost_of_few_and_of_many() -> None:
    few, many = removed(FEW), removed(MANY)
    key = keys([1 << 40])
    assert abs(allocated(lambda: few.add(key)) - allocated(lambda: many.add(key))) < 20_000


@pytest.mark.parametrize("first", [0, 1000])
def test_a_page_examines_no_rows_behind_it(first: int) -> None:
    few, many = table(), table()
    few.add(keys(range(FEW)))
    many.add(keys(range(MANY)))
    sizes = allocated(lambda: few.page(first, 512)), allocated(lambda: many.page(first, 512))
    assert abs(sizes[1] - sizes[0]) < 20_000
    assert steps(lambda: few.page(first, 512)) == steps(lambda: many.page(first, 512))


def test_pages_over_removed_rows_show_every_row_once() -> None:
    rows = table()
    slots, _ = rows.add(keys(range(10_000)))
    rows.remove(slots[(slots % 700 != 0) & (slots > 20)])
    found, start = list[int](), 0
    while start >= 0:
        page, start = rows.page(start, 3)
        assert len(page) == 3 or start < 0
        found += page.tolist()
    assert found == rows.slots().tolist()
