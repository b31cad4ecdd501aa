"""Stalls by Python's search for cyclic garbage."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from dualpath.process import garbage
from dualpath.process.garbage import LEAST_S, Garbage


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


class Clock:
    """Replaces the module `time`; a search for garbage may take long."""

    def __init__(self) -> None:
        self.now_s = 5.0
        self.collect_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def collect(self) -> None:
        self.now_s += self.collect_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(garbage, "time", made)
    return made


class Node:
    """Something that refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_growth_visits_no_old_objects() -> None:
    Garbage()
    before = gc.get_stats()[2]["collections"]
    kept = [[number] for number in range(300_000)]
    assert gc.get_stats()[2]["collections"] == before
    assert len(kept) == 300_000


def test_old_cycles_are_freed_in_time(clock: Clock) -> None:
    looked = Garbage()
    cycle = Node()
    gc.collect(1)
    gc.collect(1)  # it is among the old ones now
    seen = weakref.ref(cycle)
    del cycle
    assert not looked.look()
    assert seen() is not None
    clock.now_s += LEAST_S
    assert (looked.look(), seen()) == (True, None)
    assert not looked.look()


def test_a_long_search_is_a_rare_one(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = Garbage()
    monkeypatch.setattr(gc, "collect", clock.collect)
    clock.collect_s = 0.5
    clock.now_s += LEAST_S
    assert looked.look()
    clock.now_s += LEAST_S
    assert not looked.look()
    clock.now_s += 0.5 * garbage.SHARE
    assert looked.look()
