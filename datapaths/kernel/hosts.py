"""Hosts behind our ports: the silent ones are asked, and those that announce themselves heard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import islice

from datapaths.kernel import probing
from datapaths.kernel.claims import Claims, Heard
from datapaths.kernel.observe import Observer
from datapaths.linux.ear import FRAMES, PAUSE_S, hear, open_ear
from datapaths.linux.wire.announcements import decode

PROBE_S = 10.0  # twice the kernel's delay_first_probe_time: those of the last round are under way
PROBES = 1000  # hosts asked in a round
Write = Callable[[Callable[[], Sequence[bytes]]], Awaitable[None]]
"""Brings the picture up to date, sends what the callback returns, and takes the echo."""


class LocalHosts:
    """Asks and hears hosts in one namespace, until it is cancelled."""

    def __init__(self, netns: str, observer: Observer, write: Write) -> None:
        self._netns = netns
        self._observer = observer
        self._write = write
        self._claims = Claims(observer.links, observer.layer2, observer.subnets)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._probe())
            group.create_task(self._listen())

    async def _probe(self) -> None:
        """Ask silent hosts whether they are there, before the kernel forgets them."""
        while True:
            await asyncio.sleep(PROBE_S)
            await self._write(self._questions)

    def _questions(self) -> list[bytes]:
        silent = probing.requests(self._observer.links, self._observer.layer2)
        return list(islice(silent, PROBES))

    async def _listen(self) -> None:
        """Hear which addresses hosts say they have, and take them at their word."""
        with open_ear(self._netns) as ear:
            while True:
                frames = await hear(ear)
                heard = [
                    Heard(source[0], said) for frame, source in frames if (said := decode(frame))
                ]
                if claims := [one for one in heard if self._claims.matters(one)]:
                    await self._write(partial(self._answers, claims))
                if len(frames) == FRAMES:
                    await asyncio.sleep(PAUSE_S)

    def _answers(self, claims: list[Heard]) -> list[bytes]:
        return list(self._claims.requests(claims))
