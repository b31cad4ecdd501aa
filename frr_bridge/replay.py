"""The end of zebra's replay to a new FPM session: zebra's log has a marker for it, FPM has none.

zebra's walk over its tables ends with the debug line KTCTN-3GCEG ("RMAC walk finished"). Bytes that
it wrote earlier may still be in flight. zebra counts its bytes exactly, so the replay is over once
the bridge has received the same number:

    zebra logs KTCTN-3GCEG; its counter: 184,320 bytes    received: 163,840    not yet over
                                                          received: 184,320    over

Without that line (an older FRR, no access to the vty) silence decides: no byte for 1.5 s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from frr_bridge.vty import LogMonitor, Vty, VtyError

log = logging.getLogger(__name__)

MARKER = b"KTCTN-3GCEG"  # zebra/dplane_fpm_nl.c, fpm_nl_rmac_... "RMAC walk finished"
QUIET_S = 1.5
_POLL_S = 0.1
_MODULUS = 1 << 32  # the counter is a uint32


class ReplayWatch:
    """Waits for the end of each session's replay.

    Call `arm` before zebra connects, to see the marker; then `finished`.
    """

    def __init__(self, vty: Vty, received: Callable[[], int]) -> None:
        self._vty = vty
        self._received = received
        self._monitor: LogMonitor | None = None
        self._before: dict[str, int] = {}

    @property
    def armed(self) -> bool:
        return self._monitor is not None

    async def arm(self) -> None:
        """Listen for the marker. Without one, `finished` waits for silence."""
        monitor = LogMonitor(self._vty.path, self._vty.rights)
        try:
            async with asyncio.timeout(2.0):
                await monitor.open("debug zebra fpm")
            self._before = await self._counters()
        except (OSError, VtyError, TimeoutError) as error:
            log.debug("no marker for the end of a replay: %s", error)
            await monitor.close()
            return
        self._monitor = monitor

    async def finished(self) -> str:
        """Return once the replay is over; return how the end was recognized."""
        monitor, self._monitor = self._monitor, None
        if monitor is None:
            return await self._quiet(QUIET_S)
        try:
            marker = asyncio.ensure_future(monitor.wait_for(MARKER))
            quiet = asyncio.ensure_future(self._quiet(4 * QUIET_S))
            try:
                done, _ = await asyncio.wait({marker, quiet}, return_when=asyncio.FIRST_COMPLETED)
            finally:  # before their sockets are closed
                marker.cancel()
                quiet.cancel()
                await asyncio.gather(marker, quiet, return_exceptions=True)
            if marker not in done or marker.exception():
                return await self._quiet(QUIET_S)
        finally:
            await monitor.close("no debug zebra fpm")
        await self._all_received()
        return "zebra's marker"

    async def _all_received(self) -> None:
        """Wait for every byte that zebra had written at the end of its walk."""
        try:
            now = await self._counters()
        except VtyError:
            return
        sent = (now["bytes-sent"] - self._before.get("bytes-sent", 0)) % _MODULUS
        leaked = self._before.get("obuf-bytes", 0)  # of an earlier session that ended; never sent
        owed = sent + max(0, now["obuf-bytes"] - leaked)
        last = -1
        while self._received() < owed and self._received() != last:
            last = self._received()
            await asyncio.sleep(_POLL_S)

    async def _quiet(self, idle_s: float) -> str:
        """Wait until no byte has arrived for `idle_s`."""
        loop = asyncio.get_running_loop()
        seen, since = self._received(), loop.time()
        while loop.time() - since < idle_s:
            await asyncio.sleep(_POLL_S)
            if self._received() != seen:
                seen, since = self._received(), loop.time()
        return "quiet"

    async def _counters(self) -> dict[str, int]:
        reply: Any = await self._vty.json("show fpm counters json")
        try:
            return {name: int(reply[name]) for name in ("bytes-sent", "obuf-bytes")}
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise VtyError(f"show fpm counters json: {reply!r}") from error
