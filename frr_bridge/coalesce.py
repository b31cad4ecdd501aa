"""Let a session that is reset receive its routes sooner, once FRR has caught up after its start.

frr.conf has `coalesce-time 6000`: after a start of FRR, End-of-RIB to one side must wait for the
routes of the other (decision 0065). bgpd delays the first announcement of every later session as
long. So the running value becomes 1000, the file keeps 6000, and a bgpd that is started again has
6000 again:

    bgpd starts: 6000    LIVE    LIVE for 30 s: 1000    frr-reload.py: 6000    30 s later: 1000

frr-bridge does this without the controller. While routes are held, nothing changes.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator
from typing import NoReturn

from frr_bridge.frr_config import COALESCE_MS

log = logging.getLogger(__name__)

SHORT_MS = 1000  # FRR's own default is 1 s and 50 ms a peer
STEADY_S = 30.0  # after the last start or change
_PERIOD_S = 5.0
_LONG, _SHORT = f" coalesce-time {COALESCE_MS}", f" coalesce-time {SHORT_MS}"
_SHORT_LINE = re.compile(f"^{_SHORT}$", re.MULTILINE)


def as_written(running: str, text: str) -> str:
    """Return FRR's configuration as frr.conf has it: with the value before `shorter`.

    A snippet of the user's own with the short value is compared as it is.
    """
    return running if _SHORT in text.splitlines() else _SHORT_LINE.sub(_LONG, running)


def shorter(running: str) -> str:
    """Return the commands for vtysh that shorten each instance's value; "" if none has the long."""
    return "".join(f"{line}\n" for line in _shorter(running))


def _shorter(running: str) -> Iterator[str]:
    context = ""
    for line in running.splitlines():
        if not line.startswith(" "):
            context = line
        elif line == _LONG and context.startswith("router bgp "):
            yield from (context, _SHORT, "exit")


class CoalesceTime:
    """Calls `shorten` once after each change of `state`, when that was steady for a while.

    `state` is None while routes are held, or FRR still catches up. `shorten` returns False if it
    must be called again, which is after the same time.
    """

    def __init__(
        self, state: Callable[[], Hashable | None], shorten: Callable[[], Awaitable[bool]]
    ) -> None:
        self._state = state
        self._shorten = shorten
        self._seen: Hashable | None = None
        self._since = 0.0
        self._done = False

    async def run(self) -> NoReturn:
        while True:
            await asyncio.sleep(_PERIOD_S)
            await self.look(time.monotonic())

    async def look(self, now: float) -> None:
        state = self._state()
        if state != self._seen:
            self._seen, self._since, self._done = state, now, False
        if state is not None and not self._done and now >= self._since + STEADY_S:
            self._done = await self._shorten()
            self._since = now
