"""Repeats work after each change of the cluster, and after an error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

from controller.kubernetes.client import ApiError


async def after_each(
    changed: asyncio.Event,
    work: Callable[[], Awaitable[None]],
    *,
    gather_s: float,
    retry_s: float,
    failed: Callable[[ApiError], None],
) -> NoReturn:
    """Do the work now and after each change until cancelled; changes within `gather_s` are one."""
    changed.set()
    while True:
        await changed.wait()
        await asyncio.sleep(gather_s)
        changed.clear()
        try:
            await work()
        except ApiError as error:
            failed(error)
            await asyncio.sleep(retry_s)
            changed.set()
