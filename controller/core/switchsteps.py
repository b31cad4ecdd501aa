"""The steps of a switch between two datapaths: prepare both, move ports, verify by the counters.

They change no state that outlives the controller: `switch` decides, and undoes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from controller.core.flow import Sample, passed, problem
from controller.core.planes import Plane
from controller.core.switchcontracts import Environment
from datapaths.base import Unavailable
from dualpath.model.links import Port
from dualpath.model.switch import Step, SwitchFailed, Tell
from dualpath.model.view import Audited, Problem
from dualpath.model.words import counted

PREPARE_S = 300.0  # without progress: to start grout, to make a device, to program a batch
REST_S = 5.0  # between two lines of progress
REFUSED_S = 10.0  # a row that is refused for this long does not only wait for its turn
WINDOW_S = 1.0  # of counters, before and after a move
LOOK_S = 0.1
NAMED = 3  # rows in a sentence


class Steps:
    """Prepares datapaths, moves ports, and verifies that packets flow."""

    def __init__(self, environment: Environment) -> None:
        self._at = environment
        self._planes = environment.planes

    async def prepare(self, to: str, tell: Tell) -> None:
        """Return when both planes are complete. Raises SwitchFailed."""
        try:
            async with asyncio.timeout(PREPARE_S) as limit:
                if not self._planes.second:
                    tell(Step.PREPARE, f"starting {self._at.second.name}")
                    await self._at.second.start()
                self._at.changed()
                for plane in self._planes:
                    await self._whole(plane, tell, limit)
        except TimeoutError:
            text = f"{to} is not whole, and makes no progress for {PREPARE_S:.0f} s"
            raise SwitchFailed(text) from None
        if ready := self._planes.named(to):
            rows = counted(ready.status().programmed, "row")
            tell(Step.PREPARE, f"{to} has {rows}, and its audit is clean")

    async def _whole(self, plane: Plane, tell: Tell, limit: asyncio.Timeout) -> None:
        """Return when a plane is complete. Raises SwitchFailed if it keeps refusing rows."""
        shown, tries = "", 0
        while text := await self.lacking(plane):
            if text != shown:
                tell(Step.PREPARE, f"{plane.name}: {text}")
                limit.reschedule(asyncio.get_running_loop().time() + PREPARE_S)
            shown, tries = text, tries + 1
            if text.startswith(REFUSES) and tries * LOOK_S > REFUSED_S:
                raise SwitchFailed(f"{plane.name} {text}")
            await self._at.sleep(LOOK_S)

    async def lacking(self, plane: Plane) -> str:
        """Return what a plane lacks, "" if it is at rest and its audit is clean."""
        try:
            async with asyncio.timeout(REST_S):
                await plane.reconciler.at_rest()
            found = await plane.reconciler.audit(NAMED)
        except TimeoutError:
            rows = plane.status()
            return f"{rows.programmed} of {rows.desired} rows are programmed"
        except Unavailable as error:
            return f"does not answer: {error}"
        return plane.reconciler.unavailable or _differences(plane, found)

    async def move(self, moved: Sequence[Port], ports: Sequence[str], to: str, tell: Tell) -> None:
        """Move ports, host legs before uplinks, and verify each part. Raises SwitchFailed."""
        legs = [port.name for port in moved if port.host is not None]
        uplinks = [port.name for port in moved if port.host is None]
        for part in (legs, uplinks):
            if not part:
                continue
            if gained := [port for port in part if port in ports]:
                hosts = await asyncio.to_thread(self._at.steering.seed)
                tell(Step.PREPARE, f"{to} got {counted(hosts, 'neighbor')}")
            before = await self._window()
            for port in part:
                if await asyncio.to_thread(self._at.steering.move, {port: port in ports}):
                    raise SwitchFailed(f"{port} has no wire to {to}")
                tell(Step.MOVE, f"{port} is with {to}")
            after = await self._window()
            if why := problem(before, after, gained):
                raise SwitchFailed(f"{to} does not forward: {why}")
            tell(Step.VERIFY, passed(after, part, WINDOW_S))

    async def _window(self) -> Sample:
        """Return the increase of the counters in a window."""
        before = await self._sample()
        await self._at.sleep(WINDOW_S)
        return (await self._sample()).since(before)

    async def _sample(self) -> Sample:
        second = self._planes.second
        return Sample.of(
            await self._planes.first.datapath.ports(),
            await second.datapath.ports() if second else (),
        )


REFUSES = "refuses "


def _differences(plane: Plane, found: Audited) -> str:
    """Return an audit's rows in a sentence; "" if nothing differs."""
    if not found.differed:
        return ""
    rows = ", ".join(f"{row.kind.name.lower()} {row.text}" for row in found.rows)
    if all(row.problem is Problem.REFUSED for row in found.rows):
        tables = plane.state.records.values()
        why = next((error for table in tables for _, error in table.errors()), "")
        return f"{REFUSES}{rows}: {why}".removesuffix(": ")
    return f"{counted(found.differed, 'row')} to program: {rows}"
