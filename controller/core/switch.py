"""Moves ports between two datapaths while packets flow; an abort leaves one complete datapath.

    prepare   start the second datapath, and program it until its audit is clean
    move      one tc filter per port: host legs first, then uplinks
    verify    packets enter and leave as before, by the counters of both datapaths
    commit    the other datapath speaks for the node
    finish    end the old one, or keep it warm

Until `commit`, a failed check, a cancelled call or an error moves the ports back. After a crash
`SwitchState.to` is on disk, and the next controller moves them back. Both datapaths are complete
meanwhile, so either can forward a port's packets. See decision 0103.

Afterwards `run` watches the second datapath: when it dies, the first is active until the second is
programmed again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NoReturn

from controller.core.durations import SWITCH_S, Durations
from controller.core.planes import Plane
from controller.core.switchcontracts import Environment, SwitchState
from controller.core.switchsteps import LOOK_S, WINDOW_S, Steps
from datapaths.base import DatapathError
from dualpath.model.kinds import Kind
from dualpath.model.links import Port
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
        first = self._planes.first.name
        found = environment.store.read()
        known = (first, environment.second.name)
        usable = found and found.active in known and found.to in ("", *known)
        self.state = found if found and usable else SwitchState(first)
        self._planes.shared = self.state.second
        self._turn = asyncio.Lock()
        self._durations = {outcome: Durations(SWITCH_S) for outcome in ("done", "rolled_back")}

    # -- what others ask ------------------------------------------------------------------

    def placed(self) -> Mapping[str, bool]:
        """Return the ports that the second datapath should have; none during a switch."""
        second = self._planes.second
        if not second or self.state.to or self._turn.locked():
            return {}
        if second.role is Role.PREPARING or second.reconciler.unavailable:
            return {}
        return self._wanted(self.state.ports)

    def ports_of(self) -> Mapping[str, str]:
        """Return the name of the datapath that has each port's traffic."""
        second = self._planes.second
        there = bool(second) and (self._turn.locked() or not self._is_down(second))
        names = {True: self._at.second.name, False: self._planes.first.name}
        return {port: names[there and has] for port, has in self._wanted(self.state.ports).items()}

    def durations(self) -> Sequence[tuple[str, Histogram]]:
        """Return how long switches took until they were committed or rolled back."""
        return [(outcome, found.histogram()) for outcome, found in self._durations.items()]

    def trial(self) -> str:
        """Return when an unconfirmed switch will be undone; "" if there is none."""
        if not self.state.deadline:
            return ""
        left = max(0.0, self.state.deadline - self._at.now())
        return f"undone in {left:.0f} s unless confirmed: dualpath switch --confirm"

    def forwards_by(self) -> str:
        """Return the datapath that has every port; "" while ports move, or are with both."""
        if self.state.to or self.state.deadline or self._turn.locked():
            return ""
        if not self.state.ports:
            return self._planes.first.name
        return self._at.second.name if self.state.active == self._at.second.name else ""

    def _is_down(self, second: Plane | None) -> bool:
        return not second or second.role is Role.PREPARING

    def _ports(self) -> list[Port]:
        """Return all ports: host legs first, then uplinks."""
        table = self._planes.first.state.records[Kind.PORT]
        found = [table.desired(key) or table.programmed(key) for key in table]
        ports = [port for port in found if isinstance(port, Port) and not port.loopback]
        return sorted(ports, key=lambda port: (port.host is None, port.name))

    def _names(self) -> list[str]:
        return [port.name for port in self._ports()]

    def _named(self, names: Sequence[str]) -> list[Port]:
        return [port for port in self._ports() if port.name in names]

    def _wanted(self, ports: Sequence[str]) -> dict[str, bool]:
        """Return for each port whether the second has it: new ones too, if it has all others."""
        everything = bool(ports) and self.state.active == self._at.second.name
        return {name: everything or name in ports for name in self._names()}

    # -- orders ---------------------------------------------------------------------------

    async def switch(self, order: Order, tell: Tell) -> None:
        """Carry out an order. Raises SwitchRefused or SwitchFailed; a cancellation rolls back."""
        if self._turn.locked():
            raise SwitchRefused("another switch is under way; wait for its end")
        async with self._turn:
            ports = self._after(order)
            moved = self._differing(ports)
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
            self._save(replace(self.state, deadline=0.0, before=()))
            log.info("switch to %s confirmed", self.state.active)
            if not (self.state.ports or self.state.keep):
                await self._end_second(lambda *_: None)
            return True

    def _after(self, order: Order) -> tuple[str, ...]:
        """Return the ports that the second has after an order. Raises SwitchRefused."""
        first, second = self._planes.first.name, self._at.second.name
        if order.to not in (first, second):
            raise SwitchRefused(f"no datapath {order.to}; this controller has {first} and {second}")
        if why := self._at.not_ready():
            raise SwitchRefused(f"not ready: {why}; wait until `dualpath status` says ready")
        if self.state.deadline:
            raise SwitchRefused(f"the last switch is not confirmed; {self.trial()}")
        known = self._names()
        if strange := [port for port in order.ports if port not in known]:
            raise SwitchRefused(f"no port {strange[0]}; existing: {', '.join(known) or 'none'}")
        chosen = order.ports or known
        if order.to == second:
            return tuple(port for port in known if port in chosen or port in self.state.ports)
        return tuple(port for port in known if port in self.state.ports and port not in chosen)

    def _differing(self, ports: Sequence[str]) -> list[str]:
        return [name for name in self._names() if (name in ports) != (name in self.state.ports)]

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
            self._save(replace(before, to=to, second=True))
        except OSError as error:
            text = f"cannot save the switch: {_reason(error)}; check the state directory"
            raise SwitchRefused(text) from error
        try:
            await self._steps.prepare(to, tell)
            await self._steps.move(self._named(moved), target.ports, to, tell)
            active = self._speaker(target.ports)
            self._save(replace(target, active=active.name))
        except BaseException as error:
            await _to_the_end(self._roll_back(before, tell))
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

    def _speaker(self, ports: Sequence[str]) -> Plane:
        """Return the plane that speaks for the node: the second when it has every port."""
        second = self._planes.second
        return second if second and ports and set(ports) >= {*self._names()} else self._planes.first

    async def _roll_back(self, before: SwitchState, tell: Tell) -> None:
        """Put every port back, and end a second datapath that did not exist before."""
        tell(Step.ROLL_BACK, f"back to {before.active}")
        log.warning("switch aborted; back to %s", before.active)
        await asyncio.to_thread(self._at.steering.move, self._wanted(before.ports))
        if not before.second:
            await asyncio.to_thread(self._at.steering.release, self._names())
            await self._at.second.stop()
        try:
            self._save(before)
        except OSError as error:  # the file has `to` still: the next start rolls back, too
            log.error("cannot save the end of the switch: %s", _reason(error))
            self.state, self._planes.shared = before, before.second
        self._at.changed()

    async def _end_second(self, tell: Tell) -> None:
        """End the second datapath; it has no port."""
        self._save(SwitchState(self._planes.first.name))
        await asyncio.to_thread(self._at.steering.release, self._names())
        await self._at.second.stop()
        self._at.changed()
        tell(Step.FINISH, f"{self._at.second.name} ended")

    # -- afterwards -----------------------------------------------------------------------

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
        await asyncio.to_thread(self._at.steering.move, self._wanted(before.ports))
        if before.ports or before.keep:
            self._save(before)
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
        second = self._planes.second
        if second and second.role is Role.PREPARING:
            await self._return_to(second)
        elif second and second.reconciler.unavailable:
            self._fall_back(second)

    def _fall_back(self, second: Plane) -> None:
        """Make the first datapath active: the second died, and its filters with it."""
        first, why = self._planes.first, second.reconciler.unavailable
        log.warning("%s does not answer: %s; %s forwards", second.name, why, first.name)
        self._planes.activate(first)
        second.role = Role.PREPARING

    async def _return_to(self, second: Plane) -> None:
        """Give the second its ports back once it is programmed again."""
        if second.reconciler.unavailable or not second.reconciler.resting:
            return
        async with self._turn:
            if await self._steps.lacking(second):
                return
            second.role = Role.STANDBY
            await asyncio.to_thread(self._at.steering.seed)
            await self._at.sleep(WINDOW_S)
            await asyncio.to_thread(self._at.steering.move, self._wanted(self.state.ports))
            self._planes.activate(self._speaker(self.state.ports))
        log.info(
            "%s is programmed again; it forwards for: %s", second.name, ", ".join(self.state.ports)
        )

    async def _undo(self) -> None:
        """Undo a switch that nobody confirmed in time."""
        ports = self.state.before
        moved = self._differing(ports)
        to = self._at.second.name if set(moved) <= set(ports) else self._planes.first.name
        log.warning("the switch was not confirmed in time; back to %s", to)
        async with self._turn:
            target = SwitchState("", True, ports, "", self.state.keep)
            try:
                await self._carry_out(to, moved, target, lambda *_: None)
            except SwitchFailed as error:
                log.error("cannot switch back to %s: %s; retrying in %.0f s", to, error, AGAIN_S)
                self._save(replace(self.state, deadline=self._at.now() + AGAIN_S))

    def _save(self, state: SwitchState) -> None:
        self._at.store.write(state)
        self.state = state
        self._planes.shared = state.second


def _reason(error: BaseException) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


async def _to_the_end(work: Awaitable[None]) -> None:
    """Await work to its end, however often the caller is cancelled."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    task.result()
