"""Wait for a condition; a scenario never sleeps for a fixed time."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# How much longer than on a CPU of today everything takes here.
SLOWNESS = float(os.environ.get("DUALPATH_LAB_SLOWNESS", "1"))


def wait_until(probe: Callable[[], T], what: str, timeout_s: float, every_s: float = 0.2) -> T:
    """Return the first true value of `probe`; raise AssertionError saying `what` never came.

    `timeout_s` is for a quick machine, and is stretched on a slow one.
    """
    timeout_s *= SLOWNESS
    deadline = time.monotonic() + timeout_s
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what} (last: {value!r})")
        time.sleep(every_s)
