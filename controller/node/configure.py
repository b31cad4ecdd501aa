"""Requests that frr-bridge apply FRR's configuration, once per configuration and frr-bridge."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from dualpath.model.events import Configure, Configured
from dualpath.model.frr import FrrSettings, to_json

log = logging.getLogger(__name__)

_ANSWER_S = 600.0
"""Long enough to reload hundreds of VRFs on a slow machine; an end of frr-bridge shows at once."""


class FrrConfiguration:
    """The last configuration given to FRR, and its result."""

    def __init__(
        self,
        send: Callable[[Configure], object],
        forget_other: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self._send = send
        self._forget_other = forget_other  # what the next FRR would start with, were it alone
        self._intended: FrrSettings | None = None
        self._request = 0
        self._asked: Configure | None = None  # the last request
        self._pending: asyncio.Future[Configured] | None = None
        self._applied: tuple[FrrSettings, Configured] | None = None

    @property
    def applied(self) -> FrrSettings | None:
        """Return the configuration that FRR runs, as far as is known."""
        return self._applied[0] if self._applied else None

    def configured(self, settings: FrrSettings) -> bool:
        """Return whether FRR runs these settings, as far as is known."""
        return self._applied is not None and self._applied[0] == settings

    def intend(self, settings: FrrSettings) -> None:
        """Let no router start with other settings, also before these can be applied."""
        if settings != self._intended:
            with suppress(OSError):  # the state directory's; `StateDirectory` reports it
                self._forget_other(to_json(settings))
                self._intended = settings

    def answered(self, event: Configured) -> None:
        """Apply frr-bridge's answer; an answer to an earlier request is ignored."""
        if self._pending and not self._pending.done() and event.request == self._request:
            self._pending.set_result(event)

    def forget(self, why: str) -> None:
        """Forget FRR's configuration: its frr-bridge or namespace is gone."""
        self._applied = None
        self.answered(Configured(self._request, False, False, why))

    def repeat(self) -> None:
        """Repeat a request without an answer, because frr-bridge may have missed it.

        A request that was answered is not repeated.
        """
        if self._asked and self._pending and not self._pending.done():
            self._send(self._asked)

    async def ensure(self, settings: FrrSettings) -> Configured:
        """Make FRR run the settings, unless it already does."""
        if self._applied is not None and self._applied[0] == settings:
            return self._applied[1]
        self._applied = None
        self.intend(settings)
        self._request += 1
        self._pending = asyncio.get_running_loop().create_future()
        self._asked = Configure(self._request, to_json(settings))
        if not self._send(self._asked):
            self._pending = None
            return self._failed("frr-bridge is not connected, so FRR cannot be configured")
        try:
            async with asyncio.timeout(_ANSWER_S):
                answer = await self._pending
        except TimeoutError:
            return self._failed("frr-bridge did not answer")
        if answer.ok:
            self._applied = settings, answer
            log.info(
                "FRR's configuration %s", "applied" if answer.changed else "was already in force"
            )
        else:
            self._intended = None  # frr-bridge may have stored an earlier request meanwhile
            self.intend(settings)
        return answer

    def _failed(self, why: str) -> Configured:
        return Configured(self._request, False, False, why)
