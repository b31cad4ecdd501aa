"""Moves ports between two datapaths while packets flow; an abort leaves one complete datapath.

    prepare   start the second datapath, and program it until its audit is clean
    move      one tc filter per port: host legs first, then uplinks
    verify    packets enter and leave as before, by the counters of both datapaths
    commit    the other datapath speaks for the node
    finish    end the old one, or keep it warm

Until `commit`, a failed check, a cancelled call or an error moves the ports back. After a crash
`SwitchState.to` is on disk, and the next controller moves them back. Both datapaths are complete
meanwhile, so either can forward a port's packets. See decision 0103.

`portassignment` has the ports, `switchsteps` the first three steps, and `failover` follows the
second datapath after a switch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

from controller.core.durations import SWITCH_S, Durations
from controller.core.failover import Failover
from controller.core.portassignment import PortAssignment
from controller.core.switchcontracts import Environment, SwitchState
from controller.core.switchsteps import LOOK_S, Steps
from datapaths.base import DatapathError
from dualpath.model.switch import Order, Step, SwitchFailed, SwitchRefused, Tell
from dualpath.model.view import Histogram, Role
from dualpath.model.words import counted

log = logging.getLogger(__name__)

AGAIN_S = 5.0  # after an undo that failed


class Switcher:
    """Carries out one order at a time."""

    def __init__(self, environment: Environment) -> None:
        self._at = environment
        self._planes = environment.planes
        self._steps = Steps(environment)
        self._ports = PortAssignment(environment)
        self._turn = asyncio.Lock()
        self._failover = Failover(environment, self._ports, self._steps, self._turn)
        self._durations = {outcome: Durations(SWITCH_S) for outcome in ("done", "rolled_back")}

    # -- queries --------------------------------------------------------------------------

    @property
    def state(self) -> SwitchState:
        return self._ports.state

    @state.setter
    def state(self, state: SwitchState) -> None:
        self._ports.adopt(state)

    def placed(self) -> Mapping[str, bool]:
        """Return the ports that the second datapath should have; none during a switch."""
        second = self._planes.second
        if not second or self.state.to or self._turn.locked():
            return {}
        if self._failover.down or second.reconciler.unavailable:
            return {}
        return self._ports.wanted(self.state.ports)

    def ports_of(self) -> Mapping[str, str]:
        """Return the name of the datapath that has each port's traffic."""
        switching = bool(self._planes.second) and self._turn.locked()
        return self._ports.owners(down=self._failover.down and not switching)

    def durations(self) -> Sequence[tuple[str, Histogram]]:
        """Return how long switches took until they were committed or rolled back."""
        return [(outcome, found.histogram()) for outcome, found in self._durations.items()]

    def trial(self) -> str:
        """Return when an unconfirmed switch will be undone; "" if there is none."""
        return self._ports.trial()

    def forwards_by(self) -> str:
        """Return the datapath that has every port; "" while ports move, or are with both."""
        if self.state.to or self.state.deadline or self._turn.locked():
            return ""
        if not self.state.ports:
            return self._planes.first.name
        return self._at.second.name if self.state.active == self._at.second.name else ""

    # -- orders ---------------------------------------------------------------------------

    async def switch(self, order: Order, tell: Tell) -> None:
        """Carry out an order. Raises SwitchRefused or SwitchFailed; a cancellation rolls back."""
        if self._turn.locked():
            raise SwitchRefused("another switch is under way; wait for its end")
        async with self._turn:
            ports = self._ports.after(order)
            moved = self._ports.differing(ports)
            if order.dry_run:
                self._rehearse(order, moved, tell)
            elif moved:
                deadline = self._at.now() + order.back_after_s if order.back_after_s else 0.0
                before = self.state.ports if deadline else ()
                target = SwitchState("", True, ports, "", order.keep, deadline, before)
                await self._carry_out(order.to, moved, target, tell)
            elif self._planes.second and not (self.state.ports or order.keep):
                await self._end_second(tell)
            else:
                tell(Step.FINISH, f"{order.to} forwards already; nothing to do")

    async def confirm(self) -> bool:
        """Keep a switch that has a deadline; return whether there was one. Raises OSError."""
        async with self._turn:
            if not self.state.deadline:
                return False
            self._ports.save(replace(self.state, deadline=0.0, before=()))
            log.info("switch to %s confirmed", self.state.active)
            if not (self.state.ports or self.state.keep):
                await self._end_second(lambda *_: None)
            return True

    def _rehearse(self, order: Order, moved: Sequence[str], tell: Tell) -> None:
        if moved and not self._planes.second:
            rows = counted(self._planes.first.status().desired, "row")
            tell(Step.PREPARE, f"would start {self._at.second.name}, program {rows} and audit them")
        for port in moved:
            tell(Step.MOVE, f"would move {port} to {order.to}")
        if moved:
            tell(Step.VERIFY, "would compare the counters of both datapaths")
        if order.to == self._planes.first.name and not order.keep:
            tell(Step.FINISH, f"would end {self._at.second.name}")

    async def _carry_out(
        self, to: str, moved: Sequence[str], target: SwitchState, tell: Tell
    ) -> None:
        before, began = self.state, self._at.now()
        try:
            self._ports.save(replace(before, to=to, second=True))
        except OSError as error:
            text = f"cannot save the switch: {_reason(error)}; check the state directory"
            raise SwitchRefused(text) from error
        try:
            await self._steps.prepare(to, tell)
            await self._steps.move(self._ports.named(moved), target.ports, to, tell)
            active = self._ports.speaker(target.ports)
            self._ports.save(replace(target, active=active.name))
        except BaseException as error:
            try:
                await _to_the_end(self._roll_back(before, tell))
            finally:
                self._durations["rolled_back"].add(self._at.now() - began)
            if isinstance(error, DatapathError | OSError):
                raise SwitchFailed(_reason(error)) from error
            raise
        self._planes.activate(active)
        self._durations["done"].add(self._at.now() - began)
        for plane in self._planes:
            plane.role = Role.ACTIVE if plane is active else Role.STANDBY
        self._at.changed()
        log.info("switched to %s: %s", to, ", ".join(moved))
        tell(Step.COMMIT, f"{to} forwards for {', '.join(moved)}")
        if target.deadline:
            tell(Step.FINISH, self.trial())
        elif not (target.ports or target.keep):
            await self._end_second(tell)

    async def _roll_back(self, before: SwitchState, tell: Tell) -> None:
        """Put every port back, and end a second datapath that did not exist before."""
        tell(Step.ROLL_BACK, f"back to {before.active}")
        log.warning("switch aborted; back to %s", before.active)
        await asyncio.to_thread(self._at.steering.move, self._ports.wanted(before.ports))
        if not before.second:
            await asyncio.to_thread(self._at.steering.release, self._ports.names)
            await self._at.second.stop()
        try:
            self._ports.save(before)
        except OSError as error:  # the file has `to` still: the next start rolls back, too
            log.error("cannot save the end of the switch: %s", _reason(error))
            self._ports.adopt(before)
        self._at.changed()

    async def _end_second(self, tell: Tell) -> None:
        """End the second datapath; it has no port."""
        self._ports.save(SwitchState(self._planes.first.name))
        await asyncio.to_thread(self._at.steering.release, self._ports.names)
        await self._at.second.stop()
        self._at.changed()
        tell(Step.FINISH, f"{self._at.second.name} ended")

    # -- after a switch --------------------------------------------------------------------

    async def restore(self) -> None:
        """Restore the last controller's state, once the first datapath is adopted."""
        async with self._turn:
            if self.state.to:
                await self._restore_interrupted()
            if not self.state.second:
                return
            try:
                await self._at.second.start()
                self._at.changed()
            except DatapathError as error:
                first, second = self._planes.first.name, self._at.second.name
                log.error("%s cannot be started: %s; %s forwards", second, error, first)
                await self._end_second(lambda *_: None)

    async def _restore_interrupted(self) -> None:
        before = replace(self.state, to="")
        log.warning("a switch to %s was interrupted; back to %s", self.state.to, before.active)
        await asyncio.to_thread(self._at.steering.move, self._ports.wanted(before.ports))
        if before.ports or before.keep:
            self._ports.save(before)
        else:
            await self._end_second(lambda *_: None)

    async def run(self) -> NoReturn:
        """Watch the second datapath and the deadline until cancelled."""
        while True:
            await self._at.sleep(LOOK_S)
            if self._turn.locked():
                continue
            try:
                await self._look()
            except (DatapathError, OSError) as error:
                log.error("cannot move ports: %s; retrying in %.0f s", _reason(error), AGAIN_S)
                await self._at.sleep(AGAIN_S)

    async def _look(self) -> None:
        if self.state.deadline and self._at.now() >= self.state.deadline:
            await self._undo()
        await self._failover.look()

    async def _undo(self) -> None:
        """Undo a switch that nobody confirmed in time."""
        ports = self.state.before
        moved = self._ports.differing(ports)
        to = self._at.second.name if set(moved) <= set(ports) else self._planes.first.name
        log.warning("the switch was not confirmed in time; back to %s", to)
        async with self._turn:
            target = SwitchState("", True, ports, "", self.state.keep)
            try:
                await self._carry_out(to, moved, target, lambda *_: None)
            except SwitchFailed as error:
                log.error("cannot switch back to %s: %s; retrying in %.0f s", to, error, AGAIN_S)
                self._ports.save(replace(self.state, deadline=self._at.now() + AGAIN_S))


def _reason(error: BaseException) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


async def _to_the_end(work: Awaitable[None]) -> None:
    """Await work to its end, however often the caller is cancelled; then it is."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled:
        raise cancelled
