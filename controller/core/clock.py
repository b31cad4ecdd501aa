"""Time, as a dependency that a test can replace."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def epoch(self) -> float:
        """Return seconds since the epoch."""


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def epoch(self) -> float:
        return time.time()
