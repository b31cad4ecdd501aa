"""Wait for a condition, where real sockets are at work and no event tells when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE_S = 5.0


async def until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Return once `condition` holds. Raises TimeoutError."""
    async with asyncio.timeout(patience_s):
        while not condition():  # noqa: ASYNC110  there is nothing else to wait on
            await asyncio.sleep(0.001)
