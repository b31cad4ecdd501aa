"""When Python looks for cyclic garbage: often among new objects, seldom among all.

Reference counts free nearly everything that a daemon makes. For cycles, such as of exceptions and
their frames, Python visits all objects whenever a quarter more exist than at the last time: with
10,000 groups of 64 nexthops that is a stall of 0.2 s in the middle of a burst, and another one for
each quarter more. So here a visit to all is due by the clock, and the rarer the longer it takes.

Rejected: `gc.freeze`, as a table of today is garbage tomorrow; `gc.disable`, as gRPC and asyncio
make cycles all the time.
"""

from __future__ import annotations

import gc
import time

NEW_OBJECTS = 5_000  # more than were freed, until they are visited
VISITS = 4  # to new ones, until those of all these visits are visited once more
NEVER = 1 << 30
LEAST_S, SHARE = 600.0, 5000  # at most one part in SHARE of the time is a stall


class Garbage:
    """Decides when all objects are visited."""

    def __init__(self) -> None:
        gc.set_threshold(NEW_OBJECTS, VISITS, NEVER)
        self._due_s = time.monotonic() + LEAST_S

    def look(self) -> bool:
        """Visit all objects if that is due; return whether it was."""
        started_s = time.monotonic()
        if started_s < self._due_s:
            return False
        gc.collect()
        ended_s = time.monotonic()
        self._due_s = ended_s + max(LEAST_S, (ended_s - started_s) * SHARE)
        return True
