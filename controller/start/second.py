"""Starts and ends the second datapath: its programs, its plane, and the tasks that drive it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress

from controller.core.clock import Clock
from controller.core.hosts import LocalHosts
from controller.core.hostunion import HostUnion
from controller.core.planes import Outward, Plane, Planes
from controller.node.supervisor import Useless
from controller.start.backends import Backend, Beside
from datapaths.base import (
    Capabilities,
    Datapath,
    DatapathError,
    LearnedMac,
    LearnedNeighbor,
    Lost,
    PortChanged,
    Unavailable,
)
from dualpath.model.kinds import Kind
from dualpath.process.lifetime import end_with
from dualpath.rpc.connect import ConnectError

log = logging.getLogger(__name__)

AGAIN_S = 0.2


class SecondPlane:
    """Makes and removes the second of `planes`; `make` builds its datapath."""

    def __init__(
        self,
        name: str,
        planes: Planes,
        make: Callable[[], Backend],
        clock: Clock,
        outward: Outward,
        hosts: HostUnion,
    ) -> None:
        self.name = name
        self._planes = planes
        self._make = make
        self._clock = clock
        self._outward = outward
        self._hosts = hosts
        self._backend: Backend | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._problem: DatapathError | None = None  # the reason why a program can never run

    async def start(self) -> None:
        """Start its programs, wait until it answers, and program it from then on.

        Raises DatapathError when it can never work here.
        """
        if self._planes.second:
            return
        self._problem = None
        backend = self._built()
        for beside in backend.beside:
            self._spawn(self._keep(beside))
        capabilities = await self._answer(backend.datapath)
        log.info("second datapath %s %s", capabilities.name, capabilities.version)
        origin = self._planes.active.state
        plane = Plane(self.name, backend.datapath, self._clock, self._outward, origin)
        plane.takes(capabilities)
        await self._planes.add(plane)
        self._spawn(plane.reconciler.run())
        self._spawn(self._learn(plane))

    async def stop(self) -> None:
        """End it, even one that an earlier controller left; forget its programmed rows."""
        beside: tuple[Beside, ...] = ()
        with suppress(DatapathError):  # it cannot be built here, so no part of it runs
            beside = self._built().beside
        self._planes.remove()
        await self.leave()
        for program in reversed(beside):
            await program.end()
        self._hosts.drop(self.name)

    async def leave(self) -> None:
        """Let it continue to forward while the controller ends."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        backend, self._backend = self._backend, None
        if backend:
            await backend.datapath.close()

    def _built(self) -> Backend:
        if not self._backend:
            try:
                self._backend = self._make()
            except ConnectError as error:
                raise Unavailable(str(error)) from error
        return self._backend

    async def _keep(self, beside: Beside) -> None:
        """Keep a program running. One that can never run fails the switch, not the controller."""
        try:
            await beside.run()
        except DatapathError as error:
            self._problem = error
        except Useless as error:
            self._problem = Unavailable(f"{error} cannot run here; its log line says why")
        if self._problem:
            log.error("second datapath: %s", self._problem)

    async def _answer(self, datapath: Datapath) -> Capabilities:
        while True:
            try:
                return await datapath.capabilities()
            except Unavailable as error:
                log.debug("%s does not answer yet: %s", self.name, error)
            if self._problem:
                raise self._problem
            await asyncio.sleep(AGAIN_S)

    async def _learn(self, plane: Plane) -> None:
        hosts = self._hosts.of(self.name)
        async for event in plane.datapath.learned():
            match event:
                case LearnedMac() | LearnedNeighbor():
                    note_host(plane, hosts, event)
                case PortChanged():  # FRR sees the carrier of the first datapath's port
                    plane.reconciler.retry_now()
                case Lost():
                    note_loss(plane, event)
                case _:
                    hosts.caught_up()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(end_with)
        self._tasks.append(task)


def note_host(plane: Plane, hosts: LocalHosts, event: LearnedMac | LearnedNeighbor) -> None:
    """Note a local host that a datapath learned, or that is gone, and report it to frr-bridge."""
    if not event.gone:
        plane.state.appeared(event)
    hosts.learn(event)


def note_loss(plane: Plane, lost: Lost) -> None:
    """Look again at rows that another program removed or changed."""
    if lost.routes is not None:
        plane.state.lost_routes(lost.routes)
    elif lost.records and lost.kind is not Kind.NEXTHOP:  # a group may only have lost a member
        plane.state.lost_records(lost.records)
    else:
        plane.reconciler.suspect(lost.kind)
