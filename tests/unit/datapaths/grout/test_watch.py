"""The follower of links survives a restart of grout."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from datapaths.base import DatapathError, Unavailable, Unsupported
from datapaths.grout.ports import watch


@pytest.mark.parametrize("error", [Unavailable, Unsupported, OSError])
async def test_search_for_a_grout_with_a_hidden_process_is_repeated(
    error: type[DatapathError | OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "AGAIN_S", 0)
    loop, again, asked = asyncio.get_running_loop(), asyncio.Event(), list[None]()

    def locate() -> str:
        asked.append(None)
        if len(asked) > 2:
            loop.call_soon_threadsafe(again.set)
        raise error("grout's process is not to be seen")

    task = loop.create_task(watch.Watch(locate, "").run())
    async with asyncio.timeout(10):
        await again.wait()
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
