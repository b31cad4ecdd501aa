from __future__ import annotations

from collections import deque
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualpath.model.slotqueue import FEW, GENERATION, SlotQueue
from dualpath.model.table import Slots
from tests.fakes.visits import allocated, steps


def slots(*numbers: int) -> Slots:
    return np.array(numbers, np.intp)


def queue_of(*chunks: Slots) -> SlotQueue:
    queue = SlotQueue()
    for chunk in chunks:
        queue.append(chunk)
    return queue


def test_slots_leave_in_the_order_in_which_they_came() -> None:
    queue = queue_of(slots(5, 3), slots(9))
    assert queue.take(10).tolist() == [5, 3, 9]
    assert len(queue) == 0


def test_take_returns_at_most_its_limit_and_keeps_the_rest_in_front() -> None:
    queue = queue_of(slots(1, 2, 3), slots(4, 5))
    assert queue.take(2).tolist() == [1, 2]
    queue.append(slots(6))
    assert queue.take(2).tolist() == [3, 4]
    assert queue.take(2).tolist() == [5, 6]


def test_length_counts_slots_and_not_arrays() -> None:
    queue = queue_of(slots(1, 2, 3), slots(4, 5))
    assert len(queue) == 5
    queue.take(4)
    assert len(queue) == 1


def test_empty_array_does_not_make_the_queue_look_full() -> None:
    queue = queue_of(slots(), slots())
    assert not queue
    assert list(queue) == []


@pytest.mark.parametrize("limit", [0, 1, 100])
def test_take_from_an_empty_queue_returns_an_empty_array_of_slots(limit: int) -> None:
    taken = SlotQueue().take(limit)
    assert len(taken) == 0
    assert taken.dtype == np.intp


def test_take_of_none_leaves_the_queue_as_it_is() -> None:
    queue = queue_of(slots(1, 2))
    assert len(queue.take(0)) == 0
    assert len(queue) == 2


def test_take_all_empties_the_queue() -> None:
    queue = queue_of(slots(1, 2), slots(3))
    assert queue.take_all().tolist() == [1, 2, 3]
    assert not queue
    assert len(queue.take_all()) == 0


def test_clear_drops_every_slot() -> None:
    queue = queue_of(slots(1, 2), slots(3))
    queue.clear()
    assert len(queue) == 0
    assert len(queue.take(10)) == 0


def test_iteration_shows_the_arrays_and_removes_none() -> None:
    queue = queue_of(slots(1, 2), slots(3))
    assert [chunk.tolist() for chunk in queue] == [[1, 2], [3]]
    assert len(queue) == 3


@pytest.mark.parametrize("seed", range(20))
def test_any_sequence_of_calls_equals_a_queue_of_numbers(seed: int) -> None:
    random = Random(seed)
    queue, model = SlotQueue(), deque[int]()
    for start in range(0, 4000, 20):
        if random.random() < 0.6:
            numbers = list(range(start, start + random.randrange(20)))
            queue.append(slots(*numbers))
            model.extend(numbers)
        else:
            limit = random.randrange(30)
            expected = [model.popleft() for _ in range(min(limit, len(model)))]
            assert queue.take(limit).tolist() == expected
        assert len(queue) == len(model)
    assert queue.take_all().tolist() == list(model)


# -- a queue that spreads ---------------------------------------------------------------------


def spread_of(*chunks: Slots) -> SlotQueue:
    queue = SlotQueue(spread=True)
    for chunk in chunks:
        queue.append(chunk)
    return queue


def test_many_slots_are_handed_out_far_apart() -> None:
    queue = spread_of(np.arange(4 * FEW))
    assert queue.take(4).tolist() == [0, 2 * FEW, FEW, 3 * FEW]
    assert np.abs(np.diff(queue.take(FEW))).min() > FEW // 2


@pytest.mark.parametrize("count", [FEW + 1, 2 * FEW - 1, 2 * FEW, 2 * FEW + 1, 3 * FEW])
def test_any_number_of_slots_is_spread(count: int) -> None:
    queue = spread_of(np.arange(count))
    taken = queue.take(count).tolist()
    assert sorted(taken) == list(range(count))
    assert taken != sorted(taken)


def test_few_slots_keep_their_order() -> None:
    queue = spread_of(np.arange(FEW // 2), np.arange(FEW // 2)[::-1])
    expected = [*range(FEW // 2), *reversed(range(FEW // 2))]
    assert queue.take(FEW).tolist() == expected


def test_slot_that_is_queued_later_waits_for_those_that_are_handed_out() -> None:
    queue = spread_of(np.arange(2 * FEW))
    first = queue.take(10)
    queue.append(np.arange(2 * FEW, 6 * FEW))
    rest = queue.take(2 * FEW - 10)
    assert sorted([*first.tolist(), *rest.tolist()]) == list(range(2 * FEW))


def test_no_slot_overtakes_those_that_were_sealed() -> None:
    queue = spread_of(np.arange(2 * FEW))
    assert queue.seal() == 2 * FEW
    queue.append(np.arange(2 * FEW, 6 * FEW))
    assert sorted(queue.take(2 * FEW).tolist()) == list(range(2 * FEW))


def test_a_generation_is_bounded_so_that_no_slot_waits_for_ever() -> None:
    queue = spread_of(np.arange(2 * GENERATION))
    assert sorted(queue.take(GENERATION).tolist()) == list(range(GENERATION))


def test_iteration_and_take_all_show_the_slots_of_every_part() -> None:
    queue = spread_of(np.arange(2 * FEW))
    taken = queue.take(10).tolist()
    queue.append(slots(100_000))
    queue.seal()
    queue.append(slots(100_001))
    shown = [slot for chunk in queue for slot in chunk.tolist()]
    assert sorted(taken + shown) == [*range(2 * FEW), 100_000, 100_001]
    assert queue.take_all().tolist() == shown


SIZES = st.integers(0, 3 * FEW)
CALLS = st.lists(st.tuples(st.sampled_from(["append", "take", "seal"]), SIZES), max_size=20)


@pytest.mark.parametrize("spread", [False, True])
@settings(max_examples=40, deadline=None)
@given(calls=CALLS)
def test_every_slot_leaves_once_whatever_is_called(
    spread: bool, calls: list[tuple[str, int]]
) -> None:
    queue, queued, taken = SlotQueue(spread=spread), 0, list[int]()
    sealed = 0
    for call, size in calls:
        if call == "append":
            queue.append(np.arange(queued, queued + size))
            queued += size
        elif call == "seal":
            assert queue.seal() == queued - len(taken)
            sealed = queued
        else:
            taken += queue.take(size).tolist()
        assert len(queue) == queued - len(taken)
        if len(taken) >= sealed:
            assert set(range(sealed)) <= set(taken)
    taken += queue.take_all().tolist()
    assert sorted(taken) == list(range(queued))


def test_a_batch_costs_the_same_of_few_generations_and_of_many() -> None:
    few, many = spread_of(np.arange(2 * GENERATION)), spread_of(np.arange(8 * GENERATION))
    for queue in (few, many):
        queue.take(FEW)
    assert abs(allocated(lambda: few.take(FEW)) - allocated(lambda: many.take(FEW))) < 1000
    assert steps(lambda: few.take(FEW)) == steps(lambda: many.take(FEW))
