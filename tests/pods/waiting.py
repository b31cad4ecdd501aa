"""Wait for what programs do, and say what they logged if they do not."""

from __future__ import annotations

import time
from collections.abc import Callable

LOOK_S = 0.2


def until(
    condition: Callable[[], object],
    said: Callable[[], str],
    limit_s: float,
    look_s: float = LOOK_S,
) -> None:
    """Return once a condition holds. Fails with what is `said`."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, said()
        time.sleep(look_s)
