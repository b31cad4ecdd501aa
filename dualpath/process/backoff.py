"""Delays between retries of something that fails.

The delay doubles with each failure, up to a limit, and starts over after a success:

    Backoff(0.5, 8.0)    fails: 0.5  1  2  4  8  8 ...    succeeds, fails: 0.5  1 ...

The caller decides what a success is. For a child process, it is a run of at least `steady_s`. With
Backoff(0.5, 8.0, steady_s=10), a program that ran for 12 s restarts after 0.5 s, and one that keeps
dying after 1 s restarts after 0.5, 1, 2, 4, 8, 8 s.

Rejected: jitter. The programs that retry here are alone on their node, and without jitter a test
can predict every delay.
"""

from __future__ import annotations

import math


class Backoff:
    """The delay before the next retry, in seconds. It neither sleeps nor reads a clock."""

    def __init__(self, first_s: float, most_s: float, *, steady_s: float = math.inf) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._steady_s = steady_s
        self._next_s = first_s

    def next_s(self) -> float:
        """Return the delay after one more failure."""
        delay_s = self._next_s
        self._next_s = min(2 * delay_s, self._most_s)
        return delay_s

    def after(self, lived_s: float) -> float:
        """Return the delay after the end of a process that ran for `lived_s`."""
        if lived_s > self._steady_s:
            self.reset()
        return self.next_s()

    def reset(self) -> None:
        """Note a success: the next delay is the first again."""
        self._next_s = self._first_s
