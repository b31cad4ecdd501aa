"""When Python collects cyclic garbage: often among new objects, seldom among all.

Reference counts free nearly every object of a daemon. For cycles, such as exceptions and their
frames, Python visits all objects each time that their number has grown by a quarter. With 10,000
groups of 64 nexthops that is a stall of 0.2 s in the middle of a burst, and another one for each
further quarter. So here the clock decides when to visit all objects: the longer a visit takes, the
rarer it is.

Rejected: `gc.freeze`, because today's table is garbage tomorrow; `gc.disable`, because gRPC and
asyncio make cycles all the time.
"""

from __future__ import annotations

import gc
import time

NEW_OBJECTS = 5_000  # more new objects than freed ones, until the new ones are visited
VISITS = 4  # visits to new objects until these are visited once more
NEVER = 1 << 30
LEAST_S, SHARE = 600.0, 5000  # stalls take at most one part in SHARE of the time


class Garbage:
    """Decides when to visit all objects."""

    def __init__(self) -> None:
        gc.set_threshold(NEW_OBJECTS, VISITS, NEVER)
        self._due_s = time.monotonic() + LEAST_S

    def look(self) -> bool:
        """Visit all objects if it is time; return whether it was."""
        started_s = time.monotonic()
        if started_s < self._due_s:
            return False
        gc.collect()
        ended_s = time.monotonic()
        self._due_s = ended_s + max(LEAST_S, (ended_s - started_s) * SHARE)
        return True
