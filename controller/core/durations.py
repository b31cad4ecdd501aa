"""Durations of the daemon's work, counted for metrics. Pure.

Convergence is measured in episodes. One begins when the datapath at rest is woken, and ends when
only retries are left. Wake-ups within an episode belong to it: under constant change an episode is
long, and `behind_s` grows. An episode that applied nothing does not count.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

from controller.core.clock import Clock
from dualpath.model.view import Histogram

CONVERGENCE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SWITCH_S = (1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)


class Durations:
    """Counts durations by upper bounds."""

    def __init__(self, bounds_s: tuple[float, ...]) -> None:
        self._bounds_s = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self._total_s = 0.0

    def add(self, duration_s: float) -> None:
        self._counts[bisect_left(self._bounds_s, duration_s)] += 1
        self._total_s += duration_s

    def histogram(self) -> Histogram:
        return Histogram(self._bounds_s, tuple(accumulate(self._counts)), self._total_s)


class Episodes:
    """Measures how long a datapath takes to catch up.

    `durations` is None for a datapath that is not active. `Planes` passes the active one's
    durations on, so that the counters of metrics never decrease.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began: float | None = None  # monotonic; None: at rest
        self._changed = False
        self.durations: Durations | None = Durations(CONVERGENCE_S)

    def begin(self) -> None:
        """Note a wake-up."""
        if self._began is None:
            self._began = self._clock.monotonic()

    def changed(self) -> None:
        """Note that the datapath answered a batch."""
        self._changed = True

    def end(self) -> None:
        """Note that only retries are left."""
        if self._began is not None and self._changed and self.durations:
            self.durations.add(self._clock.monotonic() - self._began)
        self._began, self._changed = None, False

    def behind_s(self) -> float:
        return 0.0 if self._began is None else self._clock.monotonic() - self._began

    def histogram(self) -> Histogram:
        return (self.durations or Durations(CONVERGENCE_S)).histogram()
