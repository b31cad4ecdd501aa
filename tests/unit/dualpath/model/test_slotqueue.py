from __future__ import annotations

from collections import deque
from random import Random

import numpy as np
import pytest

from dualpath.model.slotqueue import SlotQueue
from dualpath.model.table import Slots


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
