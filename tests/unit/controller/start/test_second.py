"""The second datapath: its programs, and what becomes of one that cannot run."""

from __future__ import annotations

import asyncio

import pytest

from controller.core.hostunion import HostUnion
from controller.node.supervisor import Useless
from controller.start.backends import Backend
from controller.start.second import SecondPlane
from datapaths.base import Capabilities, LearnedMac, Unavailable, Unsupported
from dualpath.model.events import Mirror
from dualpath.model.layer2 import Mac
from tests.fakes.core import Core, LoggingDatapath, running
from tests.fakes.twins import NoTwins
from tests.fakes.waiting import until

MAC = bytes([2, 0, 0, 0, 0, 1])


class Silent(LoggingDatapath):
    async def capabilities(self) -> Capabilities:
        raise Unavailable("not yet")


class Program:
    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self.log: list[str] = []

    async def run(self) -> None:
        self.log.append("run")
        if self._error:
            raise self._error
        try:
            await asyncio.Event().wait()
        finally:
            self.log.append("cancelled")

    async def end(self) -> None:
        self.log.append("end")


class Bed:
    def __init__(self, core: Core, datapath: LoggingDatapath, program: Program) -> None:
        self.told: list[Mirror] = []
        self.hosts = HostUnion(self.told.append, 0)
        self.refusal: Exception | None = None
        self.datapath, self.program = datapath, program
        self.second = SecondPlane(
            "dpdk", core.planes, self._make, core.clock, core.outward, self.hosts
        )

    def _make(self) -> Backend:
        if self.refusal:
            raise self.refusal
        self.datapath.reopen()
        return Backend(self.datapath, NoTwins(), (self.program,))


async def test_programs_run_as_long_as_the_second_datapath() -> None:
    core, program = Core(), Program()
    async with running(core):
        bed = Bed(core, LoggingDatapath(), program)
        await bed.second.start()
        await bed.second.start()  # it runs already
        assert core.planes.second
        bed.hosts.of("memory").learn(LearnedMac(110, bytes(6)))
        bed.datapath.tell(LearnedMac(110, MAC))
        await until(lambda: any(Mac(110, MAC) in it.macs for it in bed.told))
        await bed.second.stop()
        assert core.planes.second is None
        assert program.log == ["run", "cancelled", "end"]
        assert bed.told[-1].gone_macs == (Mac(110, MAC),)


@pytest.mark.parametrize("error", [Unsupported("no program grout"), Useless("grout-agent")])
async def test_program_that_can_never_run_fails_the_start(error: Exception) -> None:
    core = Core()
    async with running(core):
        bed = Bed(core, Silent(), Program(error))
        with pytest.raises((Unsupported, Unavailable), match="grout"):
            await bed.second.start()
        await bed.second.stop()
        assert core.planes.second is None


async def test_datapath_that_cannot_be_built_can_be_stopped() -> None:
    core = Core()
    async with running(core):
        bed = Bed(core, LoggingDatapath(), Program())
        bed.refusal = Unsupported("no network namespace grout")
        with pytest.raises(Unsupported):
            await bed.second.start()
        await bed.second.stop()
        assert bed.program.log == []
