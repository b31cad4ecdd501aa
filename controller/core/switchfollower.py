"""Follows the datapath that the manifests name: switches to it, as `dualpath switch` would.

    names none                the operator decides, by `dualpath switch`
    names what forwards       nothing to do; an order for the other datapath is refused
    names the other           switch; after a rollback wait 30 s, 60 s, ... 10 min, and try again
    another name meanwhile    cancel the switch, which rolls it back, and start with the new name

Level-triggered: a lost wake-up costs delay. The switch itself, and what an abort leaves, is in
`switch`. See decision 0118.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NoReturn

from controller.core.switch import Switcher
from dualpath.model.switch import Order, Step, SwitchFailed, SwitchRefused, Tell

log = logging.getLogger(__name__)

LOOK_S = 0.5
SOON_S = 2.0  # after a refusal: nothing was done, and nothing has to rest
FIRST_S = 30.0  # after a rollback
LONGEST_S = 600.0


class Follower:
    """Carries out what the manifests name, and passes on the orders that do not contradict it."""

    def __init__(
        self,
        switcher: Switcher,
        wanted: Callable[[], str],
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._switcher = switcher
        self._wanted = wanted  # the datapath that the manifests name, "" for none
        self._now = now
        self._sleep = sleep
        self._to = ""  # what the rest is about
        self._text = ""  # progress, or why it failed
        self._again_at = 0.0
        self._pause_s = FIRST_S

    @property
    def problem(self) -> str:
        """Return why the named datapath does not forward yet; "" if it does, or none is named."""
        wanted = self._wanted()
        if not wanted or self._switcher.forwards_by() == wanted:
            return ""
        text = self._text if self._to == wanted else ""
        return f"switching to {wanted}: {text or 'begins'}"

    # -- orders of people -----------------------------------------------------------------

    async def switch(self, order: Order, tell: Tell) -> None:
        """Carry out an order. Raises SwitchRefused, also for one that contradicts the manifests."""
        wanted = self._wanted()
        if wanted and order.to != wanted and not order.dry_run:
            raise SwitchRefused(
                f"the manifests name the datapath {wanted}: change `datapath` there, or remove it"
            )
        await self._switcher.switch(order, tell)

    async def confirm(self) -> bool:
        return await self._switcher.confirm()

    # -- the manifests --------------------------------------------------------------------

    async def run(self) -> NoReturn:
        """Follow until cancelled, which rolls back a switch that is under way."""
        while True:
            await self._look()
            await self._sleep(LOOK_S)

    async def _look(self) -> None:
        wanted = self._wanted()
        if wanted != self._to:
            self._to, self._text, self._again_at, self._pause_s = wanted, "", 0.0, FIRST_S
        if not wanted or self._now() < self._again_at:
            return
        if self._switcher.forwards_by() != wanted:
            await self._switch(wanted)

    async def _switch(self, to: str) -> None:
        def tell(step: Step, text: str) -> None:
            self._text = f"{step}: {text}"

        work = asyncio.create_task(self._switcher.switch(Order(to), tell))
        try:
            while not work.done():
                await asyncio.wait([work], timeout=LOOK_S)
                if self._wanted() != to:
                    work.cancel()
        except BaseException:
            work.cancel()
            with suppress(asyncio.CancelledError):  # again
                await asyncio.wait([work])
            raise
        self._conclude(work, to)

    def _conclude(self, work: asyncio.Task[None], to: str) -> None:
        try:
            work.result()
        except asyncio.CancelledError:
            log.info("the manifests no longer name %s", to)
        except SwitchRefused as error:
            self._wait(str(error), SOON_S)
        except (SwitchFailed, OSError) as error:
            log.warning(
                "cannot switch to %s, which the manifests name: %s; retrying in %.0f s",
                to,
                error,
                self._pause_s,
            )
            self._wait(f"rolled back: {error}; retrying in {self._pause_s:.0f} s", self._pause_s)
            self._pause_s = min(2 * self._pause_s, LONGEST_S)
        else:
            self._pause_s = FIRST_S
            self._wait("no port to move yet", SOON_S)

    def _wait(self, text: str, seconds: float) -> None:
        self._text, self._again_at = text, self._now() + seconds
