"""A clock that a test moves."""

from __future__ import annotations


class ManualClock:
    """Implements `controller.core.clock.Clock`."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.wall = 1_700_000_000.0  # epoch at `now` 0: move it to set the wall clock

    def monotonic(self) -> float:
        return self.now

    def epoch(self) -> float:
        return self.wall + self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
