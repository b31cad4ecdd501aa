"""Time that stands still until a test moves it."""

from __future__ import annotations


class ManualClock:
    """Implements `controller.core.clock.Clock`."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now

    def epoch(self) -> float:
        return 1_700_000_000 + self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
