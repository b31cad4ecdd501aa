"""Reports BGP sessions and VNIs to the controller when they change. See `report`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from dualpath.model import events
from frr_bridge import report
from frr_bridge.frrwatch import rest_s
from frr_bridge.vty import NotJson, Vty, VtyError

log = logging.getLogger(__name__)

_PERIOD_S = 5.0


class Reporter:
    """Asks FRR's daemons every five seconds, and less often if they answer slowly."""

    def __init__(
        self,
        zebra: Vty,
        bgpd: Vty,
        *,
        undecoded: Callable[[], int],
        send: Callable[[events.FrrReport], None],
    ) -> None:
        self._zebra = zebra
        self._bgpd = bgpd
        self._undecoded = undecoded
        self._send = send
        self._sent = events.FrrReport()

    def restart(self) -> None:
        """Report everything again: the subscriber is new."""
        self._sent = events.FrrReport()

    async def run(self) -> None:
        pause_s = _PERIOD_S
        while True:
            await asyncio.sleep(pause_s)
            began = time.monotonic()
            try:
                found = report.report(
                    await self._ask(self._bgpd, report.NEIGHBORS),
                    await self._ask(self._zebra, report.VNIS),
                    await self._ask(self._zebra, report.TENANTS),
                    time.monotonic(),
                    self._sent,
                )
            except VtyError as error:
                log.debug("%s", error)
                continue
            found = replace(found, undecoded=self._undecoded())
            pause_s = rest_s(_PERIOD_S, began)
            if found != self._sent:
                self._sent = found
                self._send(found)

    async def _ask(self, daemon: Vty, line: str) -> object:
        """Return the output of a daemon; {} if no connection to it exists.

        It never connects: `FrrWatch` itself must notice that a daemon was restarted.
        """
        if not daemon.alive():
            return {}
        try:
            return await daemon.json(line)
        except NotJson:
            return {}
