"""Checks of FRR's namespace: on request of the controller, and every ten minutes. See `check`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from dualpath.model.records import RecordBatch
from frr_bridge.bridge import Bridge
from frr_bridge.check import Check
from frr_bridge.watch import Watch

log = logging.getLogger(__name__)

_PERIOD_S = 600.0
_DUMPS = 3  # for one check, while notifications are lost in between


class NamespaceCheck:
    """Dumps FRR's namespace again, one check at a time."""

    def __init__(self, bridge: Bridge, watch: Watch, flush: Callable[[], None]) -> None:
        self._bridge = bridge
        self._watch = watch
        self._flush = flush
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_PERIOD_S)
            await self.check()

    async def check(self) -> tuple[int, tuple[RecordBatch, ...]]:
        """Dump FRR's namespace again and repair the bridge's rows; return the differences."""
        async with self._lock:
            left = _DUMPS
            while True:
                check, dumps = await self._dump()
                left -= 1
                if dumps == 1 or not left:  # else notifications were lost: nothing was missed
                    break
        differed, batches = check.differing()
        if stranded := check.stranded():
            log.warning(
                "%d MACs, such as %s, have no entry on the VXLAN device of FRR's namespace: the "
                "kernel refused zebra's (OPERATIONS, FRR versions)",
                len(stranded),
                stranded[0].mac.hex(":"),
            )
        if missed := differed - len(stranded):
            log.warning("%d rows of FRR's namespace were missing or outdated; repaired", missed)
        self._flush()
        return differed, batches

    async def _dump(self) -> tuple[Check, int]:
        check = self._bridge.records.check = Check()
        self._watch.on_news = check.notified
        try:
            dumps = await self._watch.again()
            check.strand(self._bridge.overlay.macs.stranded())
            return check, dumps
        finally:
            self._bridge.records.check = self._watch.on_news = None
