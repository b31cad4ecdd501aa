"""Requests that frr-bridge compare its rows with the kernel of FRR's namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from controller.core.describe import describe
from dualpath.model import events
from dualpath.model.view import Audited, Difference, Problem

CHECK_S = 60.0  # a dump of 100,000 MACs takes some seconds


class Unchecked(Exception):
    """FRR's view could not be compared; the text says why."""


class BridgeCheck:
    """Sends a Check and waits for its Checked, which `answered` receives."""

    def __init__(self, send: Callable[[events.FromController], bool]) -> None:
        self._send = send
        self._request = 0
        self._waiting: dict[int, asyncio.Future[events.Checked]] = {}

    async def ask(self) -> events.Checked:
        """Return the differences that frr-bridge found and repaired. Raises Unchecked."""
        self._request += 1
        request = self._request
        if not self._send(events.Check(request)):
            raise Unchecked("frr-bridge is not connected")
        answer: asyncio.Future[events.Checked] = asyncio.get_running_loop().create_future()
        self._waiting[request] = answer
        try:
            async with asyncio.timeout(CHECK_S):
                return await answer
        except TimeoutError:
            raise Unchecked(f"frr-bridge did not answer for {CHECK_S:.0f} s") from None
        finally:
            del self._waiting[request]

    def answered(self, found: events.Checked) -> None:
        waiting = self._waiting.get(found.request)
        if waiting and not waiting.done():
            waiting.set_result(found)

    def lost(self) -> None:
        """Fail every waiting `ask`: the connection to frr-bridge was lost."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Unchecked("frr-bridge is not connected"))


def compared(found: events.Checked) -> Audited:
    """Return the rows of an audit for frr-bridge's findings."""
    rows = []
    for batch in found.batches:
        for index in range(len(batch)):
            missing = index < len(batch.upserts)
            problem = Problem.MISSING if missing else Problem.UNEXPECTED
            text, _ = describe(batch.row(index))
            rows.append(Difference(batch.kind, "", text, problem))
    return Audited(found.differed, tuple(rows))
