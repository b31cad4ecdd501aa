"""Wait for a condition, where real sockets are at work and no event tells when.

Tests wait by these, and never for a fixed time: tests/unit/test_architecture.py refuses a sleep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 5.0
_POLL_S = 0.001


async def until(
    condition: Callable[[], bool],
    patience_s: float = PATIENCE_S,
    *,
    again: Callable[[], object] | None = None,
) -> None:
    """Return once `condition` holds, and call `again` before each further look at it.

    Raises TimeoutError.
    """
    async with asyncio.timeout(patience_s):
        while not condition():
            if again:
                again()
            await asyncio.sleep(_POLL_S)


async def until_answered(
    ask: Callable[[], Awaitable[T]], refusal: type[Exception], patience_s: float = PATIENCE_S
) -> T:
    """Return what `ask` returns, once it raises `refusal` no longer. Raises TimeoutError."""
    async with asyncio.timeout(patience_s):
        while True:
            try:
                return await ask()
            except refusal:
                await asyncio.sleep(_POLL_S)


async def until_steady(value: Callable[[], object], steady_s: float) -> None:
    """Return once `value` has been the same for so long. Raises TimeoutError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20 * steady_s):
        before, since = value(), loop.time()
        while loop.time() - since < steady_s:
            await asyncio.sleep(_POLL_S)
            if (now := value()) != before:
                before, since = now, loop.time()
